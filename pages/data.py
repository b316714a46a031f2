"""Data: sources, freshness, the KPIs that hang on them, rows that could not be read, sync now."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from jobs.project.clock import utc_now
from metrics.catalog.restriction import CLASSES
from metrics.presentation.export import csv_text
from metrics.presentation.format import age_text
from metrics.quality.data_page import DataPage, data_page
from ui.audit.download import recorded
from ui.data.source_form import source_form
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.sync_now import last_result, sync_now
from ui.shell.templates import line, render
from ui.shell.words import literal, literal_lines

OWN = "kpi init shop --from orders.csv\nkpi sync --project shop\nkpi run --project shop"


@state.cached_view
def view() -> DataPage:
    """The state of the data of the live data."""
    return data_page(state.context())


def page() -> None:
    """Headline, button, datasets, sources, quarantine, problems."""
    if not state.project().has_data():
        first_steps(state.project())
        source_form()
        return
    found = view()
    st.title(literal(found.headline))
    line(f"Generation {found.generation}")
    if found.overdue:
        render("data/overdue", words=found.overdue)
    last_result()
    sync_now(state.served())
    st.header("Datasets")
    render("data/datasets", rows=found.datasets)
    st.header("Sources")
    render("data/sources", rows=[(row, age_text(row.pulled_at, utc_now())) for row in found.sources])
    if len(found.quarantine) and not state.rights().restriction.classes >= CLASSES:
        st.header("Rows that could not be read")
        line(f"{len(found.quarantine):,} are set aside. As they came, personal columns may be in them.")
    elif len(found.quarantine):
        st.header("Rows that could not be read")
        line("Set aside with reason and origin; they are in no number.")
        shown = (
            found.quarantine.drop(columns="seen_at")
            .assign(file=found.quarantine["file"].str.rsplit("/").str[-1])
            .rename(columns={"column_name": "column"})
        )
        st.dataframe(shown, hide_index=True, height=240, key="quarantine")
        if state.may("export"):
            _download(shown)
    if found.problems:
        st.header("Definitions")
        for problem in found.problems:
            (st.error if problem.level == "error" else st.info)(
                literal_lines(
                    f"{problem.file}:{problem.line}: {problem.message}" + (f"\n{problem.hint}" if problem.hint else "")
                )
            )
    source_form()
    st.header("Use your own data")
    st.write("A new project folder from a file, in three lines:")
    st.code(OWN, language="shell")


def _download(shown: pd.DataFrame) -> None:
    st.download_button(
        "Download rows",
        recorded("quarantine", "csv", lambda: csv_text(list(shown), shown.to_dict("records"))),
        "quarantine.csv",
        "text/csv",
        on_click="ignore",
    )


page()
