"""First KPIs of a table of product events, for `kpi add source`: who comes, how often, and who comes back."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.sources.contract import StarterTable

START = "First day to pull, such as 2026-01-01"


def events_table(*, time: str, who: str, event: str, key: str, more: Mapping[str, str] | None = None) -> StarterTable:
    """time, who, event: columns of an event's moment, person and name. key: its primary key. more: dimension → SQL."""
    dimensions = "".join(f"\n  {name}: {sql}" for name, sql in {event: event, **(more or {})}.items())
    dataset = f"time_dimension: {time}\nentity: {who}\nprimary_key: {key}\ndimensions:{dimensions}"
    return StarterTable(
        "",
        {},
        dataset,
        {
            "daily_active_users": _people("Daily active users", who, "day"),
            "weekly_active_users": _people("Weekly active users", who, "week"),
            "monthly_active_users": _people("Monthly active users", who, "month"),
            "stickiness": shown(
                "Stickiness", "type: stickiness\ndataset: <>\nshort: day\nlong: week\ngrain: week\nformat: percent"
            ),
            "week_1_retention": shown(
                "Week-1 retention",
                "type: retention\ndataset: <>\nreturn: {dataset: <>}\nunit: week\nat: 1\ngrain: week\nformat: percent",
            ),
            "quick_ratio": shown("Quick ratio", "type: lifecycle\ndataset: <>\ngrain: week"),
            "events_per_user": shown(
                "Events per active user",
                f"type: ratio\nnumerator: {{dataset: <>, agg: count}}\n"
                f"denominator: {{dataset: <>, agg: count_distinct, expr: {who}}}\ngrain: week",
            ),
        },
    )


def _people(label: str, who: str, grain: str) -> str:
    return shown(label, f"dataset: <>\nagg: count_distinct\nexpr: {who}\ngrain: {grain}")


def shown(label: str, text: str) -> str:
    """A KPI of the area Engagement."""
    return f"label: {label}\narea: Engagement\n{text}"
