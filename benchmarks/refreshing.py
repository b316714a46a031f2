"""CPU of a sync's refresh: against SQL by hand with shared scans, for a day, for late rows, for one more KPI.

The dashboard workload (workload.py), 12 KPIs with 3 dimensions at 5 grains, synced in a process of its own
(syncing.py). After each sync that brings something, what is stored is held against a full computation of the same rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.hand_sql import connected
from benchmarks.measures import Measure, cpu_seconds, watched
from benchmarks.syncing import CASES, LATE_ROWS, staged

SYNCING = [sys.executable, str(Path(__file__).with_name("syncing.py"))]
GRAINS = ("day", "week", "month", "quarter", "year")
DIMENSIONS = ("", "platform", "country", "plan")

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
    connection = connected(data)
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


def measured(scale: str, data: Path, scratch: Path, cases: tuple[str, ...] = CASES) -> Iterator[Measure]:
    """Each case, CPU seconds and memory."""
    part, hand = f"refresh, {scale} events", by_hand(data)
    of = "" if scale == "10M" else "10M"
    first, wrong = 0.0, 0
    for line, peak in watched([*SYNCING, str(staged(data, scratch)), "--check", "--cases", *cases]):
        took, memory = line.get("cpu", 0.0), f"{peak:.0f} MB at most"
        match line["case"]:
            case "check":
                wrong += line["wrong"]
            case "first":
                first = took
                told = f"{line['refresh']:.1f} s beside {hand:.1f} s"
                yield Measure(part, "first sync", took, "s")
                yield Measure(part, "its refresh / by hand, shared scans", line["refresh"] / hand, "×", 1.5, told, of)
                yield Measure(part, "its memory", peak, "MB", 1000.0)
            case "day" | "late":
                what = "one new day" if line["case"] == "day" else f"{LATE_ROWS} rows ten days late"
                told = f"{took:.2f} s, {memory}"
                yield Measure(part, f"{what} / first sync", 100 * took / first, "%", 15.0, told, of)
            case "nothing":
                yield Measure(part, "nothing new, without the command's imports", took, "s", 0.8)
            case "renamed":
                yield Measure(part, "files renamed, same rows", took, "s", 10.0)
                yield Measure(part, "its memory", peak, "MB", 1000.0)
            case "further":
                yield Measure(part, "each further filtered KPI", took, "s", 0.08, "", "1M" if scale != "1M" else "")
            case "models":
                yield Measure(part, "overview model, cold", line["overview"], "ms", None, f"of {line['kpis']} KPIs")
                yield Measure(part, "KPI page model, cold", line["page"], "ms")
    yield Measure(part, "stored values, not as computed in full", wrong, "", 0)
