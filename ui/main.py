"""The entry script: page config, sign-in gate, navigation, then the chosen page. Runs for every address."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `streamlit run` puts only the script's own folder there
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from connectors.errors import DamagedData, KpiError  # noqa: E402
from ui.shell import state, theme  # noqa: E402
from ui.shell.acts import offer_undo  # noqa: E402
from ui.shell.gate import require_sign_in  # noqa: E402
from ui.shell.logs import failed, show_error  # noqa: E402

FIRST = (
    "overview",
    "alerts",
    "launches",
    "launch",
    "snapshots",
    "kpi",
    "kpis",
    "data",
)  # the order of the navigation; any other page follows by name
TITLES = {"kpi": "KPI", "kpis": "KPIs"}


def pages() -> list[st.Page]:
    """Every file of pages/ as a page; the first is what the bare address shows."""
    stems = [path.stem for path in (ROOT / "pages").glob("*.py")]
    ordered = sorted(stems, key=lambda s: (FIRST.index(s) if s in FIRST else len(FIRST), s))
    return [
        st.Page(
            ROOT / "pages" / f"{stem}.py",
            title=TITLES.get(stem, stem.replace("_", " ").capitalize()),
            url_path=stem,
            default=stem == FIRST[0],
        )
        for stem in ordered
    ]


def main() -> None:
    """One run of the app."""
    st.set_page_config("Bellwether", page_icon=str(theme.STATIC / "favicon.svg"), layout="wide")
    theme.style()
    try:
        project = state.project()
    except KpiError as error:
        show_error(error)
        return
    dark = st.context.theme.type == "dark"
    st.logo(str(theme.STATIC / f"logo-{'dark' if dark else 'light'}.svg"), size="large")
    require_sign_in(project)
    page = st.navigation(pages(), position="top")
    offer_undo()
    try:
        state.warn()
        page.run()
    except DamagedData as error:
        if error.again:  # found in the middle of reading: the generation before it is whole
            state.changed()
            st.rerun()
        show_error(error)
    except KpiError as error:
        show_error(error)
    except Exception as error:  # a page's bug is that page's: navigation and the other pages go on
        failed(error, f"page {page.url_path or FIRST[0]}")


main()
