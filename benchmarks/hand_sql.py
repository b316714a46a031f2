"""The workload's 36 questions in SQL by hand: from rows, with scans that questions share, and from roll-ups.

Nothing here knows the engine. A question is asked of *sources* (who was active, who did it, what was earned), each read
from rows or from a table that was made before; a number that is not mature yet is NULL by the question's own condition.
What a person may know of this star is used: a user's country and plan never change.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd

from benchmarks.measures import THREADS

LAST_DAY = date(2026, 11, 22)  # a Sunday: where the generator's data ends
END = LAST_DAY + timedelta(days=1)
DAYS, WEEKS = 90, 13
FIRST, FIRST_WEEK = END - timedelta(days=2 * DAYS), END - timedelta(days=7 * WEEKS)
ALWAYS = date(2020, 1, 1)
TABLES = ("users", "events", "orders", "feedback")
FILTER = "AND {of}platform = 'ios' AND {of}country = 'US'"

# From rows. {since}: the first day that is read; {f}: a filter on a row's own columns, {u}: on its user's; {plan}: that
# column where it is asked for; {own}: more of them, that a roll-up is kept by.
FROM_ROWS = {
    "active": "SELECT DISTINCT user_id, CAST(occurred_at AS DATE) AS d {plan} {own} FROM events "
    "WHERE occurred_at >= DATE '{since}' {f}",
    "signed": "SELECT CAST(signed_up_at AS DATE) AS d, plan {own}, count(*) AS v FROM users "
    "WHERE signed_up_at >= DATE '{since}' {f} GROUP BY ALL",
    "earned": "SELECT CAST(ordered_at AS DATE) AS d, plan {own}, sum(amount) AS v FROM orders "
    "JOIN users USING (user_id) WHERE ordered_at >= DATE '{since}' {f} GROUP BY ALL",
    "scored": "SELECT CAST(submitted_at AS DATE) AS d, plan {own}, count(*) FILTER (nps_score >= 9) AS good, "
    "count(*) FILTER (nps_score <= 6) AS bad, count(*) AS n FROM feedback JOIN users USING (user_id) "
    "WHERE submitted_at >= DATE '{since}' {f} GROUP BY ALL",
    # One row for each sign-up: its day, its plan, whether it did it.
    "activation": """SELECT CAST(signed_up_at AS DATE) AS d, plan {own}, y.user_id IS NOT NULL AS did FROM users
      LEFT JOIN (
        SELECT DISTINCT user_id FROM events JOIN users USING (user_id)
        WHERE event_name = 'create_doc' AND occurred_at >= DATE '{since}' AND signed_up_at >= DATE '{since}'
          AND occurred_at >= signed_up_at AND occurred_at < signed_up_at + INTERVAL 7 DAY) y USING (user_id)
      WHERE signed_up_at >= DATE '{since}' {f}""",
    "retention_d7": """SELECT CAST(signed_up_at AS DATE) AS d, plan {own}, y.user_id IS NOT NULL AS did FROM users
      LEFT JOIN (
        SELECT DISTINCT e.user_id FROM events e JOIN users s ON e.user_id = s.user_id
          AND CAST(occurred_at AS DATE) = CAST(signed_up_at AS DATE) + 7
        WHERE occurred_at >= DATE '{since}' AND signed_up_at >= DATE '{since}') y USING (user_id)
      WHERE signed_up_at >= DATE '{since}' {f}""",
    # One row for each person and day of a first step: whether it paid, after it had checked out and in time.
    "funnel": """SELECT d, plan {own}, count(p.occurred_at) > 0 AS did FROM (
        SELECT one.*, min(c.occurred_at) AS c_at FROM (
          SELECT user_id, plan {own}, CAST(occurred_at AS DATE) AS d, min(occurred_at) AS first_at FROM events
          WHERE event_name = 'view_pricing' AND occurred_at >= DATE '{since}' {f} GROUP BY ALL) one
        LEFT JOIN (SELECT user_id, occurred_at FROM events
          WHERE event_name = 'start_checkout' AND occurred_at >= DATE '{since}') c ON c.user_id = one.user_id
          AND c.occurred_at >= first_at AND c.occurred_at < first_at + INTERVAL 7 DAY GROUP BY ALL) two
      LEFT JOIN (SELECT user_id, occurred_at FROM events
        WHERE event_name = 'purchase' AND occurred_at >= DATE '{since}') p ON p.user_id = two.user_id
        AND p.occurred_at >= c_at AND p.occurred_at < first_at + INTERVAL 7 DAY
      GROUP BY two.user_id, d, plan {own}, first_at""",
}
# What a count of distinct people takes as it is.
VISITS = "SELECT user_id, CAST(occurred_at AS DATE) AS d, plan FROM events WHERE occurred_at >= DATE '{since}' {f}"
# The same of tables that were made before. Who was active on two platforms is there twice.
FROM_TABLES = {
    name: f"SELECT {'DISTINCT user_id, d {plan}' if name == 'active' else '*'} FROM kept_{name} "
    "WHERE d >= DATE '{since}' {f}"
    for name in FROM_ROWS
}
# One for each person and day over all platforms, too: its first step is the first of them all.
FROM_TABLES["funnel"] = "SELECT * FROM kept_{attempts} WHERE d >= DATE '{since}' {f}"
FROM_TABLES["visits"] = "SELECT user_id, d, plan FROM kept_active WHERE d >= DATE '{since}' {f}"
OWN = ", platform, country"

SPINE = "SELECT CAST(unnest(generate_series(DATE '{first}', DATE '{last}', INTERVAL 1 DAY)) AS DATE) AS d"
# The linear way: each active day counts {n} days on, cut where the person's next one begins its own.
ROLLING = """WITH active AS (FROM ({active})),
  spans AS (SELECT d, lead(d) OVER (PARTITION BY user_id ORDER BY d) AS next FROM active),
  steps AS (SELECT d, 1 AS step FROM spans UNION ALL SELECT least(coalesce(next, d + {n}), d + {n}), -1 FROM spans
    UNION ALL SELECT d, 0 FROM ({spine})),
  rolled AS (SELECT d, sum(sum(step)) OVER (ORDER BY d) AS v FROM steps GROUP BY d)"""
A_DAY = "SELECT d, {v} AS v FROM ({source}) GROUP BY d"
A_WEEK = "SELECT date_trunc('week', d) AS w, plan, {v} AS v FROM ({source}) GROUP BY w, plan"
SHARE = {
    "day": "SELECT d, CASE WHEN d + 8 <= DATE '{end}' THEN avg(did::INT) END AS v FROM ({source}) GROUP BY d",
    "week": "SELECT date_trunc('week', d) AS w, plan, CASE WHEN w + INTERVAL 14 DAY <= DATE '{end}' "
    "THEN avg(did::INT) END AS v FROM ({source}) GROUP BY w, plan",
}
PEOPLE = "count(DISTINCT user_id)"
NPS = "100.0 * (sum(good) - sum(bad)) / sum(n)"
# Each week of a person counts for four.
MONTHS = """WITH m AS (SELECT w, plan, count(*) AS v FROM (
    SELECT DISTINCT user_id, w + CAST(7 * unnest(range(4)) AS INT) AS w FROM (
      SELECT DISTINCT user_id, CAST(date_trunc('week', d) AS DATE) AS w FROM ({visits})))
    JOIN (SELECT user_id, plan FROM users) USING (user_id) GROUP BY w, plan)"""
DAILY = {
    "dau": A_DAY.replace("{v}", "count(*)").replace("{source}", "{active}"),
    "wau": ROLLING.replace("{n}", "7") + " SELECT d, v FROM rolled",
    "mau": ROLLING.replace("{n}", "28") + " SELECT d, v FROM rolled",
    "stickiness": ROLLING.replace("{n}", "28")
    + """ SELECT d, coalesce(a.v, 0) / nullif(rolled.v, 0) AS v FROM rolled
      LEFT JOIN (SELECT d, count(*) AS v FROM active GROUP BY d) a USING (d)""",
    "signups": A_DAY.replace("{v}", "sum(v)").replace("{source}", "{signed}"),
    "revenue": A_DAY.replace("{v}", "sum(v)").replace("{source}", "{earned}"),
    "arpu": """SELECT d, coalesce(r.v, 0) / a.v AS v FROM (SELECT d, count(*) AS v FROM ({active}) GROUP BY d) a
      LEFT JOIN (SELECT d, sum(v) AS v FROM ({earned}) GROUP BY d) r USING (d)""",
    "p95_duration": """SELECT CAST(occurred_at AS DATE) AS d, quantile_cont(duration_ms, 0.95) AS v FROM events
      WHERE occurred_at >= DATE '{since}' {f} GROUP BY 1""",
    "nps": A_DAY.replace("{v}", NPS).replace("{source}", "{scored}"),
    **{name: SHARE["day"].replace("{source}", f"{{{name}}}") for name in ("activation", "retention_d7", "funnel")},
}
WEEKLY = {
    "dau": A_WEEK.replace("{v}", "count(*) / 7.0").replace("{source}", "{active}"),
    "wau": A_WEEK.replace("{v}", PEOPLE).replace("{source}", "{visits}"),
    "mau": MONTHS + " SELECT w, plan, v FROM m",
    "stickiness": MONTHS
    + """ SELECT w, plan, coalesce(a.v, 0) / m.v AS v FROM m LEFT JOIN (
      SELECT CAST(date_trunc('week', d) AS DATE) AS w, plan, count(*) / 7.0 AS v FROM ({active}) GROUP BY ALL) a
      USING (w, plan)""",
    "signups": A_WEEK.replace("{v}", "sum(v)").replace("{source}", "{signed}"),
    "revenue": A_WEEK.replace("{v}", "sum(v)").replace("{source}", "{earned}"),
    "arpu": """SELECT w, plan, coalesce(r.v, 0) / a.v AS v FROM (
      SELECT date_trunc('week', d) AS w, plan, count(DISTINCT user_id) AS v FROM ({visits}) GROUP BY ALL) a
      LEFT JOIN (SELECT date_trunc('week', d) AS w, plan, sum(v) AS v FROM ({earned}) GROUP BY ALL) r
      USING (w, plan)""",
    "p95_duration": """SELECT date_trunc('week', occurred_at) AS w, plan, quantile_cont(duration_ms, 0.95) AS v
      FROM events WHERE occurred_at >= DATE '{since}' GROUP BY ALL""",
    "nps": A_WEEK.replace("{v}", NPS).replace("{source}", "{scored}"),
    **{name: SHARE["week"].replace("{source}", f"{{{name}}}") for name in ("activation", "retention_d7", "funnel")},
}
KPIS = tuple(DAILY)
VARIANTS = ("day", "day_f", "week_plan")
BEFORE = {"wau": {"day": 6}, "mau": {"day": 27, "week": 21}, "stickiness": {"day": 27, "week": 21}}
Values = dict[tuple[str, str], float | None]


def statement(kpi: str, variant: str, *, kept: bool = False) -> str:
    """One question's SELECT: period, for weeks the plan, value. kept: of the tables that `keep` made."""
    grain = "week" if variant == "week_plan" else "day"
    first = FIRST_WEEK if grain == "week" else FIRST
    since = first - timedelta(days=BEFORE.get(kpi, {}).get(grain, 0))
    f = FILTER.format(of="") if variant == "day_f" else ""
    attempts = "attempts_all" if not f else "funnel"
    plan = ", plan" if grain == "week" else ""
    told = {"since": since, "f": f, "plan": plan, "own": "", "attempts": attempts}
    texts = FROM_TABLES if kept else {**FROM_ROWS, "visits": VISITS}
    sources = {name: text.format(**told) for name, text in texts.items()}
    spine = SPINE.format(first=first, last=LAST_DAY)
    return (WEEKLY if grain == "week" else DAILY)[kpi].format(**told, **sources, spine=spine, end=END)


def keep(connection: duckdb.DuckDBPyConnection, since: date = ALWAYS) -> None:
    """Make the tables that questions share: of all rows the roll-ups, of a part's the shared scans."""
    for name, text in FROM_ROWS.items():
        connection.execute(
            f"CREATE OR REPLACE TABLE kept_{name} AS {text.format(since=since, f='', plan=', plan', own=OWN)}"
        )
    text = FROM_ROWS["funnel"].format(since=since, f="", own="")
    connection.execute(f"CREATE OR REPLACE TABLE kept_attempts_all AS {text}")


def connected(data: Path) -> duckdb.DuckDBPyConnection:
    """The star as tables in memory."""
    connection = duckdb.connect(config={"threads": THREADS})
    for table in TABLES:
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{data}/{table}/*.parquet'")
    return connection


def values(frame: pd.DataFrame) -> Values:
    """(period, segment) → value of a statement's rows; unknown is None."""
    found: Values = {}
    for row in frame.itertuples(index=False):
        value = None if row[-1] is None or pd.isna(row[-1]) else float(row[-1])
        found[(f"{row[0]:%Y-%m-%d}", str(row[1]) if len(row) > 2 else "")] = value
    return found
