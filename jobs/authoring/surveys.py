"""Survey scores among columns: what people answered on a scale, and what they wrote beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from jobs.authoring.names import column, words
from jobs.authoring.profile import Column, Profile
from jobs.authoring.proposal import Kpi

ASKED = {  # scale → words of the question, lowest and highest answer, label, what it says
    "nps": (
        {"nps", "recommend", "promoter", "weiterempfehlen", "empfehlen", "recommander", "recomendar", "likelihood"},
        (0, 10),
        "NPS",
        "Promoters (9, 10) minus detractors (0 to 6), per 100 answers",
    ),
    "csat": (
        {"csat", "satisfied", "satisfaction", "happy", "zufrieden", "satisfait", "satisfecho"},
        (1, 5),
        "CSAT",
        "Share of answers 4 and 5 of 5",
    ),
    "ces": ({"ces", "effort", "easy", "ease"}, (1, 7), "CES", "Mean answer on a scale of 1 to 7"),
}
WRITTEN = set(words("comment comments reason why feedback verbatim words improve better tell remarks"))
EXACT = {"nps", "csat", "ces"}


def survey_kpis(profile: Profile, *, score: Column | None = None, scale: str = "nps") -> Iterator[Kpi]:
    """A KPI for each question with a scale. score: a column that is known to hold answers on this scale."""
    found = [(score, scale)] if score else [(c, s) for c in profile.columns if (s := scale_of(c))]
    names: list[str] = []
    for c, kind in found:
        names.append(kind)
        number = names.count(kind)
        yield _kpi(profile, c, kind, kind if number == 1 else f"{kind}_{number}")


def scale_of(c: Column) -> str:
    """nps, csat or ces, if the column's name asks so and its answers are on that scale; else empty."""
    asked = set(words(c.name))
    for scale, (known, (low, high), *_) in ASKED.items():
        if asked & known and c.name != "" and _answers(c, low, high):
            return scale
    return ""


def _answers(c: Column, low: int, high: int) -> bool:
    if c.is_number:
        known = c.low is not None and c.high is not None and low <= c.low and c.high <= high
        return known and (c.high or 0) > high / 2 and (c.distinct <= high - low + 1)
    numbers = [n for v in c.values if (n := _number(v)) is not None and low <= n <= high]
    return c.is_text and len(numbers) >= 2 and len(numbers) >= 0.8 * len(c.values)


def _number(answer: str) -> int | None:
    """`10 - Extremely likely` is 10, `Not at all likely - 0` is 0; a date or a price is none."""
    found = re.fullmatch(r"\s*(\d{1,2})(?:\D.*)?|\D*\D(\d{1,2})\s*", answer)
    return int(found[1] or found[2]) if found else None


def _kpi(profile: Profile, c: Column, scale: str, name: str) -> Kpi:
    _, _, shown, words_ = ASKED[scale]
    sql = column(c.name)
    score = sql if c.is_number else f"TRY_CAST(regexp_extract({sql}, '[0-9]+') AS BIGINT)"
    written = comment(profile.columns)
    keys = {"type": "survey", "dataset": profile.name, "score": score, "scale": scale}
    if written:
        keys["comment"] = column(written.name)
    used = (c.name, *([written.name] if written else []))
    form = {"nps": "0", "csat": "percent", "ces": "0.0"}[scale]
    label = shown if name == scale else f"{shown} {name.rpartition('_')[2]}"
    return Kpi(name, label, f"{words_}: {c.name}", keys, form, used=used)


def comment(columns: Iterable[Column]) -> Column | None:
    """The column of what people wrote, if there is one."""
    return next((c for c in columns if c.is_text and WRITTEN & set(words(c.name)) and not scale_of(c)), None)
