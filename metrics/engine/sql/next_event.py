"""Who does what next: for each entry of an entity, the first hit after it.

Entries and hits lie on one time line; a running minimum over it, from its end, gives each entry the nearest hit that
comes later. One sort for all entities, linear in the rows, on every engine; no range join.
"""

from __future__ import annotations

from sqlglot import exp

from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import falling, window_function


def next_event(
    entries: str, hits: str, *, keys: dict[str, str], at: str, same_moment: bool, whole_days: bool
) -> exp.Select:
    """SELECT keys, entity and `hit` of every entry: the first hit of its entity after it; NULL if none.

    entries, hits: relations; entries have `entity`, `keys` (name → SQL type) and the time `at` among them; hits have
    `entity` and `seen_at`. same_moment: a hit at the entry's very moment counts. whole_days: hits are dates, so one on
    the entry's day counts.
    """
    moment: exp.Expr = exp.column(at)
    if whole_days:
        moment = exp.cast(exp.TimestampTrunc(this=moment, unit=exp.var("DAY")), "TIMESTAMP")
    line = exp.select(
        "entity",
        *keys,
        moment.as_("line_at"),
        trees.null("TIMESTAMP").as_("hit_at"),
        exp.Literal.number(0).as_("kind"),
    ).from_(entries)
    seen = exp.select(
        "entity",
        *(trees.null(kind).as_(name) for name, kind in keys.items()),
        exp.column("seen_at").as_("line_at"),
        exp.column("seen_at").as_("hit_at"),
        exp.Literal.number(1).as_("kind"),
    ).from_(hits)
    # From the end of time: at one moment, hits that count come before the entries.
    tie = falling(exp.column("kind")) if same_moment or whole_days else exp.Ordered(this=exp.column("kind"))
    first = window_function(
        exp.Min(this=exp.column("hit_at")), by=["entity"], order=[falling(exp.column("line_at")), tie], running=True
    )
    both = exp.union(line, seen, distinct=False)
    looked = exp.select("entity", *keys, "kind", first.as_("hit")).from_(both.subquery("time_line"))
    return exp.select("entity", *keys, "hit").from_(looked.subquery("looked")).where("kind = 0")


def within(at: exp.Expr, start: exp.Expr, window: object) -> exp.Expr:
    """at < start + window (None: whenever)."""
    if window is None:
        return trees.known(at)
    end = exp.Add(this=start.copy(), expression=trees.interval(window))  # type: ignore[arg-type]
    return exp.LT(this=at.copy(), expression=end)
