"""query: one question from the command line, answered or explained."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.errors import QueryRefused
from jobs.project.project import Project
from metrics.engine.answer import answer
from metrics.engine.periods import parse_day
from metrics.engine.query import Filter, Query, Series

LEVELS = {
    "stored": "finished values of this generation",
    "rollup": "roll-ups of this generation, which count the same rows",
    "facts": "facts",
}


def make_query(
    kpi: str,
    grain: str | None,
    days: tuple[str | None, str | None],
    by: str | None,
    where: Sequence[str],
    compare: str | None,
    as_of: str | None,
) -> Query:
    """The Query that texts ask for. days: the first and the last. Raises QueryRefused for a text that says nothing."""
    start, end = days
    return Query(
        kpi,
        grain,
        parse_day(start, where="start") if start else None,
        parse_day(end, where="end") if end else None,
        by,
        parse_filters(where),
        compare,  # type: ignore[arg-type]  # checked when it is answered
        as_of,
    )


def parse_filters(texts: Sequence[str]) -> tuple[Filter, ...]:
    """`DIM=VALUE` texts: the same dimension ORs, different ones AND."""
    found: dict[str, list[str]] = {}
    for text in texts:
        dimension, sign, value = text.partition("=")
        if not sign or not dimension:
            raise QueryRefused(f"'{text}' is no filter", hint="Write DIM=VALUE, such as platform=web.")
        found.setdefault(dimension.strip(), []).append(value)
    return tuple(Filter(d, tuple(dict.fromkeys(v))) for d, v in found.items())


def run_query(project: Project, query: Query) -> Series:
    """The answer from the live generation."""
    reader = project.reader()
    return answer(query, project.catalogue_of(query.kpi, reader), reader)


def explain(project: Project, query: Query, *, words: bool) -> str:
    """The SQL that answers from facts; with `words`, what is counted and how it is answered, too."""
    from metrics.kpi_views.origin import origin, sql_of

    reader = project.reader()
    catalogue = project.catalogue_of(query.kpi, reader)
    statements = sql_of(query, catalogue, reader)
    if not words:
        return ";\n\n".join(statements) + ";"
    found = origin(query.kpi, catalogue, reader, project.sync_log.runs(), project.table_sources(catalogue))
    lines = [f"{label}: {text}" for label, text in found.facts]
    lines.append(f"Answered from: {LEVELS[answer(query, catalogue, reader).level]}")
    return "\n".join([*lines, "", *statements])
