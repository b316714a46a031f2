"""Alert rules on the KPI page: choose one or move a threshold, and see at once what it would have done."""

from __future__ import annotations

import math

import streamlit as st

from metrics.alerts.expected_range import SENSITIVITIES
from metrics.alerts.rule_chart import TRY_LIMIT, TRY_RANGE, Overlay, Slider, choices, default_choice, slider, tried
from metrics.alerts.rules import Rule
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.query import Filter
from ui.shell import state, url
from ui.shell.templates import banner, line, render

MOST_PERIODS = 7


@state.cached_view
def slider_of(kpi: str, where: tuple[Filter, ...]) -> Slider | None:
    """The threshold's range."""
    context = state.context()
    return slider(context, context.catalogue.kpi(kpi), where)


def chosen_rule(kpi: KpiCommon, where: tuple[Filter, ...]) -> Rule | None:
    """The rule that the address names, with what was moved."""
    known = choices(kpi)
    choice = url.read("rule", list(known), default_choice(kpi))
    slide = slider_of(kpi.name, where) if choice == TRY_LIMIT else None
    return tried(kpi, choice, _limit(slide), slide, _count(), url.read("sensitivity", SENSITIVITIES, "default"))


def rule_controls(kpi: KpiCommon, where: tuple[Filter, ...], found: Overlay | None) -> None:
    """The choice, its sliders, what it would have done, and the rule to copy."""
    st.header("Alerts")
    known = choices(kpi)
    with st.container(horizontal=True, vertical_alignment="bottom", key="rule_bar"):
        choice = url.choose("rule", "Rule", known, default_choice(kpi))
        if choice == TRY_LIMIT:
            _move(slider_of(kpi.name, where))
        if choice == TRY_RANGE:
            url.choose("sensitivity", "Sensitivity", {s: s.capitalize() for s in SENSITIVITIES}, "default")
        if choice in (TRY_LIMIT, TRY_RANGE):
            counts = {
                str(n): f"After {n} {kpi.grain}{'s in a row' if n > 1 else ''}" for n in range(1, MOST_PERIODS + 1)
            }
            url.choose("for", "For", counts, "1")
    if found is None:
        line("Choose a rule, or try one: the chart shows what it would have done.")
        return
    render("kpi/would", found=found)
    if found.learning:
        banner(found.learning)
    if found.yaml:
        render("kpi/keep_rule", name=kpi.name)
        st.code(found.yaml, language="yaml")


def _move(slide: Slider | None) -> None:
    if slide is None:
        return
    st.session_state["limit"] = _limit(slide)

    def moved() -> None:
        st.query_params["limit"] = f"{st.session_state['limit']:.12g}"

    st.slider(
        f"Fires when {'below' if slide.operator == '<' else 'above'}" + (f" ({slide.suffix})" if slide.suffix else ""),
        slide.low,
        slide.high,
        step=slide.step,
        key="limit",
        on_change=moved,
        width=420,
        format=f"%.{max(0, -round(math.log10(slide.step)))}f",
    )


def _limit(slide: Slider | None) -> float:
    if slide is None:
        return 0.0
    try:
        asked = float(st.query_params.get("limit", slide.start))
    except ValueError:
        url.unknown("limit", st.query_params["limit"], f"{slide.start:.12g}")
        return slide.start
    return min(slide.high, max(slide.low, asked))


def _count() -> int:
    return int(url.read("for", [str(n) for n in range(1, MOST_PERIODS + 1)], "1"))
