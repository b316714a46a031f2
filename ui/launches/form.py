"""The form that makes a launch or another mark."""

from __future__ import annotations

import re
from datetime import date
from functools import partial
from typing import Any

import streamlit as st

from connectors.errors import KpiError
from jobs.launches.registry import add, as_text
from jobs.project.clock import utc_now
from jobs.project.undo import Scope
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.launch import Launch
from metrics.catalog.segments import among
from ui.shell import state
from ui.shell.acts import do
from ui.shell.filters import segments_of
from ui.shell.words import literal, literal_lines

KINDS = {
    "launch": "Launch",
    "incident": "Incident",
    "campaign": "Campaign",
    "holiday": "Holiday",
    "redefinition": "Redefinition",
    "note": "Note",
}
STEP = re.compile(r"^\s*(\d{4}-\d{2}-\d{2})\s*[:,]?\s*(\d+(?:\.\d+)?)\s*%\s*$")


def launch_form() -> None:
    """Fields, and what is wrong with them. On success the new launch's page opens."""
    catalogue = state.catalogue()
    with st.expander("New launch or mark", key="new_launch"):
        values = _basics(catalogue.today(utc_now()))
        values |= _kpis(catalogue, launch=values["kind"] == "launch")
        if values["kind"] == "launch":
            values |= _audience(catalogue, [s["kpi"] for s in values.get("success", [])])
            values |= _more(catalogue)
        if st.button("Save", type="primary", key="save_launch"):
            _save(values)


def _basics(today: date) -> dict[str, Any]:
    left, middle, right = st.columns([3, 1, 1])
    label = left.text_input("Name", key="launch_label", placeholder="Offline mode", max_chars=200)
    kind = middle.selectbox("Kind", list(KINDS), format_func=KINDS.__getitem__, key="launch_kind")
    on = right.date_input("Day", today, key="launch_on", format="YYYY-MM-DD")
    values: dict[str, Any] = {"name": _slug(label), "label": label.strip(), "kind": kind, "on": _day(on)}
    if kind == "launch":
        owner, hypothesis = st.columns([1, 2])
        values["owner"] = owner.text_input(
            "Owner", key="launch_owner", placeholder="who is notified of verdicts"
        ).strip()
        values["hypothesis"] = hypothesis.text_input(
            "What is it built to do?", key="launch_hypothesis", placeholder="People who can work offline stay longer."
        ).strip()
        return values
    until = st.date_input("Last day, if it lasted several", None, key="launch_until", format="YYYY-MM-DD")
    return {**values, "until": _day(until)}


def _kpis(catalogue: Catalogue, *, launch: bool) -> dict[str, Any]:
    titles = {name: kpi.title for name, kpi in sorted(catalogue.kpis.items(), key=lambda i: i[1].title)}
    if not launch:
        chosen = st.multiselect(
            "Shown on these KPIs (empty = all)", list(titles), format_func=titles.__getitem__, key="launch_kpis"
        )
        return {"kpis": list(chosen)}
    left, right = st.columns(2)
    values: dict[str, Any] = {}
    for place, key, question, wish, example in (
        (left, "success", "KPIs it should move", "expect", "+4pp, +5% or empty"),
        (right, "guardrails", "KPIs it must not hurt", "limit", "< 2.6, > 40 or empty"),
    ):
        with place:
            chosen = st.multiselect(question, list(titles), format_func=titles.__getitem__, key=f"launch_{key}")
            rows = []
            for name in chosen:
                said = st.text_input(
                    f"{literal(titles[name])}: {'expected effect' if wish == 'expect' else 'limit'}",
                    key=f"launch_{key}_{name}",
                    placeholder=example,
                )
                rows.append({"kpi": name, **({wish: said.strip()} if said.strip() else {})})
            values[key] = rows
    return values


def _audience(catalogue: Catalogue, success: list[str]) -> dict[str, Any]:
    found = dict[str, Any]()
    names = success or list(catalogue.kpis)[:1]
    dimensions = list(dict.fromkeys(d for n in names for d in catalogue.dimensions_of(catalogue.kpi(n))))
    left, middle, right = st.columns([1, 2, 1], vertical_alignment="bottom")
    by = left.selectbox(
        "Who gets it?",
        ["", *dimensions],
        key="launch_by",
        format_func=lambda d: f"Some, by {d.replace('_', ' ')}" if d else "Everyone",
    )
    if not by:
        return found
    known = list(dict.fromkeys(s for n in names for s in segments_of(n, by)))
    chosen = middle.multiselect("Which", known, key="launch_segments")
    control = right.checkbox("Use the others as control", True, key="launch_control")
    if chosen:
        found["audience"] = among(by, chosen)
        if control:
            found["control"] = among(by, chosen, others=True)
    return found


def _more(catalogue: Catalogue) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with st.expander("Rollout, adoption, go-to-market"):
        steps = st.text_area(
            "Rollout, a step a line",
            key="launch_rollout",
            height=90,
            placeholder="2026-12-01 10%\n2026-12-08 50%\n2026-12-15 100%",
        )
        if steps.strip():
            found["rollout"] = [_step(line) for line in steps.splitlines() if line.strip()]
            found["on"] = None
        left, right = st.columns(2)
        followed = sorted(name for name, item in catalogue.datasets.items() if item.entity)
        dataset = left.selectbox(
            "Usage dataset", ["", *followed], key="launch_dataset", format_func=lambda d: d or "no dataset"
        )
        used = right.text_input("Usage filter", key="launch_used", placeholder="editor = 'new'")
        if dataset and used.strip():
            found["adoption"] = {"dataset": dataset, "used": used.strip()}
        lines = st.text_area("Go-to-market, a line each: audience | message | channel", key="launch_gtm", height=90)
        found["go_to_market"] = [_line(line) for line in lines.splitlines() if line.strip()]
    return found


def _save(values: dict[str, Any]) -> None:
    if not values["name"]:
        st.error("Enter a name.")
        return
    try:
        made: list[Launch] = []
        scope = Scope("launches", (("name", values["name"]),))
        write = partial(add, state.project(), as_text(values), by=state.who(), now=utc_now(), from_page=True)
        do("launch", "The launch is saved.", [scope], lambda: made.append(write()))
    except KpiError as error:
        st.error(literal_lines(f"{error.message}\n\n{error.hint}"))
        return
    if made[0].kind == "launch":
        st.switch_page("../pages/launch.py", query_params={"launch": made[0].name})
    st.toast(f"{literal(made[0].title)} is shown on its KPIs.")


def _step(line: str) -> dict[str, Any]:
    found = STEP.match(line)
    return {"on": found[1], "share": float(found[2]) / 100} if found else {"on": line.strip()}


def _line(line: str) -> dict[str, Any]:
    parts = [part.strip() for part in line.split("|")]
    return {key: part for key, part in zip(("audience", "message", "channel"), parts, strict=False) if part}


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:80]


def _day(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, date) else None
