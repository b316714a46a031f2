"""Answers of a survey in a span of time: the scores given, and what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import Reader
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.survey import Survey
from metrics.engine.query import EntitySet, Filter, Scope
from metrics.engine.sql import trees
from metrics.engine.types import survey

MOST_COMMENTS = 5000


@dataclass(frozen=True)
class Answers:
    """Whose answers, of when: start <= local time < end.

    entities: of these people only. since_use: (dataset, condition): only answers from the day on that their people
    first had such a row since `start`.
    """

    kpi: Survey
    start: pd.Timestamp
    end: pd.Timestamp
    where: tuple[Filter, ...] = ()
    entities: EntitySet | None = None
    since_use: EntitySet | None = None

    def scope(self, catalogue: Catalogue, reader: Reader) -> Scope:
        """As the engine counts."""
        return Scope(catalogue, reader, {}, "day", self.start, self.end, filters=self.where, entities=self.entities)


def scores(asked: Answers, catalogue: Catalogue, reader: Reader) -> pd.DataFrame:
    """How often each score was given: score (float), who (a name of survey.PARTS), answers (int). Raises KpiError."""
    scope = asked.scope(catalogue, reader)
    score = exp.paren(sql.expression(asked.kpi.score))
    query = survey.answers(
        asked.kpi,
        scope,
        exp.cast(score, "DOUBLE").as_("score"),
        survey.group(asked.kpi).as_("who"),
        exp.Count(this=exp.Star()).as_("answers"),
    )
    query = _since_use(query, asked, scope)
    return trees.run(query.group_by(exp.Literal.number(1), exp.Literal.number(2)), scope)


def _since_use(query: exp.Select, asked: Answers, scope: Scope) -> exp.Select:
    """Answers from the day of their people's first use on."""
    if asked.since_use is None:
        return query
    own, other = (scope.catalogue.datasets[name] for name in (asked.kpi.dataset, asked.since_use.dataset))
    local = trees.local_time(other, scope, trees.time_type(other, scope))
    first = exp.Min(this=trees.period(local, scope)).as_("first_used_on")
    uses = exp.select(exp.column(other.entity, quoted=True).as_("user_of_it"), first)
    uses = trees.scanned(
        uses, other, replace(scope, filters=(), entities=None), trees.time_type(other, scope), asked.since_use.condition
    ).group_by(exp.Literal.number(1))
    same = exp.EQ(this=exp.column(own.entity, quoted=True), expression=exp.column("user_of_it"))
    said = trees.period(trees.local_time(own, scope, trees.time_type(own, scope)), scope)
    late = exp.GTE(this=said, expression=exp.column("first_used_on"))
    return query.join(uses.subquery("uses"), on=exp.and_(same, late))


def written(
    asked: Answers,
    catalogue: Catalogue,
    reader: Reader,
    by: Sequence[str] = (),
    *,
    group: str = "",
    limit: int = MOST_COMMENTS,
) -> pd.DataFrame:
    """Comments, the latest first: said_at (local), score, who, comment, and the value of each dimension of `by`.

    group: only those of promoters, passives or detractors. Empty where the KPI names no comment. Raises KpiError.
    """
    columns = ["said_at", "score", "who", "comment", *by]
    if not asked.kpi.comment:
        return pd.DataFrame(columns=columns)
    scope = asked.scope(catalogue, reader)
    dataset = catalogue.datasets[asked.kpi.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    text = exp.Trim(this=exp.cast(sql.expression(asked.kpi.comment), "TEXT"))
    query = survey.answers(
        asked.kpi,
        scope,
        local.copy().as_("said_at"),
        exp.paren(sql.expression(asked.kpi.score)).as_("score"),
        survey.group(asked.kpi).as_("who"),
        text.as_("comment"),
        *(trees.segment(dataset, name).as_(name, quoted=True) for name in by),
    )
    query = query.where(exp.NEQ(this=text.copy(), expression=exp.Literal.string("")))
    if group:
        query = query.where(exp.EQ(this=survey.group(asked.kpi), expression=exp.Literal.string(group)))
    latest = exp.Ordered(this=exp.column("said_at"), desc=True)
    return trees.run(query.order_by(latest, "comment").limit(limit), scope)[columns]
