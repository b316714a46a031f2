"""Data: sources, freshness, the KPIs that hang on them, rows that could not be read, sync now."""

from __future__ import annotations

import streamlit as st

from jobs.project.clock import utc_now
from metrics.presentation.format import age_text
from metrics.quality.data_page import DataPage, DatasetRow, SourceRow, data_page
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.sync_now import last_result, sync_now
from ui.shell.theme import html, text

OWN = "kpi init shop --from orders.csv\nkpi sync --project shop\nkpi run --project shop"


@state.cached_view
def view() -> DataPage:
    """The state of the data of the live data."""
    return data_page(state.context())


def page() -> None:
    """Headline, button, datasets, sources, quarantine, problems."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    found = view()
    st.title(found.headline)
    html(f"<p class='bw-line'>Generation {text(found.generation)}</p>")
    if found.overdue:
        html(
            f"<p class='bw-banner'>{text(found.overdue)} <code>kpi schedule</code> prints lines for a regular one.</p>"
        )
    last_result()
    sync_now(state.project())
    st.header("Datasets")
    html(_list("Dataset|State|Complete to|#Rows|-KPIs on it", [_dataset(d) for d in found.datasets]))
    st.header("Sources")
    html(_list("Source|Last sync|Pulled|#Rows|#Unreadable", [_source(s) for s in found.sources]))
    if len(found.quarantine):
        st.header("Rows that could not be read")
        html("<p class='bw-line'>Set aside with reason and origin; they are in no number.</p>")
        shown = (
            found.quarantine.drop(columns="seen_at")
            .assign(file=found.quarantine["file"].str.rsplit("/").str[-1])
            .rename(columns={"column_name": "column"})
        )
        st.dataframe(shown, hide_index=True, height=240, key="quarantine")
        st.download_button("Download rows", shown.to_csv(index=False), "quarantine.csv", "text/csv", on_click="ignore")
    if found.problems:
        st.header("Definitions")
        for problem in found.problems:
            (st.error if problem.level == "error" else st.info)(
                f"{problem.file}:{problem.line}: {problem.message}" + (f"  \n{problem.hint}" if problem.hint else "")
            )
    st.header("Use your own data")
    st.write("A new project folder from a file, in three lines:")
    st.code(OWN, language="shell")


def _list(head: str, rows: list[str]) -> str:
    def cell(title: str) -> str:
        kind = {"#": " class='bw-num'", "-": " class='bw-hide-phone'"}.get(title[0], "")
        return f"<th{kind}>{title.lstrip('#-')}</th>"

    heads = "".join(cell(title) for title in head.split("|"))
    return f"<div class='bw-scroll'><table class='bw-list'><tr>{heads}</tr>{''.join(rows)}</table></div>"


def _dataset(row: DatasetRow) -> str:
    future = f"<p class='bw-sub'>{row.future:,} in the future</p>" if row.future else ""
    why = f"<p class='bw-sub'>{text(row.why)}</p>" if row.why else ""
    label = {"fresh": "Fresh", "stale": "Late", "none": "No rows"}[row.state]
    return (
        f"<tr><td><strong>{text(row.label)}</strong>{why}</td>"
        f"<td><span class='bw-chip bw-{row.state}'>{label}</span></td>"
        f"<td>{text(row.watermark)}</td><td class='bw-num'>{row.rows}{future}</td>"
        f"<td class='bw-hide-phone'>{text(', '.join(row.kpis) or '–')}</td></tr>"
    )


def _source(row: SourceRow) -> str:
    labels = {"loaded": "Loaded", "unchanged": "Nothing new", "failed": "Failed", "none": "Never"}
    age = text(age_text(row.pulled_at, utc_now()))
    error = f"<tr><td colspan='5' class='bw-bad'>{text(row.error)}</td></tr>" if row.error else ""
    notes = "".join(f"<p class='bw-sub'>{text(note)}</p>" for note in row.notes)
    return (
        f"<tr><td><strong>{text(row.name)}</strong><p class='bw-sub'>into table {text(row.table)}</p>{notes}</td>"
        f"<td><span class='bw-chip bw-{row.state}'>{labels[row.state]}</span></td><td>{age}</td>"
        f"<td class='bw-num'>{row.rows}</td><td class='bw-num'>{row.quarantined or '–'}</td></tr>{error}"
    )


page()
