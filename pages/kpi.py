"""KPI: one number, its series, its parts, and where it comes from."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from jobs.alerts.board import firing_of, normal_periods
from jobs.alerts.explained import open_incident
from jobs.project.clock import utc_now
from metrics.alerts.board import AlertItem
from metrics.alerts.change import Change, where_it_sits
from metrics.alerts.rule_chart import Overlay, overlay
from metrics.alerts.rules import Rule
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.types.survey import PARTS
from metrics.engine.query import Filter
from metrics.kpi_views.chart import comparable_grains
from metrics.kpi_views.insight import insight
from metrics.kpi_views.kpi_list import in_order
from metrics.kpi_views.kpi_page import COMPARISONS, DEFAULT_RANGE, RANGES, KpiPage, kpi_page
from metrics.kpi_views.origin import Origin, origin
from ui.kpi.change import show_change
from ui.kpi.charts import series_figure
from ui.kpi.drawers import drawers, fires
from ui.kpi.hero import hero
from ui.kpi.rule import chosen_rule
from ui.kpi.types import draw
from ui.shell import state, url
from ui.shell.empty import first_steps
from ui.shell.ended import headed
from ui.shell.filters import dimension_filters, draw_dimension_filters, row, segments_of
from ui.shell.plot import plot
from ui.shell.share import share
from ui.shell.templates import banner, line, render
from ui.shell.trail import trail
from ui.shell.words import literal


@state.cached_view
def view(kpi: str, grain: str, range_: str, compare: str, by: str, where: tuple[Filter, ...], who: str) -> KpiPage:
    """The page of one KPI on the live data."""
    return kpi_page(state.context(), kpi, grain=grain, range_=range_, compare=compare, by=by, where=where, who=who)


@state.cached_view
def overlay_of(kpi: str, rule: Rule, where: tuple[Filter, ...]) -> Overlay:
    """What a rule adds to the chart."""
    context = state.context()
    return overlay(context, context.catalogue.kpi(kpi), rule, where, normal_periods(state.project(), rule.key, where))


@state.cached_view
def firing(kpi: str) -> tuple[AlertItem, ...]:
    """Open incidents of a KPI."""
    return firing_of(state.project(), kpi, now=utc_now())


@state.cached_view
def change_of(kpi: str, where: tuple[Filter, ...]) -> Change | None:
    """Where the change that matters sits."""
    context = state.context()
    return where_it_sits(context, kpi, where, open_incident(state.project(), context, kpi, where, now=utc_now()))


@state.cached_view
def origin_of(kpi: str) -> Origin:
    """Where its number comes from."""
    w = state.context()
    return origin(kpi, w.catalogue, w.reader, w.runs, w.table_sources)


def page() -> None:
    """The way here, number, sentence, chart; then what it is made of, and drawers that load when they are opened."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    catalogue = state.catalogue()
    titles = in_order(catalogue)
    if not titles:
        st.title("No KPIs yet")
        st.write("Write one file per KPI in the project's `kpis/` folder; docs/definitions.md has examples.")
        return
    first = next((n for n in titles if n in catalogue.kpis and catalogue.kpis[n].overview), next(iter(titles)))
    listing, former = ("All KPIs", "kpis"), catalogue.formerly
    name = url.subject("kpi", "KPI", titles, first, listing=listing, renamed=former, picker=False)
    kpi = catalogue.kpi(name)
    if name in catalogue.withheld:
        st.title(literal(kpi.title))
        line(f"Its values are not shown to your role: {catalogue.withheld[name]}.")
        return
    dimensions = catalogue.dimensions_of(kpi)
    grain = url.read("grain", comparable_grains(kpi, catalogue), kpi.grain)
    range_ = url.read("range", list(RANGES), DEFAULT_RANGE[grain])
    compare = url.read("compare", list(COMPARISONS), "none")
    by = url.read("by", dimensions, "")
    where = dimension_filters(name, dimensions)
    who = url.read("who", PARTS, "")
    found = view(name, grain, range_, compare, by, where, who)
    rule = chosen_rule(kpi, where)
    shown = overlay_of(name, rule, where) if rule is not None else None
    change = change_of(name, where)
    area = (kpi.area, f"kpis?{urlencode({'area': kpi.area})}")
    trail((("KPIs", "kpis"), *((area,) if kpi.area else ())), kpi.title, "kpi", "kpi", titles, name, found.description)
    with st.container(gap="small"):
        st.title(literal(found.card.label))
        if found.card.draft:
            render("kpi/draft")
        if found.card.notice:
            banner(found.card.notice)
        fires(firing(name), name)
        hero(found.card)
        moved = change.sentence if change else ""
        line(insight(found.card, found.so_far, moved, ordinary=change is None or change.folded))
        headed()
        _controls(found, kpi, where)
        _chart(found, shown if rule is not None and grain == (rule.grain or kpi.grain) and not by else None)
    draw(found.shape)
    show_change(change)
    drawers(kpi, found, where, shown, items=firing(name), origin=lambda: origin_of(name))


def _controls(found: KpiPage, kpi: KpiCommon, where: tuple[Filter, ...]) -> None:
    """One row, kept in the address."""
    with row():
        url.choose("range", "Range", RANGES, DEFAULT_RANGE[found.series.grain])
        if len(found.grains) > 1:
            url.choose("grain", "Grain", {g: f"By {g}" for g in found.grains}, kpi.grain)
        url.choose("compare", "Comparison", COMPARISONS, "none")
        if found.dimensions:
            cuts = {"": "No breakdown", **{d: f"By {d.replace('_', ' ')}" for d in found.dimensions}}
            url.choose("by", "Breakdown", cuts, "")
            with st.popover(f"Filters ({len(where)})" if where else "Filters"):
                draw_dimension_filters({d: segments_of(kpi.name, d) for d in found.dimensions}, where)
        share("kpi")


def _chart(found: KpiPage, shown: Overlay | None) -> None:
    if found.chart.title:
        st.header(found.chart.title)
    if not found.chart.periods:
        st.info(f"No complete {found.chart.grain} in this range. {found.chart.note}")
        return
    words = f"{found.card.label} over time. {found.chart.note}"
    views = (found.chart,) if shown is None else (found.chart, shown)
    plot(lambda: series_figure(found.chart, shown), *views, key="series", alt=words)
    render("shell/lines", lines=(found.chart.note, *found.notes))
    if found.launches:
        render("kpi/launches", items=[(w, f"launch?{urlencode({'launch': n})}") for w, n in found.launches])


page()
