"""What a definition is made of, as parts of a sentence: aggregates, conditions, windows."""

from __future__ import annotations

from datetime import timedelta

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Condition, Measure, Part

AGG_WORDS = {
    "count": "Count of rows",
    "count_distinct": "Distinct {0}",
    "sum": "Sum of {0}",
    "avg": "Mean of {0}",
    "min": "Least {0}",
    "max": "Greatest {0}",
    "median": "Median of {0}",
    "percentile": "{1} percentile of {0}",
    "first": "First {0}",
    "last": "Last {0}",
}


def measure_words(measure: Measure) -> str:
    """Sum of amount where status = 'paid'."""
    if measure.sql:
        text = measure.sql
    else:
        share = f"{measure.percentile:.0%}".rstrip("%") + "th" if measure.percentile else ""
        text = AGG_WORDS[str(measure.agg)].format(measure.expr, share)
    return f"{text} where {measure.filter}" if measure.filter else text


def part_words(part: Part, catalogue: Catalogue) -> str:
    """A KPI's title, or the measure in words."""
    return catalogue.kpi(part).title if isinstance(part, str) else measure_words(part)


def rows_words(condition: Condition) -> str:
    """rows of events where event_name = 'paid'."""
    return f"rows of {condition.dataset}{f' where {condition.filter}' if condition.filter else ''}"


def ties_words(ties: str | None) -> str:
    """What was stated of rows of one moment; empty if nothing."""
    return {"same_moment": ", the same row counts, too", "strictly_later": ", strictly later"}.get(ties or "", "")


def within_words(window: timedelta | None) -> str:
    """within 7 days; `, whenever` without a window."""
    if window is None:
        return ", whenever"
    hours = window.total_seconds() / 3600
    for size, name in ((24, "days"), (1, "hours")):
        if hours % size == 0:
            return f" within {hours / size:g} {name}"
    return f" within {hours * 60:g} minute{'' if hours * 60 == 1 else 's'}"
