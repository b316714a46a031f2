"""A survey as people read it: how many were glad, in between and not; and what they wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.survey import Survey
from metrics.engine import periods
from metrics.engine.answer import default_scope
from metrics.engine.data_context import DataContext
from metrics.engine.feedback import Answers, written
from metrics.engine.query import Filter, Series
from metrics.presentation import format as fmt
from metrics.presentation.export import counts

SCALES = {
    "nps": "Promoters (9, 10) minus detractors (0 to 6), per 100 answers",
    "csat": "Share of answers of 4 and 5",
    "ces": "Mean answer, from 1 to 7",
}
COMMENTS = 30  # the latest ones
LABELS = {
    "nps": {"promoters": "Promoters (9–10)", "passives": "Passives (7–8)", "detractors": "Detractors (0–6)"},
    "csat": {"promoters": "Satisfied (4–5)", "passives": "Neutral (3)", "detractors": "Dissatisfied (1–2)"},
    "ces": {"promoters": "Easy (5–7)", "passives": "Neutral (4)", "detractors": "Hard (1–3)"},
}


@dataclass(frozen=True)
class Comment:
    """One answer's words. who: promoters, passives or detractors."""

    when: str
    score: str
    who: str
    words: str


@dataclass(frozen=True)
class SurveyShape:
    """labels: group → words. shares: group → share of each period's answers. latest: the last complete period."""

    drawn_by: ClassVar[str] = "survey"

    labels: dict[str, str]
    periods: tuple[pd.Timestamp, ...]
    shares: dict[str, tuple[float | None, ...]]
    texts: dict[str, tuple[str, ...]]
    latest: tuple[tuple[str, str, str], ...]  # group, count, share
    latest_period: str
    comments: tuple[Comment, ...]


def in_words(kpi: Survey, catalogue: Catalogue) -> str:
    """Its scale, and of which answers."""
    return f"{SCALES[kpi.scale]}, of {kpi.score}{f' where {kpi.filter}' if kpi.filter else ''}"


def shape(context: DataContext, kpi: Survey, series: Series, where: tuple[Filter, ...], who: str) -> SurveyShape | None:
    """Groups over time, and the latest comments up to the last complete period. who: only this group's."""
    frame = series.frame
    done = frame[frame["complete"] & (frame["n"].fillna(0) > 0)]
    if series.by or done.empty:
        return None
    rows = [counts(series, parts) for parts in frame["parts"]]
    shares: dict[str, tuple[float | None, ...]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    totals = [sum(c for c in row if c is not None) for row in rows]
    for i, name in enumerate(series.part_names):
        shares[name] = tuple(
            row[i] / total if row[i] is not None and total else None  # type: ignore[operator]
            for row, total in zip(rows, totals, strict=True)
        )
        texts[name] = tuple(fmt.UNKNOWN if row[i] is None else f"{row[i]:,}" for row in rows)
    last = done["period"].iloc[-1]
    known = counts(series, done["parts"].iloc[-1])
    total = sum(c or 0 for c in known)
    latest = tuple(
        (name, f"{count:,}", fmt.share_text((count or 0) / total))
        for name, count in zip(series.part_names, known, strict=True)
    )
    states = context.reader.dataset_states(context.reader.generation.sequence)
    full = default_scope(kpi, "day", context.catalogue, context.reader, states)
    asked = Answers(kpi, full.start, min(periods.after(last, series.grain), full.end), where)
    said = written(asked, context.catalogue, context.reader, group=who, limit=COMMENTS)
    return SurveyShape(
        LABELS[kpi.scale],
        tuple(frame["period"]),
        shares,
        texts,
        latest,
        fmt.period_text(last, series.grain, 0),
        tuple(
            Comment(fmt.period_text(r["said_at"], "day", context.now.year), f"{r['score']:g}", r["who"], r["comment"])
            for r in said.to_dict("records")
        ),
    )
