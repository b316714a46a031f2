"""The headline and the first lines of a snapshot: what matters most comes first, and a record means something."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.project.project import Project, open_project
from jobs.snapshots.take import take_by_hand
from metrics.engine.answer import answer
from metrics.engine.query import Query
from metrics.kpi_views.consequence import Consequence, Matter, ranked
from metrics.kpi_views.overview import headline, rank
from metrics.kpi_views.status import Status
from metrics.snapshots.bullets import MOST, NOTHING
from metrics.snapshots.document import Document
from metrics.snapshots.records import SPANS, record
from tests.conftest import NOW, Builder, copied_demo
from tests.sampling import SEED, cases

PROJECTS = cases(fast=1, slow=3, full=40)
RANKINGS = cases(fast=200, slow=2000, full=10_000)
MONDAY = pd.Timestamp("2026-11-16")
SAID = {  # how a sentence reads → how much it matters; by hand, in the order that was asked for
    r" is off track and worsening: ": 0,
    r" is off track: ": 1,
    r" is at risk and worsening: ": 2,
    r": critical alert since ": 3,
    r": critical alert over since ": 4,
    r": warning alert since ": 5,
    r": warning alert over since ": 6,
    r", after \d+ days: ": 7,
    r" missed its target of | is at risk: ": 8,
    r" moved most": 9,
    r" is at its (highest|lowest) in \d+ \w+: ": 10,
    re.escape(NOTHING): 11,
}


def weight(sentence: str) -> int:
    found = [rank for pattern, rank in SAID.items() if re.search(pattern, sentence)]
    assert found, sentence
    return found[0]


def held(document: Document, known: dict[str, int]) -> None:
    """What is true of the first lines of every snapshot. known: KPI → complete periods."""
    weights = [weight(sentence) for sentence in document.summary]
    assert weights == sorted(weights), document.summary
    assert len(document.summary) <= MOST
    subjects = [s.partition(" is ")[0].partition(":")[0] for s in document.summary if weight(s) not in (7, 11)]
    assert len(subjects) == len(set(subjects)), "one sentence for each KPI"
    assert all(s.endswith(".") and ".." not in s and "None" not in s for s in document.summary)
    off = [line for line in document.lines if line.status == "off_track" and not line.segment]
    if off and len(off) <= MOST:
        assert {line.title for line in off} <= {s.partition(" is ")[0] for s in document.summary}
    for line in document.lines:
        if line.record:
            (count,) = re.findall(r"\d+", line.record)
            assert 2 * int(count) <= known[line.kpi], "a record over all that is known is none"


def known_of(project: Project, now: datetime) -> dict[str, int]:
    """KPI → periods of its home grain that are complete and known."""
    context = project.context(now)
    counts = {}
    for name in context.catalogue.kpis:
        frame = answer(Query(name), context.catalogue, context.reader).frame
        counts[name] = int((frame["complete"] & frame["value"].notna()).sum())
    return counts


def random_shop(folder: Path, seed: int) -> Project:
    """Daily visits of one to two and a half years: KPIs that grow, that only swing, that break; targets at random."""
    random = np.random.default_rng((SEED, seed))
    days = int(random.integers(300, 900))
    at = pd.date_range(MONDAY - pd.Timedelta(days=days), MONDAY, inclusive="left")
    growth = float(random.choice([0.0, 0.001, 0.004]))
    sizes = random.poisson(12 * np.exp(growth * np.arange(days)).clip(max=6))
    sizes[-int(random.integers(1, 15)) :] = sizes[-14:].mean() * random.choice([0.3, 1.0, 1.6])
    rows = pd.DataFrame({"at": np.repeat(at.to_numpy(), sizes) + np.timedelta64(12, "h")})
    rows["platform"] = random.choice(["web", "ios"], len(rows))
    rows["done"] = random.random(len(rows)) < 0.5
    rows["amount"] = random.integers(1, 40, len(rows)).astype(float)
    late = (rows["at"] >= MONDAY - pd.Timedelta(days=int(random.integers(1, 15)))) & (rows["platform"] == "ios")
    rows.loc[late, "done"] &= random.random(int(late.sum())) < random.choice([0.1, 1.0])
    project = Builder(folder)
    project.rows("visits", rows, dimensions="[platform]", watermark="whole_days")
    week = float(sizes[-14:].sum() / 2)
    for name, body, usual in (
        ("visits", "agg: count\ngrain: week", week),
        ("daily", "agg: count\ngrain: day", week / 7),
        ("amount", "agg: sum\nexpr: amount\ngrain: month", week * 4.3 * 20),
    ):
        goal = round(usual * float(random.choice([0.8, 1.1])), 1)
        more = f"thresholds: {{warning: '< {goal}', critical: '< {goal * 0.9:.1f}'}}" if random.random() < 0.5 else ""
        project.kpi(name, f"dataset: visits\n{body}\ntargets: [{{value: {goal}}}]\n{more}")
    rate = "numerator: {dataset: visits, agg: count, filter: done}\ndenominator: {dataset: visits, agg: count}"
    rule = "alerts: [{name: low, thresholds: {critical: '< 40%'}}]"
    project.kpi("rate", f"type: ratio\n{rate}\nformat: percent\ngrain: week\n{rule}")
    project.sync(monday(0))
    return project.open()


def monday(back: int) -> datetime:
    at: datetime = (MONDAY - pd.Timedelta(days=7 * back) + pd.Timedelta(hours=6)).to_pydatetime()
    return at.replace(tzinfo=UTC)


@pytest.mark.sampled(PROJECTS)
def test_the_first_line_is_never_less_consequential_than_a_later_one(tmp_path: Path) -> None:
    seen: set[int] = set()
    for number in range(PROJECTS):
        project = random_shop(tmp_path / str(number), number)
        counts = known_of(project, monday(0))
        for week in ("2026-W44", "2026-W45", "2026-W46"):
            made = take_by_hand(project, "", week, by="ana", now=monday(0))
            held(made, counts)
            seen |= {weight(sentence) for sentence in made.summary}
    assert len(seen) >= min(4, PROJECTS + 1), f"the cases meet several kinds: {seen}"


def test_the_demo_week_by_week(demo_folder: Path, tmp_path: Path) -> None:
    project = open_project(copied_demo(demo_folder, tmp_path / "demo"))
    counts = known_of(project, NOW)
    told = {}
    for number in range(36, 48):
        made = take_by_hand(project, "", f"2026-W{number}", by="ana", now=NOW)
        held(made, counts)
        told[number] = made.summary
    first = told[47][0]
    assert first.startswith("Error-free sessions is off track and worsening: 98.4% on Sun 22 Nov, ")
    assert "; platform android accounts for " in first and first.endswith("; critical alert since Thu 19 Nov.")
    assert not any("highest" in sentence for sentence in told[47]), "what grows each week sets no records"
    read = [number for number, said in told.items() if any("Guided onboarding, after 28 days: " in s for s in said)]
    assert len(read) == 1, "a verdict is told in the week that it was reached"


@pytest.mark.sampled(RANKINGS)
def test_any_matters_are_told_the_most_consequential_first_and_once_for_each_kpi() -> None:
    random = np.random.default_rng(SEED)
    for _ in range(RANKINGS):
        found = [
            Matter(Consequence(int(random.integers(11))), f"k{random.integers(4)}", "K", f"{i}", float(random.random()))
            for i in range(random.integers(0, 12))
        ]
        kept = ranked(found)
        assert [m.consequence for m in kept] == sorted(m.consequence for m in kept)
        others = [m.kpi for m in kept if m.consequence is not Consequence.VERDICT]
        assert len(others) == len(set(others)) and set(others) == {
            m.kpi for m in found if m.consequence is not Consequence.VERDICT
        }
        for kpi in set(others):
            first = next(m for m in kept if m.kpi == kpi and m.consequence is not Consequence.VERDICT)
            assert first.consequence == min(
                m.consequence for m in found if m.kpi == kpi and m.consequence is not Consequence.VERDICT
            )


@dataclass(frozen=True)
class Shown:
    label: str
    gap: str
    status: Status
    worse: bool


def shown(label: str, slug: str, depth: float = 0.0, *, worse: bool = False) -> Shown:
    return Shown(label, f"{depth:.0f} under target", Status(slug, "", depth), worse)


@pytest.mark.parametrize(
    ("cards", "alerts", "said"),
    [
        (
            [shown("A", "off_track", 9), shown("B", "off_track", 1, worse=True), shown("C", "on_track", worse=True)],
            ["C"],
            "2 of 3 off track, 1 of them worsening; worst B, 1 under target",
        ),
        (
            [shown("A", "off_track", 9, worse=True), shown("B", "off_track", 1, worse=True)],
            [],
            "2 of 2 off track, both of them worsening; worst A, 9 under target",
        ),
        ([shown("A", "off_track", 9), shown("B", "at_risk", worse=True)], [], "1 of 2 off track; A, 9 under target"),
        ([shown("A", "off_track", 2, worse=True)], [], "1 of 1 off track and worsening; A, 2 under target"),
        (
            [shown("A", "at_risk", 2, worse=True), shown("B", "on_track")],
            ["B"],
            "1 of 2 at risk and worsening; A, 2 under target",
        ),
        ([shown("A", "at_risk", 2), shown("B", "on_track")], ["B"], "1 of 2 at risk; critical alert on B"),
        (
            [shown("A", "on_track"), shown("B", "no_target")],
            ["B", "A"],
            "Nothing off track; critical alert on B and 1 more",
        ),
        ([shown("A", "on_track"), shown("B", "no_target")], [], "All 1 with a target on track"),
    ],
)
def test_the_headline_names_what_is_off_track_and_worsening_first(
    cards: list[Shown], alerts: Sequence[str], said: str
) -> None:
    assert headline(sorted(cards, key=rank), alerts) == said


def values(*parts: Any) -> pd.Series:
    plain = np.concatenate([np.atleast_1d(np.asarray(part, dtype=float)) for part in parts])
    return pd.Series(plain, index=pd.date_range("2020-01-06", periods=len(plain), freq="7D"))


def test_a_record_is_over_a_span_that_is_half_of_what_is_known() -> None:
    swings = np.random.default_rng(SEED).normal(100, 5, 200)
    assert record(values(swings[:51], 150), "week") == ("highest", 26)
    assert record(values(swings[:50], 150), "week") is None, "56 weeks would be all there is"
    assert record(values(swings[:110], 40), "week") == ("lowest", 52)
    assert record(values(swings[:51], 100), "week") is None
    assert record(values(swings[:40], np.nan, swings[:10], 150), "week") is None, "a gap may have been higher"
    assert record(values(np.arange(120)), "week") is None, "of what always grows each week is a record"
    assert record(values(np.arange(120) + np.random.default_rng(SEED).normal(0, 2, 120)), "week") is None
    assert record(values(np.arange(120, 0, -1)), "week") is None


@pytest.mark.sampled(RANKINGS)
def test_no_record_spans_all_that_is_known() -> None:
    random = np.random.default_rng(SEED)
    told = 0
    for _ in range(RANKINGS):
        grain = str(random.choice(["day", "week", "month", "quarter"]))
        series = values(np.cumsum(random.normal(0, random.random(), 400)) + random.normal(0, 3, 400))
        series = series.iloc[: int(random.integers(1, 400))]
        found = record(series, grain)
        if found is not None:
            told += 1
            word, span = found
            assert span in SPANS[grain] and 2 * span <= len(series)
            last, before = series.iloc[-1], series.iloc[-span:-1]
            assert last > before.max() if word == "highest" else last < before.min()
    assert told > RANKINGS / 50


def test_a_missed_target_of_a_month_is_told_in_the_week_that_it_became_final(project: Builder) -> None:
    at = pd.date_range("2026-06-01", MONDAY, inclusive="left") + pd.Timedelta(hours=12)
    project.rows("visits", pd.DataFrame({"at": at}), watermark="whole_days")
    limits = "thresholds: {warning: '< 20', critical: '< 10'}"
    project.kpi(
        "visits", f"label: Visits\ndataset: visits\nagg: count\ngrain: month\ntargets: [{{value: 40}}]\n{limits}"
    )
    project.sync(monday(0))
    told = {}
    for week in ("2026-W43", "2026-W44", "2026-W45"):
        told[week] = take_by_hand(project.open(), "", week, by="ana", now=monday(0)).summary
    assert told == {
        "2026-W43": (),
        "2026-W44": (
            "Visits missed its target of 40: 31 in October 2026, +3.3% vs the month before; 22.5% under target.",
        ),
        "2026-W45": (),
    }


def test_alerts_of_the_week_are_told_with_the_value_by_now(project: Builder) -> None:
    days = pd.date_range("2026-09-07", MONDAY, inclusive="left")
    counts = [2 if day >= MONDAY - pd.Timedelta(days=2) else 10 for day in days]
    rows = pd.DataFrame({"at": np.repeat(days.to_numpy(), counts) + np.timedelta64(12, "h")})
    project.rows("visits", rows, watermark="whole_days")
    rule = "alerts: [{name: low, thresholds: {critical: '< 5'}}]"
    project.kpi("visits", f"label: Visits\ndataset: visits\nagg: count\n{rule}")
    project.sync(monday(0))
    made = take_by_hand(project.open(), "", "2026-W46", by="ana", now=monday(0))
    assert made.headline == "Nothing off track; critical alert on Visits."
    assert made.summary[0] == (
        "Visits: critical alert since Sat 14 Nov, below 5 (critical); 2 on Sun 15 Nov, −80.0% vs Sun 8 Nov."
    )
    before = take_by_hand(project.open(), "", "2026-W45", by="ana", now=monday(0))
    assert not any("alert" in sentence for sentence in before.summary)
