"""The entry script: page config, sign-in gate, navigation, then the chosen page. Runs for every address."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `streamlit run` puts only the script's own folder there
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from streamlit.runtime.scriptrunner import get_script_run_ctx  # noqa: E402

from connectors.errors import DamagedData, KpiError, nearest  # noqa: E402
from jobs.access.rights import Rights  # noqa: E402
from jobs.audit.acting import begin, in_role  # noqa: E402
from jobs.project.asker import computes_for  # noqa: E402
from ui.shell import state, theme, trail, url  # noqa: E402
from ui.shell.acts import offer_undo  # noqa: E402
from ui.shell.ended import ended  # noqa: E402
from ui.shell.gate import require_sign_in  # noqa: E402
from ui.shell.logs import failed, show_error  # noqa: E402
from ui.shell.nested import DETAILS  # noqa: E402
from ui.shell.templates import render  # noqa: E402
from ui.shell.words import literal  # noqa: E402

# The order of the navigation; any other page follows by name.
FIRST = ("overview", "kpis", "launches", "alerts", "snapshots", "data", "account", "audit")
TITLES = {"kpi": "KPI", "kpis": "KPIs"}
ASKED = "address_asked"  # key of the session's state: the name of a page that does not exist


def order_of(stem: str) -> tuple[int, str]:
    """Its place in the navigation."""
    return (FIRST.index(stem) if stem in FIRST else len(FIRST), stem)


def title_of(stem: str) -> str:
    """What the navigation calls a page."""
    return TITLES.get(stem, stem.replace("_", " ").capitalize())


def stems(rights: Rights) -> list[str]:
    """Files of pages/ that the reader sees, in the order of the navigation."""
    return sorted((path.stem for path in (ROOT / "pages").glob("*.py") if rights.opens(path.stem)), key=order_of)


def pages(ordered: Sequence[str], *, sign_in: bool, audit: bool) -> list[st.Page]:
    """Files of pages/ as pages; the first is what the bare address shows.

    sign_in: False = nobody has an account, and the navigation does not offer it. audit: whether it offers that.
    """
    hidden = (*DETAILS, *(() if sign_in else ("account",)), *(() if audit else ("audit",)))
    return [
        st.Page(
            ROOT / "pages" / f"{stem}.py",
            title=title_of(stem),
            url_path=stem,
            default=stem == FIRST[0],
            visibility="hidden" if stem in hidden else "visible",
        )
        for stem in ordered
    ]


def unknown_page(known: Sequence[str]) -> list[st.Page]:
    """A page of the name that the address asks for, if none is known: it says so. Streamlit would show the first one.

    It stays for the session: a rerun knows its page by the hash of its address. The first page has the bare address;
    its name leads there.
    """
    context = get_script_run_ctx()
    manager = context.pages_manager if context is not None else None
    asked = (manager.intended_page_name or "") if manager is not None else ""
    if manager is not None and asked == FIRST[0]:
        manager.set_script_intent("", "")
    elif asked.strip() and "/" not in asked and asked not in known:
        st.session_state[ASKED] = asked
    name = st.session_state.get(ASKED, "")
    if not name:
        return []
    say = partial(no_page, name, {stem: title_of(stem) for stem in known})
    return [st.Page(say, title="Not found", url_path=name, visibility="hidden")]


def no_page(name: str, known: Mapping[str, str]) -> None:
    """In place of a page that does not exist."""
    near = nearest(name, list(known), url.NEAREST)
    st.title(literal(f"No page “{name[:80]}”"))
    links = [(known[stem], "" if stem == FIRST[0] else stem) for stem in near]
    words = "The address names it, and the dashboard has none of that name."
    render("shell/unknown", words=words, links=links, listing=(known[FIRST[0]], ""))


def main() -> None:
    """One run of the app, and the mark of its end."""
    st.set_page_config("Bellwether", page_icon=str(theme.STATIC / "favicon.svg"), layout="wide")
    try:
        run()
    except Exception:
        ended()  # what went wrong is seen, too
        raise
    ended()


def run() -> None:
    """The gate, the navigation, the page."""
    try:
        project = state.served()
    except KpiError as error:
        show_error(error)
        return
    dark = st.context.theme.type == "dark"
    st.logo(str(theme.STATIC / f"logo-{'dark' if dark else 'light'}.svg"), size="large")
    require_sign_in(project)
    rights = state.rights()
    known = stems(rights)
    begin("page")
    in_role(rights.role)
    computes_for(state.asker())
    offered = pages(known, sign_in=project.settings.sign_in, audit=rights.may("audit"))
    page = st.navigation([*offered, *unknown_page(known)], position="top")
    url.begin(page.url_path)
    trail.title(page.title)
    offer_undo()
    unknown = st.container()
    try:
        state.warn()
        page.run()
        with unknown:
            url.told()
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
