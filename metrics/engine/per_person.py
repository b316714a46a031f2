"""What a KPI is for one person: which of their rows count, how they add up, and within which days.

Most KPIs are a sum over people, or the ratio of two: those can be held person against person. Others cannot, and say
why in one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon, Measure
from metrics.catalog.types.conversion import Conversion
from metrics.catalog.types.ratio import Ratio
from metrics.catalog.types.retention import Retention
from metrics.catalog.types.simple import Simple
from metrics.catalog.types.survey import Survey
from metrics.engine.types import survey

How = Literal["sum", "any"]
UNIT = {"day": timedelta(days=1), "week": timedelta(days=7)}
CANNOT = {
    "funnel": "a funnel's steps are not followed person by person: name its last step as a conversion",
    "cumulative": "it adds up over time: name what it adds up",
    "derived": "a formula of other KPIs has no value of one person: name the KPIs that it is made of",
    "lifecycle": "it counts people who came and went, of which one person has no value",
    "stickiness": "it is a share of periods, of which one person has no value: name a retention, or active people",
    "sql": "its own SQL says nothing of single people",
}


@dataclass(frozen=True)
class Part:
    """Rows of a person that count. value: of a row, in SQL of the dataset; how: all added up, or 1 if there is any."""

    dataset: str
    filter: str
    value: exp.Expr
    how: How


@dataclass(frozen=True)
class PerPerson:
    """A person's value: `value`, or of a ratio the parts of which all people's are added up first.

    after, window: only rows from so long after exposure on, and so long; None = to the end of the reading. capped: it
    is an amount, of which the largest are capped. factor: of the ratio, 100 for an NPS.
    """

    value: Part
    of: Part | None = None
    after: timedelta = timedelta(0)
    window: timedelta | None = None
    factor: float = 1.0

    @property
    def is_share(self) -> bool:
        """Whether a person's value is 0 or 1, and there is no denominator but people."""
        return self.value.how == "any" and self.of is None

    @property
    def capped(self) -> bool:
        """Whether the largest values are capped: amounts and counts of a person, no shares and no ratios."""
        return self.value.how == "sum" and self.of is None

    @property
    def parts(self) -> tuple[Part, ...]:
        """One or two."""
        return (self.value,) if self.of is None else (self.value, self.of)


def per_person(kpi: KpiCommon, catalogue: Catalogue) -> PerPerson | str:
    """A KPI of one person; a text says in one clause why it has no such value."""
    found = _per_person(kpi, catalogue)
    if isinstance(found, str):
        return found
    nobody = next((p.dataset for p in found.parts if not catalogue.datasets[p.dataset].entity), "")
    return f"dataset {nobody} does not say whose its rows are: write its `entity:`" if nobody else found


def _per_person(kpi: KpiCommon, catalogue: Catalogue) -> PerPerson | str:
    if isinstance(kpi, Simple):
        return _simple(kpi, catalogue)
    if isinstance(kpi, Ratio):
        return _ratio(kpi, catalogue)
    if isinstance(kpi, Conversion):
        if kpi.of == "events":
            return "its conversions are credited to rows, not to people: write `of: entities`"
        return PerPerson(_any(list(kpi.conditions.values())[1].dataset, kpi.conversion.filter), window=kpi.window)
    if isinstance(kpi, Retention):
        if kpi.unit not in UNIT:
            return "months after an exposure have no fixed length: write a retention by days or weeks"
        unit = UNIT[kpi.unit]
        back = list(kpi.conditions.values())[1]
        window = unit if kpi.mode == "bounded" else None
        return PerPerson(_any(back.dataset, back.filter), after=kpi.at * unit, window=window)
    if isinstance(kpi, Survey):
        return _survey(kpi)
    return CANNOT.get(kpi.type, f"a KPI of type {kpi.type} has no value of one person")


def _any(dataset: str, filter_: str) -> Part:
    return Part(dataset, filter_, exp.Literal.number(1), "any")


def _simple(kpi: Simple, catalogue: Catalogue) -> PerPerson | str:
    if kpi.semi_additive:
        return "a balance is no sum of what people did since they were exposed"
    measure = kpi.measure
    if measure.agg == "avg":
        total, count = (_part(measure.model_copy(update={"agg": agg}), catalogue) for agg in ("sum", "count"))
        return PerPerson(total, count) if isinstance(total, Part) and isinstance(count, Part) else str(total)
    part = _part(measure, catalogue)
    return part if isinstance(part, str) else PerPerson(part)


def _ratio(kpi: Ratio, catalogue: Catalogue) -> PerPerson | str:
    found = []
    for part in kpi.parts.values():
        named = part if isinstance(part, Measure) else _measure_of(catalogue.kpi(part))
        one = named if isinstance(named, str) else _part(named, catalogue)
        if isinstance(one, str):
            return one
        found.append(one)
    return PerPerson(found[0], found[1])


def _measure_of(kpi: KpiCommon) -> Measure | str:
    plain = isinstance(kpi, Simple) and not kpi.semi_additive
    return kpi.measure if isinstance(kpi, Simple) and plain else f"its part {kpi.title} is no sum over people"


def _part(measure: Measure, catalogue: Catalogue) -> Part | str:
    dataset = catalogue.datasets[measure.dataset]
    if measure.sql:
        return "an aggregate in SQL cannot be split by person: write `agg` and `expr`"
    if measure.agg == "count":
        if measure.expr in ("", "*"):
            return Part(measure.dataset, measure.filter, exp.Literal.number(1), "sum")
        given = exp.not_(exp.Is(this=exp.paren(sql.expression(measure.expr)), expression=exp.null()))
        one = exp.Case(ifs=[exp.If(this=given, true=exp.Literal.number(1))])
        return Part(measure.dataset, measure.filter, one, "sum")
    if measure.agg == "sum":
        return Part(measure.dataset, measure.filter, sql.expression(measure.expr), "sum")
    if measure.agg == "count_distinct":
        if measure.expr.strip().strip('"') in {dataset.entity, dataset.id} - {""}:
            return _any(measure.dataset, measure.filter)
        return f"distinct values of {measure.expr} are shared by people, so nobody has a part of them"
    return f"a {measure.agg} of everybody's rows is no sum over people"


def _survey(kpi: Survey) -> PerPerson:
    score = exp.paren(sql.expression(kpi.score))
    top, low = (exp.EQ(this=survey.group(kpi), expression=exp.Literal.string(n)) for n in ("promoters", "detractors"))
    one, less = exp.Literal.number(1), exp.Neg(this=exp.Literal.number(1))
    value: exp.Expr = exp.Case(ifs=[exp.If(this=top, true=one), exp.If(this=low, true=less)])
    if kpi.scale == "csat":
        value = exp.Case(ifs=[exp.If(this=top, true=one)])
    elif kpi.scale == "ces":
        value = score
    answered = f"({kpi.filter}) AND {kpi.row_needs}" if kpi.filter else kpi.row_needs
    counted = Part(kpi.dataset, answered, exp.Literal.number(1), "sum")
    return PerPerson(replace(counted, value=value), counted, factor=100.0 if kpi.scale == "nps" else 1.0)
