"""KPIs: the catalogue, with search."""

from __future__ import annotations

import streamlit as st

from connectors.errors import counted
from metrics.kpi_views.kpi_list import Entry, kpi_list, matching
from ui.shell import state, url
from ui.shell.empty import first_steps
from ui.shell.templates import line, render
from ui.shell.trail import trail
from ui.shell.words import literal

LONGEST = 200  # letters of a search


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
    areas = dict.fromkeys(entry.card.area for entry in entries if entry.card.area)
    area = url.read("area", list(areas), "")
    if area:
        trail((("KPIs", "kpis"),), area, "kpis", "area", {name: name for name in areas}, area)
    st.title(literal(area) if area else "KPIs")
    st.session_state["search"] = st.query_params.get("search", "")[:LONGEST]

    def edited() -> None:
        if st.session_state["search"]:
            st.query_params["search"] = st.session_state["search"]
        else:
            st.query_params.pop("search", None)

    st.text_input(
        "Search",
        key="search",
        max_chars=LONGEST,
        on_change=edited,
        placeholder="Search name, owner, tag, synonym …",
        label_visibility="collapsed",
    )
    found = [entry for entry in matching(entries, st.session_state["search"]) if area in ("", entry.card.area)]
    line(f"{len(found)} of {counted(len(entries), 'KPI')}. One file each, in the project's kpis/ folder.")
    if not found:
        st.info("No KPI has all these words. Try fewer, or a synonym.")
    for area in dict.fromkeys(e.card.area for e in found):
        st.header(literal(area) or "No area")
        render("kpi/list", entries=[e for e in found if e.card.area == area])


page()
