"""Filters of the pages, each kept in the address. One row, which a phone scrolls sideways."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter
from metrics.kpi_views.kpi_page import segments
from ui.shell import state, url

MOST_SEGMENTS = 12  # values of one dimension that the overview offers


def any_to_draw() -> bool:
    """Whether the overview has anything to filter by."""
    areas, parts = overview_options()
    return len(areas) > 2 or len(parts) > 1


def row() -> DeltaGenerator:
    """Where the filters of a page are drawn."""
    return st.container(key="filters", horizontal=True, horizontal_alignment="right", width="content")


@state.cached_view
def overview_options() -> tuple[dict[str, str], dict[str, str]]:
    """Areas and segments that the overview can be limited to: slug → label."""
    context = state.context()
    kpis = [k for k in context.catalogue.kpis.values() if k.overview]
    areas = {"all": "All areas", **{a: a for a in sorted({k.area for k in kpis if k.area})}}
    return areas, {"all": "Everyone", **_segments(context)}


def _segments(context: DataContext) -> dict[str, str]:
    """Values of the dimensions that at least half of the KPIs have."""
    kpis = [k for k in context.catalogue.kpis.values() if k.overview]
    having: dict[str, list[str]] = {}
    for kpi in kpis:
        for dimension in context.catalogue.dimensions_of(kpi):
            having.setdefault(dimension, []).append(kpi.name)
    found = {}
    for dimension, names in having.items():
        if 2 * len(names) >= len(kpis):
            for value in segments(context, names[0], dimension)[:MOST_SEGMENTS]:
                found[f"{dimension}:{value}"] = f"{dimension.replace('_', ' ').capitalize()}: {value}"
    return found


def area_and_segment() -> tuple[str, str]:
    """The overview's filters as the address has them."""
    areas, parts = overview_options()
    return url.read("area", list(areas), "all"), url.read("segment", list(parts), "all")


def draw_area_and_segment() -> None:
    """The widgets of the overview's filters."""
    areas, parts = overview_options()
    if len(areas) > 2:
        url.choose("area", "Area", areas, "all")
    if len(parts) > 1:
        url.choose("segment", "Segment", parts, "all")


def parse_segment(slug: str) -> tuple[Filter, ...]:
    """`platform:web` as a filter; `all` as none."""
    dimension, _, value = slug.partition(":")
    return (Filter(dimension, (value,)),) if value else ()


@state.cached_view
def segments_of(kpi: str, dimension: str) -> list[str]:
    """Values of a KPI's dimension, largest first. Not to be changed: it is everybody's."""
    return segments(state.context(), kpi, dimension)


def dimension_filters(kpi: str, dimensions: tuple[str, ...]) -> tuple[Filter, ...]:
    """The filters of a KPI page as the address has them: one parameter per dimension, values repeated."""
    found = []
    for dimension in dimensions:
        known = segments_of(kpi, dimension)
        asked = st.query_params.get_all(_parameter(dimension))
        values = tuple(v for v in asked if v in known)
        if values:
            found.append(Filter(dimension, values))
        for value in dict.fromkeys(v for v in asked if v and v not in known):
            shown = f"{', '.join(values) or 'all'} ({dimension.replace('_', ' ')})"
            url.unknown(_parameter(dimension), value, shown, {v: v for v in known})
    _of_others(dimensions)
    return tuple(found)


def _of_others(dimensions: tuple[str, ...]) -> None:
    """Filters on dimensions that other KPIs have: this one is shown without them, and says so."""
    every = {d for data in state.catalogue().datasets.values() for d in data.dimensions}
    for dimension in sorted(every - {*dimensions}):
        if value := st.query_params.get(_parameter(dimension), ""):
            url.unknown(_parameter(dimension), value, f"everything, not by {dimension.replace('_', ' ')}")


def draw_dimension_filters(options: Mapping[str, list[str]], chosen: tuple[Filter, ...]) -> None:
    """One multiple choice per dimension."""
    current = {f.dimension: list(f.values) for f in chosen}
    for dimension, values in options.items():
        key = f"filter_{dimension}"
        st.session_state[key] = current.get(dimension, [])

        def edited(dimension: str = dimension, key: str = key) -> None:
            picked = st.session_state[key]
            if picked:
                st.query_params[_parameter(dimension)] = picked
            else:
                st.query_params.pop(_parameter(dimension), None)

        st.multiselect(dimension.replace("_", " ").capitalize(), values, key=key, on_change=edited, placeholder="All")


def _parameter(dimension: str) -> str:
    """The dimension's name in the address, out of the way of the page's own parameters."""
    return f"{dimension}_is" if dimension in ("kpi", "grain", "range", "compare", "by", "embed") else dimension
