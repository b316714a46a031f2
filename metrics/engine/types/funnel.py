"""funnel: who passes each step in order, within the window from the first; the count of every step."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.funnel import Funnel
from metrics.engine import frames
from metrics.engine.query import Scope
from metrics.engine.sampling import Floats, numbers, shares
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import DAY, Rows, entity_rows, reach, rising
from metrics.engine.sql.measures import counted_days
from metrics.engine.sql.next_event import REACHED_1, next_event, place_of_hit, within
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period, starts_within_its_window

# first_there: the first step that was reached at the moment of the last one.
KEYS = {
    "segment": "TEXT",
    "period": "TIMESTAMP",
    "first_at": "TIMESTAMP",
    "reached_at": "TIMESTAMP",
    "first_there": "BIGINT",
}


dirty_ranges = starts_within_its_window
settled_at = ends_with_its_period


def facts(kpi: Funnel, scope: Scope) -> pd.DataFrame:
    """Last step / first step, by the period of the first; parts: the count of each step."""
    steps = entity_rows(kpi, scope)
    names = [f"step_{i + 1}" for i in range(len(steps))]
    if kpi.order == "strict":
        counted = by_each(scope, lambda one: trees.run(_strict(kpi, one, entity_rows(kpi, one)), one))
    else:
        rows = trees.run_together(lambda one: _sequential(kpi, one, entity_rows(kpi, one)), scope)
        rows[trees.PERIOD] = rows[trees.PERIOD].fillna(scope.start)  # of a whole range: pandas would leave it out
        counted = rows.set_index([trees.SEGMENT, trees.PERIOD, "step"])["entries"].unstack("step", fill_value=0)
        counted = counted.reset_index().rename(columns={i + 1: name for i, name in enumerate(names)})
    for name in names:
        counted[name] = pd.to_numeric(counted[name]).fillna(0) if name in counted else 0
    counted = counted[counted[names[0]] > 0]
    counted = counted.assign(numerator=counted[names[-1]], denominator=counted[names[0]], n=counted[names[0]])
    dataset = steps[0].dataset
    zero = ("numerator", "denominator", *names) if dataset.empty == "zero" else ()
    return _ripe(kpi, frames.spined(counted, scope, dataset.name, zero=zero, parts=names), scope)


def from_days(kpi: Funnel, daily: pd.DataFrame, scope: Scope) -> pd.DataFrame | None:
    """Attempts are those of single days; else who begins twice in a period counts once."""
    if kpi.per != "attempt":
        return None
    names = [f"step_{i + 1}" for i in range(len(kpi.steps))]
    dataset = scope.catalogue.datasets[next(iter(kpi.conditions.values())).dataset]
    zero = ("numerator", "denominator", *names) if dataset.empty == "zero" else ()
    return counted_days(daily, scope, dataset.name, lambda f: _ripe(kpi, f, scope), zero=zero, parts=names)


def _ripe(kpi: Funnel, found: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    datasets = tuple(dict.fromkeys(condition.dataset for condition in kpi.conditions.values()))
    return frames.shared(frames.only_mature(found, scope, datasets, kpi.window or timedelta(0)))


def sampling(kpi: Funnel, frame: pd.DataFrame) -> Floats:
    """Each that began comes through or not."""
    return shares(numbers(frame, "value"), numbers(frame, "n"))


def _sequential(kpi: Funnel, scope: Scope, steps: list[Rows]) -> exp.Select:
    """Others may lie between. Each step is the first of its rows at the step before or later, one row one step."""
    first = steps[0]
    entry = first.select(
        first.segment.as_("segment"),
        first.entity.as_("entity"),
        first.period().as_("period"),
        *([first.period("day").as_("day")] if kpi.per == "attempt" else []),
        exp.Min(this=first.at.copy()).as_("first_at"),
        exp.Min(this=first.at.copy()).as_("reached_at"),
        exp.Literal.number(1).as_("first_there"),
        start=scope.start,
        end=scope.end,
        asked=True,
        broken_down=True,
    )
    entry = entry.group_by(*(exp.Literal.number(i + 1) for i in range(4 if kpi.per == "attempt" else 3)))
    ctes: dict[str, exp.Query] = {"reached_1": entry}
    for i in range(2, len(steps) + 1):
        ctes[f"hits_{i}"], ctes[f"reached_{i}"] = _hits(kpi, scope, steps[:i]), _reached(kpi, steps[:i])
    counts = [
        exp.select("segment", "period", exp.Literal.number(i + 1).as_("step")).from_(f"reached_{i + 1}")
        for i in range(len(steps))
    ]
    every: exp.Query = counts[0]
    for count in counts[1:]:
        every = exp.union(every, count, distinct=False)
    final = (
        exp.select(
            exp.column("segment").as_(trees.SEGMENT),
            exp.column("period").as_(trees.PERIOD),
            "step",
            exp.Count(this=exp.Star()).as_("entries"),
        )
        .from_(every.subquery("every_step"))
        .group_by("segment", "period", "step")
    )
    return trees.assembled(final, **ctes)


def _hits(kpi: Funnel, scope: Scope, steps: list[Rows]) -> exp.Select:
    """Rows of the last of these steps."""
    step = steps[-1]
    return step.select(
        step.entity.as_("entity"),
        step.at.copy().as_("seen_at"),
        place_of_hit(step, steps[:-1], kpi.ties).as_("place"),
        start=scope.start - DAY,
        end=reach(scope.end, None if kpi.window is None else pd.Timedelta(kpi.window)),
    )


def _reached(kpi: Funnel, steps: list[Rows]) -> exp.Select:
    """Who came from the step before to the last of these, and when."""
    number, step, before = len(steps), steps[-1], steps[-2]
    came_next = next_event(
        f"reached_{number - 1}",
        f"hits_{number}",
        keys=KEYS,
        at="reached_at",
        place=exp.Mul(this=exp.column("first_there"), expression=exp.Literal.number(REACHED_1)),
        whole_days=step.is_date and not before.is_date,
    )
    at: exp.Expr = exp.column("hit")
    if step.is_date or before.is_date:  # a date stands at its midnight: who is there has not gone back in time
        at = exp.Greatest(this=exp.column("reached_at"), expressions=[at], ignore_nulls=True)
    later = exp.If(this=exp.GT(this=at.copy(), expression=exp.column("reached_at")), true=exp.Literal.number(number))
    first_there = exp.Case(ifs=[later], default=exp.column("first_there"))
    reached = exp.select(
        *("entity", "segment", "period", "first_at"), at.as_("reached_at"), first_there.as_("first_there")
    )
    reached = reached.from_(came_next.subquery("came_next"))
    return reached.where(within(exp.column("hit"), exp.column("first_at"), kpi.window))


def _row_order(steps: list[Rows]) -> list[exp.Ordered]:
    """By moment, then by key; without a key the row of the earlier step is first among those of one moment."""
    first = steps[0]
    order = [rising(first.at), *(rising(exp.column(key, quoted=True)) for key in first.dataset.primary_key)]
    if not first.dataset.primary_key:
        ifs = [
            exp.If(this=sql.expression(step.filter), true=exp.Literal.number(i))
            for i, step in enumerate(steps)
            if step.filter
        ]
        order += [rising(exp.Case(ifs=ifs, default=exp.Literal.number(len(steps))))] if ifs else []
    return order


def _strict(kpi: Funnel, scope: Scope, steps: list[Rows]) -> exp.Select:
    """No other row of the entity lies between two steps; the best of the entity's starts counts."""
    span = None if kpi.window is None else pd.Timedelta(kpi.window)
    first = steps[0]
    asked = [sql.expression(first.filter)] if first.filter else []
    starts = exp.and_(trees.in_range(first.local, scope.start, scope.end), *asked, *first.asked())
    order = _row_order(steps)

    def ahead(x: exp.Expr, count: int) -> exp.Expr:
        return exp.Window(
            this=exp.Lead(this=x, offset=exp.Literal.number(count)),
            partition_by=[first.entity.copy()],
            order=exp.Order(expressions=[o.copy() for o in order]),
        )

    columns = []
    for i, step in enumerate(steps[1:], start=1):
        meets = sql.expression(step.filter) if step.filter else exp.true()
        columns.append(ahead(_flag(meets), i).as_(f"is_{i + 1}"))
        columns.append(ahead(first.at.copy(), i).as_(f"at_{i + 1}"))
    every = first.select(
        first.segment.as_("segment"),
        first.entity.as_("entity"),
        first.period().as_("period"),
        first.period("day").as_("day"),
        first.at.copy().as_("at_1"),
        _flag(starts).as_("is_1"),
        *columns,
        start=scope.start,
        end=reach(scope.end, span),
        all_rows=True,
    )
    depth: exp.Expr = exp.Literal.number(len(steps))
    for i in range(len(steps), 1, -1):
        there = within(exp.column(f"at_{i}"), exp.column("at_1"), kpi.window)
        on = exp.and_(exp.column(f"is_{i}").eq(1), there)
        depth = exp.Case(ifs=[exp.If(this=on, true=depth)], default=exp.Literal.number(i - 1))
    keys = ["segment", "entity", "period", *(["day"] if kpi.per == "attempt" else [])]
    best = exp.select(*keys, exp.Max(this=depth).as_("depth")).from_("every").where("is_1 = 1").group_by(*keys)
    final = (
        exp.select(
            exp.column("segment").as_(trees.SEGMENT),
            exp.column("period").as_(trees.PERIOD),
            *(
                exp.Sum(this=_flag(exp.GTE(this=exp.column("depth"), expression=exp.Literal.number(i)))).as_(
                    f"step_{i}"
                )
                for i in range(1, len(steps) + 1)
            ),
        )
        .from_("best")
        .group_by("segment", "period")
    )
    return trees.assembled(final, every=every, best=best)


def _flag(condition: exp.Expr) -> exp.Expr:
    one = exp.If(this=condition, true=exp.Literal.number(1))
    return exp.Case(ifs=[one], default=exp.Literal.number(0))


def per_person(kpi: Funnel, catalogue: Catalogue) -> str:
    """Why it has no value of one person."""
    return "a funnel's steps are not followed person by person: name its last step as a conversion"
