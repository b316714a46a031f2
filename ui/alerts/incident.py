"""One alert with what can be done about it: acknowledge, silence, mark, call it normal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

import streamlit as st

from connectors.errors import KpiError
from jobs.alerts import incidents as job
from jobs.project.clock import utc_now
from jobs.project.undo import Scope
from metrics.alerts.board import AlertItem
from ui.shell import state
from ui.shell.acts import do
from ui.shell.templates import render
from ui.shell.words import literal_lines

SPANS = {"4 hours": timedelta(hours=4), "1 day": timedelta(days=1), "1 week": timedelta(days=7)}
COLORS = {"critical": "off_track", "warning": "at_risk", "": "no_target"}


def alert_card(item: AlertItem, *, link: bool = True) -> None:
    """What fires, where, since when; then its buttons."""
    name = _slug(f"{item.rule_key} {item.segment}")
    with st.container(key=f"alert_{name}", border=True, gap="small"):
        _words(item, link=link)
        if state.may("acknowledge"):
            with st.container(horizontal=True, key=f"do_{name}", gap="small"):
                _actions(item)


def _words(item: AlertItem, *, link: bool) -> None:
    slug = COLORS[item.severity] if item.state in ("firing", "recovering") else "waiting_for_data"
    told = [f"{word} {said}" for word, said in (("expected", item.expected), ("since", item.since)) if said]
    owner = f"Owner {item.owner}" if item.owner else ""
    rule = f"Fires {item.words}" if item.words else ""
    lines = [item.place, item.why, " · ".join(filter(None, (owner, rule))), item.acknowledged]
    if item.silenced:
        lines.append(f"Silenced {item.silenced}")
    query = urlencode(item.view) if link else ""
    render("alerts/incident", item=item, slug=slug, query=query, told=told, lines=[words for words in lines if words])


def _actions(item: AlertItem) -> None:
    number = item.incident
    key = _slug(f"{item.rule_key} {item.segment}")
    if number and not item.acknowledged:
        st.button("Acknowledge", key=f"ack_{key}", type="primary", on_click=_acknowledge, args=(number,))
    with st.popover("Silence"):
        for label, span in SPANS.items():
            st.button(label, key=f"silence_{label}_{key}", on_click=_silence, args=(item, span))
    if not number:
        return
    if item.can_be_normal:
        st.button(
            "New normal",
            key=f"normal_{key}",
            on_click=_new_normal,
            args=(item, number),
            help="Close this incident and treat the current level as normal from now on.",
        )
    for verdict, label in (("useful", "Useful"), ("noise", "Noise")):
        st.button(
            f"{label} ✓" if item.mark == verdict else label,
            key=f"{verdict}_{key}",
            type="tertiary",
            on_click=_mark,
            args=(number, verdict),
            help="Counted per rule, to show which rules are worth their noise.",
        )


def _acknowledge(number: int) -> None:
    scopes = [Scope("alert_incidents", (("id", number),))]
    _done(lambda: job.acknowledge(state.project(), number, by=state.who(), now=utc_now()), scopes, "Acknowledged.")


def _silence(item: AlertItem, span: timedelta) -> None:
    until: datetime = utc_now() + span
    _done(
        lambda: job.silence(
            state.project(), item.rule_key, until, by=state.who(), now=utc_now(), segment=item.segment or None
        ),
        [Scope("alert_silences", (("rule_key", item.rule_key), ("segment", item.segment or None)))],
        "No notifications until then. The rule is still evaluated.",
    )


def _new_normal(item: AlertItem, number: int) -> None:
    place = (("rule_key", item.rule_key), ("segment", item.segment))
    _done(
        lambda: job.new_normal(state.project(), number, by=state.who(), now=utc_now()),
        [Scope("alert_incidents", (("id", number),)), Scope("alert_standings", place), Scope("alert_normals", place)],
        "Closed: the current level is the new normal.",
    )


def _mark(number: int, verdict: Literal["useful", "noise"]) -> None:
    scopes = [Scope("alert_incidents", (("id", number),))]
    _done(
        lambda: job.mark(state.project(), number, verdict, by=state.who(), now=utc_now()), scopes, "Noted. Thank you."
    )


def _done(act: Callable[[], object], scopes: Sequence[Scope], words: str) -> None:
    """Do it and say so; an error is told, not thrown."""
    try:
        do("acknowledge", words, scopes, act)
        st.toast(words)
    except KpiError as error:
        st.toast(literal_lines(f"{error.message} {error.hint}"))


def _slug(words: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in words).strip("_")
