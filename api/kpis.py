"""/kpis and /kpis/{name}: the catalogue, and the numbers of one KPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.asking import Answer, Asked, Parameters
from api.paging import Paged, Part, part
from api.problems import Refused
from api.resource import Resource
from connectors.errors import UnknownName, require
from jobs.operations.status import catalogue_rows
from jobs.project.log import masked
from jobs.query import make_query
from metrics.engine.answer import answer
from metrics.presentation import export


class OfCatalogue(Paged):
    """Which KPIs."""

    tag: str | None = Field(None, description="Only KPIs with this tag.")
    area: str | None = Field(None, description="Only KPIs of this area.")


class Question(Parameters):
    """The options of `kpi query`."""

    grain: str | None = Field(None, description="hour, day, week, month, quarter, year or total; default its own.")
    start: str | None = Field(None, description="First day, inclusive, such as 2026-11-01.")
    end: str | None = Field(None, description="Last day, exclusive.")
    by: str | None = Field(None, description="Break down by a dimension.")
    where: tuple[str, ...] = Field((), max_length=50, description="DIM=VALUE; the same DIM: or, different ones: and.")
    compare: str | None = Field(None, description="previous_range, previous_period, same_period_last_year, to_date.")
    as_of: str | None = Field(None, description="A generation: what was published then.")


class Values(BaseModel):
    """The JSON of `kpi query --json`."""

    kpi: str
    definition: str
    generation: str
    watermark: str | None
    grain: str
    unit: str | None
    rows: list[dict[str, Any]]


def listed(asked: Asked) -> Answer:
    """The catalogue, as `kpi list --json`."""
    rows = catalogue_rows(asked.project, now=asked.now, tag=asked.of.tag, area=asked.of.area)
    return part(asked, masked(rows))


def one(asked: Asked) -> Answer:
    """Values of one KPI. A former name leads to that of today."""
    context, of, name = asked.project.context(asked.now), asked.of, asked.where["name"]
    catalogue = context.catalogue
    name, former = catalogue.formerly.get(name, name) if name not in catalogue.kpis else name, name
    require(name, sorted({*catalogue.kpis, *catalogue.broken}), kind="KPI")
    query = make_query(name, of.grain, (of.start, of.end), of.by, of.where, of.compare, of.as_of)
    try:
        series = answer(query, catalogue, context.reader)
    except UnknownName as error:  # the KPI is there, so it is a parameter
        raise Refused(422, error) from None
    renamed = [f"{former} is now called {name}"] if former != name else []
    return Answer(export.as_dict(series), notes=(*renamed, *series.notes, *series.gaps))


RESOURCES = (
    Resource("/kpis", "The catalogue, as `kpi list --json` has it.", "read", OfCatalogue, Part, listed),
    Resource("/kpis/{name}", "Values of a KPI, as `kpi query --json` has them.", "read", Question, Values, one),
)
