"""What customers wrote, in their own words, beside the score they gave."""

from __future__ import annotations

import dataclasses

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import Reader
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.kpi import Survey
from metrics.engine import trees
from metrics.engine.answer import default_scope
from metrics.engine.query import Filter
from metrics.engine.types import survey


def comments(
    kpi: Survey,
    catalogue: Catalogue,
    reader: Reader,
    *,
    before: pd.Timestamp,
    where: tuple[Filter, ...] = (),
    group: str = "",
    limit: int = 30,
) -> pd.DataFrame:
    """The latest comments before a local time: said_at (local), score, who (a name of survey.PARTS), comment.

    group: only those of promoters, passives or detractors. Empty where the KPI names no comment.
    """
    columns = ["said_at", "score", "who", "comment"]
    if not kpi.comment:
        return pd.DataFrame(columns=columns)
    states = reader.dataset_states(reader.generation.sequence)
    full = default_scope(kpi, "day", catalogue, reader, states)
    scope = dataclasses.replace(full, end=min(before, full.end), filters=where)
    dataset = catalogue.datasets[kpi.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    text = exp.Trim(this=exp.cast(sql.expression(kpi.comment), "TEXT"))
    query = survey.answers(
        kpi, scope, local.copy().as_("said_at"), exp.paren(sql.expression(kpi.score)).as_("score"),
        survey.group(kpi).as_("who"), text.as_("comment"),
    )  # fmt: skip
    query = query.where(exp.NEQ(this=text.copy(), expression=exp.Literal.string("")))
    if group:
        query = query.where(exp.EQ(this=survey.group(kpi), expression=exp.Literal.string(group)))
    latest = exp.Ordered(this=exp.column("said_at"), desc=True)
    return trees.run(query.order_by(latest, "comment").limit(limit), scope)[columns]
