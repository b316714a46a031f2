"""KPIs: the catalogue, with search."""

from __future__ import annotations

import streamlit as st

from metrics.kpi_views.kpi_list import Entry, kpi_list, matching
from ui.shell import state
from ui.shell.empty import first_steps
from ui.shell.theme import html, text


@state.cached_view
def view() -> tuple[Entry, ...]:
    """The catalogue of the live data."""
    return kpi_list(state.context())


def page() -> None:
    """Search, then one line per KPI, by area."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    entries = view()
    st.title("KPIs")
    st.session_state["search"] = st.query_params.get("search", "")

    def edited() -> None:
        if st.session_state["search"]:
            st.query_params["search"] = st.session_state["search"]
        else:
            st.query_params.pop("search", None)

    st.text_input(
        "Search",
        key="search",
        on_change=edited,
        placeholder="Search name, owner, tag, synonym …",
        label_visibility="collapsed",
    )
    found = matching(entries, st.session_state["search"])
    html(f"<p class='bw-line'>{len(found)} of {len(entries)} KPIs. One file each, in the project's kpis/ folder.</p>")
    if not found:
        st.info("No KPI has all these words. Try fewer, or a synonym.")
    for area in dict.fromkeys(e.card.area for e in found):
        st.header(area or "No area")
        html(_table([e for e in found if e.card.area == area]))


def _table(entries: list[Entry]) -> str:
    head = (
        "<tr><th>KPI</th><th class='bw-num'>Value</th><th>Status</th><th class='bw-hide-phone'>How it is counted</th>"
        "<th class='bw-hide-phone'>Owner</th></tr>"
    )
    return f"<div class='bw-scroll'><table class='bw-list bw-kpis'>{head}{''.join(map(_row, entries))}</table></div>"


def _row(entry: Entry) -> str:
    card = entry.card
    draft = " <span class='bw-chip bw-none'>Draft</span>" if card.draft else ""
    kind = " · ".join(
        part for part in (entry.type, f"by {entry.grain}" if entry.grain else "", entry.additivity) if part
    )
    return (
        f"<tr><td><a href='kpi?kpi={text(card.name)}' target='_self'>{text(card.label)}</a>{draft}"
        f"<p class='bw-sub'>{text(card.description)}</p></td>"
        f"<td class='bw-num'>{text(card.value)}<p class='bw-sub'>{text(card.period)}</p></td>"
        f"<td><span class='bw-chip bw-{card.status.slug}'>{text(card.status.label)}</span></td>"
        f"<td class='bw-hide-phone'>{text(entry.counted)}<p class='bw-sub'>{text(kind)}</p></td>"
        f"<td class='bw-hide-phone'>{text(card.owner)}</td></tr>"
    )


page()
