"""The dashboard workload: 12 KPIs × 3 variants, each against SQL written by hand (benchmarks/README.md).

    python benchmarks/workload.py --scale 1M

The SQL below knows nothing of the engine. Where a number is not mature yet, it says NULL by its own condition.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PROJECT = Path(__file__).resolve().parent / "workload"
LAST_DAY = date(2026, 11, 22)  # a Sunday: where the generator's data ends
END = LAST_DAY + timedelta(days=1)
DAYS, WEEKS = 90, 13
KPIS = (
    "dau",
    "wau",
    "mau",
    "stickiness",
    "signups",
    "activation",
    "retention_d7",
    "funnel",
    "revenue",
    "arpu",
    "p95_duration",
    "nps",
)
VARIANTS = ("day", "day_f", "week_plan")
FILTER = "{t}.platform = 'ios' AND {t}.country = 'US'"

# {e} filters events, {u} users. Daily: day, value. Weekly: week, plan, value.
FIRST = END - timedelta(days=2 * DAYS)
SPINE = f"(SELECT unnest(generate_series(DATE '{FIRST}', DATE '{LAST_DAY}', INTERVAL 1 DAY)) AS d)"
FIRST_WEEK = END - timedelta(days=7 * WEEKS)
WEEK_SPINE = f"(SELECT unnest(generate_series(DATE '{FIRST_WEEK}', DATE '{LAST_DAY}', INTERVAL 7 DAY)) AS w)"
# One row for each sign-up: its day, its plan, whether it did it.
ACTIVATED = """SELECT CAST(signed_up_at AS DATE) AS d, plan, CASE WHEN EXISTS (
    SELECT 1 FROM events x WHERE x.user_id = u.user_id AND event_name = 'create_doc'
      AND occurred_at >= signed_up_at AND occurred_at < signed_up_at + INTERVAL 7 DAY) THEN 1.0 ELSE 0 END AS did
  FROM users u WHERE {u}"""
CAME_BACK = """SELECT CAST(signed_up_at AS DATE) AS d, plan, CASE WHEN EXISTS (
    SELECT 1 FROM events x WHERE x.user_id = u.user_id
      AND CAST(occurred_at AS DATE) = CAST(signed_up_at AS DATE) + 7) THEN 1.0 ELSE 0 END AS did
  FROM users u WHERE {u}"""
# One row for each person and day of a first step: when it checked out, whether it paid.
FUNNEL = """SELECT d, plan, CASE WHEN EXISTS (
    SELECT 1 FROM events p WHERE p.user_id = two.user_id AND p.event_name = 'purchase'
      AND p.occurred_at >= two.c_at AND p.occurred_at < two.first_at + INTERVAL 7 DAY) THEN 1.0 ELSE 0 END AS did
FROM (
  SELECT one.user_id, one.plan, one.d, one.first_at, min(c.occurred_at) AS c_at
  FROM (SELECT user_id, {plan} AS plan, CAST(occurred_at AS DATE) AS d, min(occurred_at) AS first_at FROM events e
        WHERE event_name = 'view_pricing' AND {e} GROUP BY ALL) one
  LEFT JOIN events c ON c.user_id = one.user_id AND c.event_name = 'start_checkout' AND c.occurred_at >= one.first_at
    AND c.occurred_at < one.first_at + INTERVAL 7 DAY
  GROUP BY ALL) two"""
SHARE = "SELECT d, CASE WHEN d + INTERVAL 8 DAY <= DATE '{end}' THEN avg(did) END FROM ({rows}) GROUP BY d"
WEEK_SHARE = """SELECT w, plan, CASE WHEN w + INTERVAL 14 DAY <= DATE '{end}' THEN avg(did) END
FROM (SELECT date_trunc('week', d) AS w, plan, did FROM ({rows})) GROUP BY w, plan"""
ROWS = {"activation": ACTIVATED, "retention_d7": CAME_BACK, "funnel": FUNNEL}
NPS = "100.0 * (count(*) FILTER (nps_score >= 9) - count(*) FILTER (nps_score <= 6)) / count(*)"
DAILY = {
    "dau": """SELECT d, count(DISTINCT user_id) FROM {spine}
      LEFT JOIN events e ON CAST(occurred_at AS DATE) = d AND {e} GROUP BY d""",
    "wau": """SELECT d, count(DISTINCT user_id) FROM {spine}
      LEFT JOIN (SELECT DISTINCT user_id, CAST(occurred_at AS DATE) AS day FROM events e WHERE {e})
      ON day <= d AND day > d - INTERVAL 7 DAY GROUP BY d""",
    "mau": """SELECT d, count(DISTINCT user_id) FROM {spine}
      LEFT JOIN (SELECT DISTINCT user_id, CAST(occurred_at AS DATE) AS day FROM events e WHERE {e})
      ON day <= d AND day > d - INTERVAL 28 DAY GROUP BY d""",
    "signups": """SELECT d, count(user_id) FROM {spine}
      LEFT JOIN users u ON CAST(signed_up_at AS DATE) = d AND {u} GROUP BY d""",
    "revenue": """SELECT d, coalesce(sum(amount), 0) FROM {spine}
      LEFT JOIN (SELECT * FROM orders JOIN users u USING (user_id) WHERE {u}) ON CAST(ordered_at AS DATE) = d
      GROUP BY d""",
    "p95_duration": """SELECT CAST(occurred_at AS DATE), quantile_cont(duration_ms, 0.95) FROM events e
      WHERE {e} GROUP BY 1""",
    "nps": "SELECT CAST(submitted_at AS DATE), {nps} FROM feedback JOIN users u USING (user_id) WHERE {u} GROUP BY 1",
    **dict.fromkeys(ROWS, SHARE),
}
WEEKLY = {
    "dau": """SELECT w, plan, sum(n) / 7.0 FROM (
      SELECT date_trunc('week', occurred_at) AS w, plan, CAST(occurred_at AS DATE) AS d, count(DISTINCT user_id) AS n
      FROM events GROUP BY ALL) GROUP BY ALL""",
    "wau": "SELECT date_trunc('week', occurred_at), plan, count(DISTINCT user_id) FROM events GROUP BY ALL",
    "mau": """SELECT w, plan, count(DISTINCT user_id) FROM {weeks}
      JOIN events ON occurred_at < w + INTERVAL 7 DAY AND occurred_at >= w - INTERVAL 21 DAY GROUP BY ALL""",
    "signups": "SELECT date_trunc('week', signed_up_at), plan, count(*) FROM users GROUP BY ALL",
    "revenue": """SELECT date_trunc('week', ordered_at), plan, sum(amount) FROM orders JOIN users USING (user_id)
      GROUP BY ALL""",
    "p95_duration": """SELECT date_trunc('week', occurred_at), plan, quantile_cont(duration_ms, 0.95) FROM events
      GROUP BY ALL""",
    "nps": """SELECT date_trunc('week', submitted_at), plan, {nps} FROM feedback JOIN users USING (user_id)
      GROUP BY ALL""",
    **dict.fromkeys(ROWS, WEEK_SHARE),
}
ZERO = ("dau", "wau", "mau", "signups", "revenue")  # an observed period without rows is 0, not unknown
Values = dict[tuple[str, str], float | None]


@dataclass(frozen=True)
class Outcome:
    """One of the 36. wrong: (key, ours, by hand) of what differs; empty = equal. seconds: of our answer from rows."""

    kpi: str
    variant: str
    rows: int
    wrong: tuple[tuple[Any, float | None, float | None], ...]
    seconds: float


def cpu_seconds() -> float:
    """CPU of this process and its children so far, also of those that still run (the worker that computes SQL)."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total, tick = time.process_time() + ended.ru_utime + ended.ru_stime, os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / tick
    return total


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
    now = datetime(2026, 11, 23, 2, tzinfo=UTC)
    *_, result = sync(project, now=now)
    assert isinstance(result, SyncResult)
    assert not result.problems, result.problems
    return project


def by_hand(connection: duckdb.DuckDBPyConnection, kpi: str, variant: str) -> Values:
    """(period, segment) → value, by SQL of its own."""
    if kpi == "stickiness":
        return _divided(by_hand(connection, "dau", variant), by_hand(connection, "mau", variant))
    if kpi == "arpu":
        people = by_hand(connection, "wau" if variant == "week_plan" else "dau", variant)
        return _divided(by_hand(connection, "revenue", variant), people)
    e = FILTER.format(t="e") if variant == "day_f" else "true"
    u = FILTER.format(t="u") if variant == "day_f" else "true"
    plan = "plan" if variant == "week_plan" else "''"
    rows = ROWS.get(kpi, "").format(e=e, u=u, plan=plan)
    text = (WEEKLY if variant == "week_plan" else DAILY)[kpi].format(
        e=e, u=u, end=END, spine=SPINE, weeks=WEEK_SPINE, nps=NPS, rows=rows
    )
    found: Values = {}
    for row in connection.execute(text).fetchall():
        segment = row[1] if variant == "week_plan" else ""
        found[(f"{row[0]:%Y-%m-%d}", segment)] = None if row[-1] is None else float(row[-1])
    return found


def _divided(top: Values, bottom: Values) -> Values:
    return {key: None if not bottom.get(key) else (top.get(key) or 0.0) / float(bottom[key] or 0) for key in bottom}


def ours(project: Any, kpi: str, variant: str, *, from_facts: bool) -> tuple[Values, float]:
    """The same from the engine, and CPU seconds that it took."""
    from metrics.engine.answer import answer
    from metrics.engine.frames import known_value
    from metrics.engine.query import Filter, Query

    where = (Filter("platform", ("ios",)), Filter("country", ("US",))) if variant == "day_f" else ()
    weekly = variant == "week_plan"
    start = END - timedelta(days=7 * WEEKS if weekly else DAYS)
    query = Query(
        kpi,
        "week" if weekly else "day",
        start,
        END,
        "plan" if weekly else None,
        where,
        None if weekly else "previous_range",
    )
    reader = project.reader()
    catalogue = project.catalogue(reader)
    before = cpu_seconds()
    frame = answer(query, catalogue, reader, from_facts=from_facts).frame
    seconds = cpu_seconds() - before
    found: Values = {}
    for row in frame.to_dict("records"):
        found[(f"{row['period']:%Y-%m-%d}", row["segment"])] = known_value(row["value"])
        if not weekly:
            earlier = row["period"] - pd.Timedelta(days=DAYS)
            found[(f"{earlier:%Y-%m-%d}", "")] = known_value(row["comparison"])
    return found, seconds


def run(project: Any, data: Path) -> list[Outcome]:
    """All 36, each from finished values (where there are any) and from rows."""
    connection = duckdb.connect()
    for table in ("users", "events", "orders", "feedback"):
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{data}/{table}/*.parquet'")
    outcomes = []
    for kpi in KPIS:
        for variant in VARIANTS:
            hand = by_hand(connection, kpi, variant)
            wrong = []
            for from_facts in (False, True):
                found, seconds = ours(project, kpi, variant, from_facts=from_facts)
                for key, value in found.items():
                    want = hand.get(key, 0.0 if kpi in ZERO else None)
                    if (value is None) != (want is None) or (
                        value is not None and want is not None and not math.isclose(value, want, rel_tol=1e-9)
                    ):
                        wrong.append((key, value, want))
            outcomes.append(Outcome(kpi, variant, len(found), tuple(wrong), seconds))
    return outcomes


def main() -> None:
    """Print one line for each of the 36."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scale", default="1M")
    scale = arguments.parse_args().scale
    with tempfile.TemporaryDirectory() as folder:
        data = make(scale, Path(folder))
        before = cpu_seconds()
        project = load(data, Path(folder))
        print(f"{scale} events, first sync {cpu_seconds() - before:.1f} s CPU")
        outcomes = run(project, data)
    for outcome in outcomes:
        state = "equal" if not outcome.wrong else f"DIFFERS in {len(outcome.wrong)}, first {outcome.wrong[0]}"
        print(f"{outcome.kpi:14} {outcome.variant:10} {outcome.rows:5} values  {outcome.seconds:6.3f} s CPU  {state}")
    print(f"{sum(not o.wrong for o in outcomes)} of {len(outcomes)} equal to hand SQL")
    sys.exit(any(o.wrong for o in outcomes))


if __name__ == "__main__":
    main()
