"""The workload's KPIs as boring-semantic-layer says them: models over the star's tables, joined by user.

It counts and adds up, distinct people and percentiles included, by any dimension. It has no notion of a rolling window
of distinct people, of a conversion, a retention, a funnel, or of a ratio between two tables by the day of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ibis
from boring_semantic_layer import to_semantic_table

from benchmarks.hand_sql import END, FIRST, FIRST_WEEK, TABLES
from benchmarks.measures import THREADS

ASKED = ("dau", "wau", "signups", "revenue", "p95_duration", "nps")
DIMENSIONS = ("platform", "country", "plan")


def _model(table: Any, name: str, at: str, own: tuple[str, ...]) -> Any:
    """A model with its time, the user and its own columns as dimensions."""
    time = {"expr": lambda t: t[at], "is_time_dimension": True, "smallest_time_grain": "TIME_GRAIN_SECOND"}
    return to_semantic_table(table, name=name).with_dimensions(
        at=time,
        user_id=lambda t: t.user_id,
        **{column: (lambda t, column=column: t[column]) for column in own},
    )


def _models(data: Path) -> dict[str, Any]:
    connection = ibis.duckdb.connect(threads=THREADS)
    for table in TABLES:
        connection.raw_sql(f"CREATE TABLE {table} AS SELECT * FROM '{data}/{table}/*.parquet'")
    users = _model(connection.table("users"), "users", "signed_up_at", DIMENSIONS)
    users = users.with_measures(signups=lambda t: t.count())
    events = _model(connection.table("events"), "events", "occurred_at", DIMENSIONS).with_measures(
        people=lambda t: t.user_id.nunique(), p95=lambda t: t.duration_ms.quantile(0.95)
    )
    orders = _model(connection.table("orders"), "orders", "ordered_at", ()).with_measures(
        revenue=lambda t: t.amount.sum()
    )
    answers = _model(connection.table("feedback"), "feedback", "submitted_at", ()).with_measures(
        answers=lambda t: t.count(),
        promoters=lambda t: (t.nps_score >= 9).sum(),
        detractors=lambda t: (t.nps_score <= 6).sum(),
    )
    answers = answers.with_measures(nps=lambda t: 100.0 * (t.promoters - t.detractors) / t.answers)
    by_user: Callable[[Any, Any], Any] = lambda left, right: left.user_id == right.user_id  # noqa: E731
    return {
        "users": users,
        "events": events,
        "orders": orders.join_one(users, by_user),
        "feedback": answers.join_one(users, by_user),
    }


# KPI → model, measure, its prefix there, the prefix of the user's dimensions.
PLACES = {
    "dau": ("events", "people", "", ""),
    "wau": ("events", "people", "", ""),
    "signups": ("users", "signups", "", ""),
    "p95_duration": ("events", "p95", "", ""),
    "revenue": ("orders", "revenue", "orders.", "users."),
    "nps": ("feedback", "nps", "feedback.", "users."),
}


def questions(data: Path) -> Mapping[tuple[str, str], Callable[[], Any]]:
    """What it has words for: each gives period, for weeks the plan, value."""
    models = _models(data)
    found: dict[tuple[str, str], Callable[[], Any]] = {}
    for kpi, (name, measure, own, of_user) in PLACES.items():
        for variant in ("day", "day_f", "week_plan"):
            if (kpi, variant) in (("wau", "day"), ("wau", "day_f"), ("dau", "week_plan")):
                continue  # a rolling window; the mean of days, below
            weekly = variant == "week_plan"
            filters = [
                {"field": f"{of_user}{column}", "operator": "=", "value": value}
                for column, value in (("platform", "ios"), ("country", "US"))
                if variant == "day_f"
            ]
            asked = {
                "dimensions": [f"{own}at", *([f"{of_user}plan"] if weekly else [])],
                "measures": [f"{own}{measure}"],
                "filters": filters,
                "time_grains": {f"{own}at": f"TIME_GRAIN_{'WEEK' if weekly else 'DAY'}"},
                "time_range": {"start": f"{FIRST_WEEK if weekly else FIRST}", "end": f"{END}"},
            }
            found[(kpi, variant)] = partial(_asked, models[name], asked)
    found[("dau", "week_plan")] = partial(_mean_of_days, models["events"])
    return found


def _asked(model: Any, asked: dict[str, Any]) -> Any:
    return model.query(**asked).execute()


def _mean_of_days(events: Any) -> Any:
    """The mean of a week's days: what was counted by day, added up again."""
    days = events.query(
        dimensions=["at", "plan"],
        measures=["people"],
        time_grains={"at": "TIME_GRAIN_DAY"},
        time_range={"start": f"{FIRST_WEEK}", "end": f"{END}"},
    )
    weeks = days.mutate(week=lambda t: t.at.truncate("W")).group_by("week", "plan")
    return weeks.aggregate(people=lambda t: t.people.sum() / 7.0).execute()
