"""/values: the values of many KPIs, one row each, in parts."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.asking import Answer, Asked, digest
from api.paging import Paged, Part, Problem, cursor, place
from api.problems import Refused
from api.resource import Resource
from connectors.errors import DamagedData, KpiError, UnknownName, require
from jobs.query import make_query
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.presentation import export


class OfMany(Paged):
    """Which values of which KPIs."""

    kpi: tuple[str, ...] = Field((), max_length=500, description="Names of KPIs; none = all.")
    grain: str | None = Field(None, description="hour, day, week, month, quarter, year or total; default each its own.")
    start: str | None = Field(None, description="First day, inclusive, such as 2026-11-01.")
    end: str | None = Field(None, description="Last day, exclusive.")
    by: str | None = Field(None, description="Break down by a dimension.")
    where: tuple[str, ...] = Field((), max_length=50, description="DIM=VALUE; the same DIM: or, different ones: and.")


class PartOfValues(Part):
    """problems: KPIs in this part that have no such values, and why."""

    generation: str
    problems: list[Problem]


def values(asked: Asked) -> Answer:
    """One part, by KPI in the order that was asked for."""
    context, of = asked.project.context(asked.now), asked.of
    known = sorted({*context.catalogue.kpis, *context.catalogue.broken})
    names = tuple(dict.fromkeys(of.kpi)) or tuple(known)
    try:
        for name in names:
            require(name, known, kind="KPI", renamed=context.catalogue.formerly)
    except UnknownName as error:
        raise Refused(422, error) from None
    generation = context.reader.generation.id
    question = of.model_dump(exclude={"limit", "cursor"})
    mark = digest((generation, asked.project.definitions.marks(), asked.token.role, question, names))
    first, skipped = place(of.cursor, mark, 2)
    rows: list[dict[str, Any]] = []
    problems, following = [], None
    for at in range(first, len(names)):
        if len(rows) == of.limit:
            following = cursor(mark, (at, 0))
            break
        try:
            own = _of_one(context, names[at], of)
        except DamagedData:
            raise
        except KpiError as error:
            problems.append({"kpi": names[at], "code": error.code, "message": error.message})
            own = []
        upto = skipped + of.limit - len(rows)
        rows += own[skipped:upto]
        if upto < len(own):
            following = cursor(mark, (at, upto))
            break
        skipped = 0
    return Answer({"rows": rows, "next": following, "generation": generation, "problems": problems})


def _of_one(context: DataContext, name: str, of: OfMany) -> list[dict[str, Any]]:
    query = make_query(name, of.grain, (of.start, of.end), of.by, of.where, None, None)
    found = export.as_dict(answer(query, context.catalogue, context.reader))
    return [{"kpi": name, "grain": found["grain"], "unit": found["unit"], **row} for row in found["rows"]]


RESOURCES = (Resource("/values", "Values of many KPIs, in parts.", "read", OfMany, PartOfValues, values),)
