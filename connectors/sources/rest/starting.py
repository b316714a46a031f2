"""First KPIs for `kpi add source`: of product events, who comes, how often and who comes back; of reviews of an app."""

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


def reviews_table(*, time: str, dimensions: str) -> StarterTable:
    """Reviews of an app by `rating` of 1 to 5. time: column of their moment; dimensions: as a list of YAML."""
    return StarterTable(
        "",
        {},
        f"time_dimension: {time}\nprimary_key: id\ndimensions: {dimensions}",
        {
            "average_rating": "label: Average rating\narea: Reviews\ndataset: <>\nagg: avg\nexpr: rating\n"
            "grain: week\nformat: '0.00'",
            "new_reviews": "label: New reviews\narea: Reviews\ndataset: <>\nagg: count\ngrain: week",
            "poor_reviews": "label: Share of 1 and 2 stars\narea: Reviews\ntype: ratio\n"
            "numerator: {dataset: <>, agg: count, filter: rating <= 2}\n"
            "denominator: {dataset: <>, agg: count}\ngrain: week\nformat: percent\ndirection: down_is_good",
        },
    )


def _people(label: str, who: str, grain: str) -> str:
    return shown(label, f"dataset: <>\nagg: count_distinct\nexpr: {who}\ngrain: {grain}")


def shown(label: str, text: str) -> str:
    """A KPI of the area Engagement."""
    return f"label: {label}\narea: Engagement\n{text}"
