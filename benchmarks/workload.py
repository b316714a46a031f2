"""The dashboard workload: 12 KPIs × 3 variants, each against SQL written by hand (hand_sql.py).

Each question is answered by the product from what is finished or kept, and from rows; by hand from rows one by one,
with shared scans, and from roll-ups. All numbers have to be equal.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks import hand_sql  # noqa: E402  (found by the line above)
from benchmarks.hand_sql import DAYS, END, FIRST, FIRST_WEEK, KPIS, LAST_DAY, VARIANTS, WEEKS, Values  # noqa: E402
from benchmarks.measures import BEST_OF, Measure, best, cpu_seconds  # noqa: E402

PROJECT = Path(__file__).resolve().parent / "workload"
ZERO = ("dau", "wau", "mau", "signups", "revenue")  # an observed period without rows is 0, not unknown
QUESTIONS = tuple((kpi, variant) for kpi in KPIS for variant in VARIANTS)
Wrong = tuple[tuple[Any, float | None, float | None], ...]


@dataclass(frozen=True)
class Outcome:
    """One of the 36. wrong: (key, found, by hand from rows) of what differs; empty = equal. CPU seconds of each way."""

    kpi: str
    variant: str
    rows: int
    wrong: Wrong
    kept: float
    facts: float
    hand: float
    rolled: float


def make(scale: str, folder: Path) -> Path:
    """The star at a scale, as Parquet files."""
    data = folder / "star"
    command = [sys.executable, str(Path(__file__).parent / "generate.py"), "--scale", scale, "--out", str(data)]
    subprocess.run(command, check=True, capture_output=True)
    return data


def load(data: Path, folder: Path, kpis: tuple[str, ...] = KPIS) -> Any:
    """The workload's project with these KPIs, synced."""
    from jobs.project.project import open_project
    from jobs.sync import SyncResult, sync

    os.environ["WORKLOAD_DATA"] = str(data)
    shutil.copytree(PROJECT, folder / "project", ignore=shutil.ignore_patterns("data"))
    for path in (folder / "project" / "kpis").glob("*.yml"):
        if path.stem not in kpis:
            path.unlink()
    project = open_project(folder / "project")
    *_, result = sync(project, now=datetime(2026, 11, 23, 2, tzinfo=UTC))
    assert isinstance(result, SyncResult)
    assert not result.problems, result.problems
    return project


def asking(project: Any, kpi: str, variant: str, *, from_facts: bool) -> Callable[[], Any]:
    """The question to the engine; what it returns can be called again and remembers no answer."""
    from metrics.engine.answer import answer
    from metrics.engine.query import Filter, Query

    weekly = variant == "week_plan"
    query = Query(
        kpi,
        "week" if weekly else "day",
        END - timedelta(days=7 * WEEKS if weekly else DAYS),
        END,
        "plan" if weekly else None,
        (Filter("platform", ("ios",)), Filter("country", ("US",))) if variant == "day_f" else (),
        None if weekly else "previous_range",
    )
    reader = project.warehouse.reader()
    catalogue = project.catalogue(project.reader())
    return lambda: answer(query, catalogue, reader, from_facts=from_facts)


def ours(series: Any, variant: str) -> Values:
    """(period, segment) → value of an answer, with the periods that it is compared with."""
    from metrics.engine.frames import known_value

    found: Values = {}
    for row in series.frame.to_dict("records"):
        found[(f"{row['period']:%Y-%m-%d}", row["segment"])] = known_value(row["value"])
        if variant != "week_plan":
            earlier = row["period"] - pd.Timedelta(days=DAYS)
            found[(f"{earlier:%Y-%m-%d}", "")] = known_value(row["comparison"])
    return found


def differing(found: Values, hand: Values, kpi: str, variant: str) -> Wrong:
    """What is not as by hand in the periods asked for. One that is left out has no rows."""
    wrong, absent = [], 0.0 if kpi in ZERO else None
    first = f"{FIRST_WEEK if variant == 'week_plan' else FIRST}"
    for key in sorted(k for k in found.keys() | hand.keys() if first <= k[0] <= f"{LAST_DAY}"):
        value, want = found.get(key, absent), hand.get(key, absent)
        if (value is None) != (want is None) or (
            value is not None and want is not None and not math.isclose(value, want, rel_tol=1e-9)
        ):
            wrong.append((key, value, want))
    return tuple(wrong)


def run(project: Any, data: Path, runs: int = BEST_OF) -> list[Outcome]:
    """All 36, each in the four ways that answer one question."""
    connection, outcomes = hand_sql.connected(data), []
    hand_sql.keep(connection)
    for kpi, variant in QUESTIONS:
        ways: dict[str, Callable[[], Any]] = {
            "kept": asking(project, kpi, variant, from_facts=False),
            "facts": asking(project, kpi, variant, from_facts=True),
            "hand": _by_hand(connection, hand_sql.statement(kpi, variant)),
            "rolled": _by_hand(connection, hand_sql.statement(kpi, variant, kept=True)),
        }
        hand = hand_sql.values(ways["hand"]())
        answers = {way: ours(ways[way](), variant) for way in ("kept", "facts")}
        answers["rolled"] = hand_sql.values(ways["rolled"]())
        wrong = tuple(w for found in answers.values() for w in differing(found, hand, kpi, variant))
        took = {way: best(ask, runs) for way, ask in ways.items()}
        outcomes.append(Outcome(kpi, variant, len(answers["facts"]), wrong, **took))
    return outcomes


def _by_hand(connection: Any, text: str) -> Callable[[], pd.DataFrame]:
    return lambda: connection.execute(text).df()


def shared_scans(data: Path) -> float:
    """CPU seconds of the 36 by hand where one pass over the rows that they need makes what they share."""
    connection = hand_sql.connected(data)

    def all_of_them() -> None:
        hand_sql.keep(connection, FIRST - timedelta(days=27))
        for kpi, variant in QUESTIONS:
            connection.execute(hand_sql.statement(kpi, variant, kept=True)).df()

    return best(all_of_them)


def roll_ups(data: Path) -> float:
    """CPU seconds of making the roll-ups of all rows."""
    connection = hand_sql.connected(data)
    before = cpu_seconds()
    hand_sql.keep(connection)
    return cpu_seconds() - before


def measured(outcomes: list[Outcome], data: Path, scale: str) -> Iterator[Measure]:
    """The 36 beside SQL by hand, and the 12 among them that have a filter."""
    part, of = f"36 questions, {scale} events", "" if scale == "10M" else "10M"
    wrong = [o for o in outcomes if o.wrong]
    told = f"first: {wrong[0].kpi} {wrong[0].variant} {wrong[0].wrong[0]}" if wrong else "in every way of asking"
    yield Measure(part, "of 36, not equal to SQL by hand", len(wrong), "", 0, told)
    hand = sum(o.hand for o in outcomes)
    rolled, shared = sum(o.rolled for o in outcomes), shared_scans(data)
    yield Measure(part, "by hand, separate statements", hand, "s")
    yield Measure(part, "by hand, shared scans / separate", shared / hand, "×")
    yield Measure(part, "by hand, roll-ups / separate", rolled / hand, "×", None, f"made in {roll_ups(data):.1f} s")
    yield Measure(part, "product / separate", sum(o.kept for o in outcomes) / hand, "×")
    yield Measure(part, "product from rows / separate", sum(o.facts for o in outcomes) / hand, "×")
    stored = [o for o in outcomes if o.variant != "day_f"]
    yield Measure(part, "one of the 24 without filter", 1000 * sum(o.kept for o in stored) / len(stored), "ms")
    some = [o for o in outcomes if o.variant == "day_f"]
    hand, part = sum(o.hand for o in some), f"any filter, 12 questions, {scale}"
    yield Measure(part, "by hand, from rows", hand, "s")
    yield Measure(part, "by hand, roll-ups / rows", sum(o.rolled for o in some) / hand, "×")
    yield Measure(part, "product / rows by hand", sum(o.kept for o in some) / hand, "×", 0.6, of=of)
    yield Measure(part, "product from rows / rows by hand", sum(o.facts for o in some) / hand, "×", 1.3, of=of)


def by_question(outcomes: list[Outcome]) -> str:
    """CPU milliseconds of each of the 36."""
    heads = f"{'KPI':14} {'variant':10} {'rows':>5} {'product':>8} {'its rows':>8} {'by hand':>8} {'roll-ups':>8}"
    lines = [
        f"{o.kpi:14} {o.variant:10} {o.rows:5} "
        + " ".join(f"{1000 * seconds:8.1f}" for seconds in (o.kept, o.facts, o.hand, o.rolled))
        + (f"  DIFFERS in {len(o.wrong)}, first {o.wrong[0]}" if o.wrong else "")
        for o in outcomes
    ]
    return "\n".join([heads, *lines])
