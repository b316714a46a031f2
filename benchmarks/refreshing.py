"""CPU of a sync's refresh: against SQL by hand with shared scans, for a day, for late rows, for one more KPI.

    python benchmarks/refreshing.py --scale 1M

The dashboard workload (benchmarks/workload.py), 12 KPIs with 3 dimensions at 5 grains. After each sync that brings
something, what is stored is held against a full computation of the same rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import duckdb
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.workload import PROJECT, cpu_seconds, make  # noqa: E402  (found by the line above)

TIMES = {"users": "signed_up_at", "events": "occurred_at", "orders": "ordered_at", "feedback": "submitted_at"}
NEW_DAY, LATE_DAY, LATE_ROWS = "2026-11-22", "2026-11-12", 29
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
FURTHER = 20  # filtered KPIs that are added
GRAINS = ("day", "week", "month", "quarter", "year")
DIMENSIONS = ("", "platform", "country", "plan")
KEY = ["kpi", "grain", "dimension", "segment", "period"]

# By hand: whoever came on a day is one row; followed events once for each dimension; percentiles from rows.
ACTIVE = """CREATE TEMP TABLE active AS
  SELECT DISTINCT CAST(occurred_at AS DATE) AS d, platform, country, plan, user_id FROM events"""
PEOPLE = "SELECT date_trunc('{g}', d) AS p, {s} AS s, count(DISTINCT user_id) FROM active GROUP BY ALL"
P95 = "SELECT date_trunc('{g}', occurred_at) AS p, {s} AS s, quantile_cont(duration_ms, 0.95) FROM events GROUP BY ALL"
WINDOW = """WITH a AS (SELECT DISTINCT d, {s} AS s, user_id FROM active),
  n AS (SELECT d, s, lead(d) OVER (PARTITION BY s, user_id ORDER BY d) AS f FROM a),
  t AS (SELECT d, s, 1 AS x FROM n UNION ALL SELECT least(coalesce(f, d + {days}), d + {days}), s, -1 FROM n)
  SELECT d, s, sum(sum(x)) OVER (PARTITION BY s ORDER BY d) FROM t GROUP BY d, s"""
SUMS = """SELECT date_trunc('day', {at}) AS p, platform, country, plan, count(*), {what} FROM {rows}
  GROUP BY GROUPING SETS ((p), (p, platform), (p, country), (p, plan))"""
FOLLOWED = {
    "activation": """CREATE OR REPLACE TEMP TABLE f AS SELECT user_id, signed_up_at, platform, country, plan, EXISTS (
        SELECT 1 FROM events x WHERE x.user_id = u.user_id AND event_name = 'create_doc' AND occurred_at >= signed_up_at
        AND occurred_at < signed_up_at + INTERVAL 7 DAY) AS did FROM users u;
      SELECT date_trunc('day', signed_up_at) AS p, platform, country, plan, avg(did::INT) FROM f
      GROUP BY GROUPING SETS ((p), (p, platform), (p, country), (p, plan))""",
    "retention_d7": """CREATE OR REPLACE TEMP TABLE f AS SELECT u.user_id, CAST(signed_up_at AS DATE) AS p, u.platform,
        u.country, u.plan, a.d - CAST(signed_up_at AS DATE) AS k FROM users u LEFT JOIN
        (SELECT DISTINCT user_id, d FROM active) a ON a.user_id = u.user_id
        AND a.d BETWEEN CAST(signed_up_at AS DATE) AND CAST(signed_up_at AS DATE) + 30;
      SELECT p, platform, country, plan, k, count(DISTINCT user_id) FROM f
      GROUP BY GROUPING SETS ((p, k), (p, k, platform), (p, k, country), (p, k, plan))""",
    "funnel": """CREATE OR REPLACE TEMP TABLE f AS SELECT user_id, platform, country, plan,
        CAST(occurred_at AS DATE) AS p, min(occurred_at) AS first_at FROM events
        WHERE event_name = 'view_pricing' GROUP BY ALL;
      CREATE OR REPLACE TEMP TABLE c AS SELECT f.*, min(occurred_at) AS c_at FROM f LEFT JOIN events e ON
        e.user_id = f.user_id AND event_name = 'start_checkout' AND occurred_at >= first_at
        AND occurred_at < first_at + INTERVAL 7 DAY GROUP BY ALL;
      SELECT p, platform, country, plan, count(*), count(c_at), count(CASE WHEN EXISTS (SELECT 1 FROM events x WHERE
        x.user_id = c.user_id AND event_name = 'purchase' AND occurred_at >= c_at
        AND occurred_at < first_at + INTERVAL 7 DAY)
        THEN 1 END) FROM c GROUP BY GROUPING SETS ((p), (p, platform), (p, country), (p, plan))""",
}


def by_hand(data: Path) -> float:
    """CPU seconds of SQL by hand for the values of the 12 KPIs; longer periods of what adds up cost nothing."""
    connection = duckdb.connect(config={"threads": os.cpu_count() or 1})
    for table in TIMES:
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{data}/{table}/*.parquet'")
    before = cpu_seconds()
    connection.execute(ACTIVE)
    for dimension in DIMENSIONS:
        segment = f"coalesce({dimension}, '(none)')" if dimension else "''"
        for text in (*(PEOPLE.format(g=g, s=segment) for g in GRAINS), *(P95.format(g=g, s=segment) for g in GRAINS)):
            connection.execute(text).df()
        for days in (7, 28):
            connection.execute(WINDOW.format(s=segment, days=days)).df()
    for text in FOLLOWED.values():
        connection.execute(text).df()
    with_users = "{} JOIN users u USING (user_id)"
    for at, what, rows in (
        ("signed_up_at", "1", "users"),
        ("ordered_at", "sum(amount)", with_users.format("orders")),
        ("submitted_at", "avg(nps_score)", with_users.format("feedback")),
    ):
        connection.execute(SUMS.format(at=at, what=what, rows=rows)).df()
    return cpu_seconds() - before


def held_back(data: Path, folder: Path) -> dict[str, Path]:
    """The star without its last day and some rows of an earlier one; returns what comes later, by table or `late`."""
    connection, later = duckdb.connect(), {}
    for table, at in TIMES.items():
        rows, key = f"'{data}/{table}/*.parquet'", f"CAST({at} AS DATE)"
        late = f"{key} = '{LATE_DAY}' LIMIT {LATE_ROWS}" if table == "events" else "false"
        connection.execute(f"CREATE OR REPLACE TABLE late AS SELECT * FROM {rows} WHERE {late}")
        later[table] = folder / f"{table}.parquet"
        connection.execute(f"COPY (SELECT * FROM {rows} WHERE {key} = '{NEW_DAY}') TO '{later[table]}'")
        if table == "events":
            later["late"] = folder / "late.parquet"
            connection.execute(f"COPY late TO '{later['late']}'")
        (folder / "data" / table).mkdir(parents=True)
        before = f"SELECT * FROM {rows} WHERE {key} < '{NEW_DAY}' EXCEPT ALL SELECT * FROM late"
        connection.execute(f"COPY ({before}) TO '{folder}/data/{table}/first.parquet'")
    return later


class Runs:
    """A project of the workload that is synced again and again. seconds: CPU of the last sync, and of its refresh."""

    def __init__(self, folder: Path) -> None:
        from jobs.project.project import open_project

        os.environ["WORKLOAD_DATA"] = str(folder / "data")
        shutil.copytree(PROJECT, folder / "project", ignore=shutil.ignore_patterns("data"))
        self.folder, self.project, self.now = folder, open_project(folder / "project"), NOW

    def sync(self, after: timedelta = timedelta(minutes=1)) -> float:
        """CPU seconds of one sync."""
        from jobs.sync import SyncResult, sync

        self.now += after
        before = cpu_seconds()
        *_, result = sync(self.project, now=self.now)
        assert isinstance(result, SyncResult)
        assert not result.problems, result.problems
        return cpu_seconds() - before

    def bring(self, path: Path, table: str) -> None:
        """A file more of a table."""
        target = self.folder / "data" / table / path.name
        shutil.move(path, target)
        os.utime(target)

    def sync_with(self, count: int) -> float:
        """CPU seconds of a sync with so many KPIs more that count some of the events."""
        for number in range(count):
            text = f"dataset: events\nagg: count\nfilter: duration_ms > {number * 50 + count}"
            path = self.folder / "project" / "kpis" / f"more_{count}_{number}.yml"
            path.write_text(f"name: {path.stem}\n{text}\n")
        return self.sync()

    def differing(self) -> int:
        """How many stored values are not those of a full computation."""
        from connectors.warehouse.contract import Staging
        from metrics.engine.query import Shared
        from metrics.engine.refresh import values

        reader = self.project.reader()
        catalogue, states = self.project.catalogue(reader), reader.dataset_states(reader.generation.sequence)
        shared, stored, full = Shared(), [], []
        for name, kpi in catalogue.kpis.items():
            full.append(values(kpi, catalogue, cast("Staging", reader), states, None, shared)[0].assign(kpi=name))
            for dimension in ("", *catalogue.dimensions_of(kpi)):
                for grain in kpi.offered_grains:
                    found = reader.stored_values(name, grain, dimension, reader.generation.sequence)
                    told = {"kpi": name, "grain": grain, "dimension": dimension}
                    stored += [found.frame.assign(**told)] if found else []
        return _differing(pd.concat(stored), pd.concat(full))


def _differing(stored: pd.DataFrame, full: pd.DataFrame) -> int:
    both = stored.merge(full, on=KEY, how="outer", suffixes=("", "_full"), indicator=True)
    wrong = both["_merge"] != "both"
    for column in ("value", "n"):
        a, b = (both[name].to_numpy("float64", na_value=float("nan")) for name in (column, f"{column}_full"))
        wrong |= ~((abs(a - b) <= 1e-9 * abs(b).clip(min=1)) | (pd.isna(a) & pd.isna(b)))
    return int((wrong | (both["complete"] != both["complete_full"])).sum())


def measured(scale: str, tell: Callable[[str, float, str], None]) -> int:
    """Tell each measure, CPU seconds and what it is held against; returns how many values were wrong."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = make(scale, folder)
        hand = by_hand(data)
        later, runs = held_back(data, folder), Runs(folder)
        full = runs.sync()
        tell("first sync", full, f"{full / hand:.2f} of SQL by hand with shared scans ({hand:.1f} s)")
        for table in TIMES:
            runs.bring(later[table], table)
        day, wrong = runs.sync(timedelta(days=1)), runs.differing()
        tell("one new day", day, f"{day / full:.0%} of the first sync")
        runs.bring(later["late"], "events")
        late, wrong = runs.sync(), wrong + runs.differing()
        tell(f"{LATE_ROWS} rows ten days late", late, f"{late / full:.0%} of the first sync")
        nothing = runs.sync()
        tell("nothing new", nothing, "")
        further = [runs.sync_with(count) for count in (1, FURTHER)]
        tell("each further filtered KPI", (further[1] - further[0]) / (FURTHER - 1), "")
        return wrong + runs.differing()


def main() -> None:
    """Print one line for each measure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scale", default="1M")
    wrong = measured(
        arguments.parse_args().scale,
        lambda what, seconds, of: print(f"{what:28} {seconds:7.2f} s CPU  {of}", flush=True),
    )
    print(f"{wrong} stored values differ from a full computation")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
