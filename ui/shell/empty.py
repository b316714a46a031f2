"""Empty states that teach the next step."""

from __future__ import annotations

import streamlit as st

from connectors.errors import KpiError, counted
from jobs.project.project import Project
from ui.shell.sync_now import last_result, sync_now
from ui.shell.words import literal_lines


def first_steps(project: Project) -> None:
    """Shown before the first sync."""
    st.title("No data yet")
    last_result()
    try:
        known = len(project.sources.all())
    except KpiError as error:
        st.error(literal_lines(error.message))
        st.code(error.hint)
        return
    if project.settings.reads_tables:
        st.write("The rows of this project are in the engine of its settings. Have their values computed once.")
        sync_now(project)
        st.code("kpi sync", language="shell")
    elif known:
        st.write(
            f"This project has {counted(known, 'source')}. Load {'it' if known == 1 else 'them'} once; later syncs add "
            "what is new."
        )
        sync_now(project)
        st.code("kpi sync", language="shell")
    else:
        st.write("This project has no source yet. Start one from a file:")
        st.code("kpi init shop --from orders.csv\nkpi sync --project shop\nkpi run --project shop", language="shell")
