"""What pages and the command show of launches: the board, one page, exports, JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.launches.scorecards import (
    all_decisions,
    breaches_of,
    card_of,
    cards,
    decisions_of,
    published_by_launch,
    published_row,
)
from jobs.project.project import Project
from metrics.launches.adoption import Adoption
from metrics.launches.board import LaunchBoard, launch_board
from metrics.launches.export import html as as_html
from metrics.launches.export import markdown
from metrics.launches.guardrail import Guard
from metrics.launches.page import LaunchPage, launch_page
from metrics.launches.people.people_block import as_numbers
from metrics.launches.proposed_control import ProposedControl
from metrics.launches.reading import rounded
from metrics.launches.scorecard import KpiScore, Scorecard
from metrics.launches.segments_block import as_numbers as segments_as_numbers
from metrics.launches.voice import ScoreChange
from metrics.presentation.format import iso


def board(project: Project, *, now: datetime) -> LaunchBoard:
    """The page Launches. Raises NoData, StateError."""
    decided: dict[str, str] = {}
    for item in all_decisions(project):
        decided.setdefault(item.launch, f"{item.decision.capitalize()}: {item.why}".rstrip(": "))
    catalogue = project.catalogue()
    return launch_board(cards(project, now=now), catalogue, decided, catalogue.today(now))


def page_of(project: Project, name: str, *, now: datetime) -> LaunchPage:
    """The page Launch. Raises NoData, UnknownName, StateError."""
    return _page(project, card_of(project, name, now=now), now)


def _page(project: Project, card: Scorecard, now: datetime) -> LaunchPage:
    name = card.launch.name
    ends = [score.observed.complete_to for score in card.scores if score.observed and score.observed.complete_to]
    context = project.context(now)
    mark = None
    if ends:
        mark = min(ends).tz_localize(context.catalogue.timezone).to_pydatetime()
    return launch_page(
        card,
        context.catalogue,
        now=now,
        data_to=mark,
        decisions=[(d.decision, d.why, d.by, d.decided_at) for d in decisions_of(project, name)],
        breaches=[(b.kpi, b.since, b.closed_at) for b in breaches_of(project, name)],
    )


def shown(project: Project, name: str, *, now: datetime, html: bool) -> str:
    """The page as Markdown or HTML."""
    page = page_of(project, name, now=now)
    return (as_html if html else markdown)(page, project.links)


def list_rows(project: Project, *, now: datetime, kind: str = "") -> list[dict[str, Any]]:
    """`kpi launch list --json`: launches and marks, the latest first."""
    readings, rows = published_by_launch(project), []
    catalogue = project.catalogue()
    today = catalogue.today(now)
    for item in sorted(catalogue.launches, key=lambda x: x.starts_on, reverse=True):
        if kind and item.kind != kind:
            continue
        mine = [k for k in readings.get(item.name, []) if k.reading.verdict]
        days = (today - item.starts_on).days
        rows.append(
            {
                "name": item.name,
                "label": item.title,
                "kind": item.kind,
                "start": item.starts_on.isoformat(),
                "phase": "planned" if days < 0 else "started",
                "day": max(0, days),
                "owner": item.owner or None,
                "verdicts": [f"{k.reading.kpi} D+{k.reading.days}: {k.reading.verdict}" for k in mine],
            }
        )
    return rows


def scorecard_dict(project: Project, name: str, *, now: datetime) -> dict[str, Any]:
    """`kpi launch show --json`: the scorecard in numbers."""
    card = card_of(project, name, now=now)
    launch = card.launch
    return {
        "launch": launch.name,
        "label": launch.title,
        "kind": launch.kind,
        "start": launch.starts_on.isoformat(),
        "owner": launch.owner or None,
        "phase": card.phase,
        "day": card.day,
        "headline": _page(project, card, now).summary,
        "kpis": [_score(score) for score in card.scores],
        "adoption": _adoption(card.adoption),
        "voice": _voice(card),
        "people": as_numbers(card.people) if card.people else None,
        "readiness": [{"state": c.state, "words": c.words} for c in card.readiness],
        "overlaps": list(card.overlaps),
        "decisions": [
            {"decision": d.decision, "why": d.why, "by": d.by, "at": iso(d.decided_at)}
            for d in decisions_of(project, name)
        ],
    }


def _score(score: KpiScore) -> dict[str, Any]:
    look = score.today.reading
    return {
        "kpi": score.kpi.name,
        "role": score.role,
        "expect": score.wish or None,
        "readings": [{**published_row(item), "restated": _restated(score, item.reading.days)} for item in score.kept],
        "today": {**look.as_dict(), "badges": list(look.badges)},
        "guardrail": _guard(score.guard),
        "proposed_control": _proposed(score.proposed),
        "by_segment": segments_as_numbers(score.segments),
    }


def _proposed(found: ProposedControl | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "controls": list(found.controls),
        "names": list(found.names),
        "mix": [rounded(part) for part in found.mix],
        "narrower": rounded(found.narrower),
        "reading": None if found.reading is None else found.reading.as_dict(),
        "left_out": None if found.left_out is None else [rounded(end) for end in found.left_out],
        "others": found.others,
        "as_much": found.as_much,
    }


def _restated(score: KpiScore, days: int) -> dict[str, Any] | None:
    found = score.restated.get(days)
    if found is None:
        return None
    now = found.reading
    return {
        "cause": found.cause,
        "verdict": now.verdict or None,
        "effect": now.effect,
        "low": now.low,
        "high": now.high,
    }


def _guard(guard: Guard | None) -> dict[str, Any] | None:
    if guard is None:
        return None
    return {
        "holds": guard.holds,
        "must": guard.must,
        "limit": guard.limit,
        "value": guard.value,
        "period": f"{guard.period:%Y-%m-%d}" if guard.period is not None else None,
        "since": f"{guard.since:%Y-%m-%d}" if guard.since is not None else None,
    }


def _adoption(found: Adoption | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "audience": found.audience,
        "used": found.used,
        "share": found.share,
        "again": found.again,
        "within": {s.name: s.value for s in found.within},
        "curve": [{"day": f"{day:%Y-%m-%d}", "share": share} for day, share in found.curve],
        "segments": {
            name: [{"segment": s.name, "used": s.used, "audience": s.of} for s in shares]
            for name, shares in found.segments
        },
    }


def _voice(card: Scorecard) -> dict[str, Any] | None:
    if card.voice is None:
        return None

    def told(name: str, change: ScoreChange) -> dict[str, Any]:
        return {
            "group": name,
            "before": change.before.value,
            "after": change.after.value,
            "n_before": change.before.n,
            "n_after": change.after.n,
            "change": change.change,
            "low": change.low,
            "high": change.high,
        }

    groups = [told(name, change) for name, change in card.voice.groups]
    groups += [told("those who used it, against those who did not", card.voice.apart)] if card.voice.apart else []
    words = [{"word": w.word, "before": w.before, "after": w.after} for w in card.voice.words]
    return {"kpi": card.voice.kpi.name, "groups": groups, "comments": len(card.voice.comments), "words": words}
