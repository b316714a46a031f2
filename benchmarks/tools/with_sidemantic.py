"""The workload's KPIs as sidemantic says them: models over the star's tables, joined by user.

It counts, adds up and takes SQL for a measure; a conversion of two steps is asked of one model that has sign-ups and
events. Its retention gives percents with one decimal and no dimension, its windows no distinct people, its funnels no
window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sidemantic import Dimension, Metric, Model, Relationship, SemanticLayer

from benchmarks.hand_sql import END, FIRST, FIRST_WEEK, TABLES
from benchmarks.measures import THREADS

# What a conversion is asked of: a sign-up is an event of its user.
BOTH = """SELECT user_id, signed_up_at AS moment, 'signed_up' AS event_type, platform, country, plan FROM users
UNION ALL SELECT user_id, occurred_at, event_name, platform, country, plan FROM events"""
TIMES = {"users": "signed_up_at", "events": "occurred_at", "orders": "ordered_at", "feedback": "submitted_at"}
OF_USER = [Dimension(name=name, type="categorical") for name in ("platform", "country", "plan")]
MEASURES = {
    "users": [Metric(name="signups", agg="count")],
    "events": [
        Metric(name="people", agg="count_distinct", sql="user_id"),
        Metric(name="p95", sql="quantile_cont(duration_ms, 0.95)", sql_is_complete=True),
    ],
    "orders": [Metric(name="revenue", agg="sum", sql="amount")],
    "feedback": [
        Metric(name="answers", agg="count"),
        Metric(name="promoters", agg="count", filters=["nps_score >= 9"]),
        Metric(name="detractors", agg="count", filters=["nps_score <= 6"]),
        Metric(name="nps", type="derived", sql="100.0 * (promoters - detractors) / answers"),
    ],
}
# KPI → its measure, the model that has its time, the one that has its dimensions.
PLACES = {
    "dau": ("events.people", "events", "events"),
    "wau": ("events.people", "events", "events"),
    "signups": ("users.signups", "users", "users"),
    "p95_duration": ("events.p95", "events", "events"),
    "revenue": ("orders.revenue", "orders", "users"),
    "nps": ("feedback.nps", "feedback", "users"),
    "activation": ("moves.activation", "moves", "moves"),
}


def _layer(data: Path) -> SemanticLayer:
    layer = SemanticLayer(connection="duckdb:///:memory:", auto_register=False)
    layer.adapter.execute(f"SET threads = {THREADS}")
    for table in TABLES:
        layer.adapter.execute(f"CREATE TABLE {table} AS SELECT * FROM '{data}/{table}/*.parquet'")
        own = OF_USER if table in ("users", "events") else []
        others = [] if table == "users" else [Relationship(name="users", type="many_to_one", foreign_key="user_id")]
        key = {"users": "user_id", "events": "event_id", "orders": "order_id"}.get(table)
        time = Dimension(name="moment", type="time", sql=TIMES[table], granularity="second")
        scores = [Dimension(name="nps_score", type="numeric")] if table == "feedback" else []
        layer.add_model(
            Model(
                name=table,
                table=table,
                primary_key=key,
                relationships=others,
                dimensions=[time, *own, *scores],
                metrics=MEASURES[table],
            )
        )
    activation = Metric(
        name="activation",
        type="conversion",
        entity="user_id",
        base_event="signed_up",
        conversion_event="create_doc",
        conversion_window="7 days",
    )
    moves = [
        Dimension(name="event_type", type="categorical"),
        Dimension(name="moment", type="time", granularity="second"),
    ]
    layer.add_model(Model(name="moves", sql=BOTH, dimensions=[*moves, *OF_USER], metrics=[activation]))
    return layer


def questions(data: Path) -> Mapping[tuple[str, str], Callable[[], Any]]:
    """What it has words for: each gives period, for weeks the plan, value."""
    layer, found = _layer(data), {}
    for kpi, (measure, timed, own) in PLACES.items():
        for variant in ("day", "day_f", "week_plan"):
            if kpi == "wau" and variant != "week_plan":
                continue  # of one day, it is a rolling window
            weekly = variant == "week_plan"
            asked = {
                "metrics": [measure],
                "dimensions": [f"{timed}.moment__{'week' if weekly else 'day'}", *([f"{own}.plan"] if weekly else [])],
                "filters": [
                    f"{timed}.moment >= '{FIRST_WEEK if weekly else FIRST}'",
                    f"{timed}.moment < '{END}'",
                    *([f"{own}.platform = 'ios'", f"{own}.country = 'US'"] if variant == "day_f" else []),
                ],
            }
            found[(kpi, variant)] = lambda asked=asked: layer.query(**asked).df()
    return found
