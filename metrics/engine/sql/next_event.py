"""Who does what next: for each entry of an entity, the first hit after it.

Entries and hits lie on one time line; a running minimum over it, from its end, gives each entry the nearest hit that
comes later. One sort for all entities, linear in the rows, on every engine; no range join.

At one moment, a hit counts for an entry whose `place` is greater than its own: clocks of whole seconds put a cart and
its checkout into one, and they are two events. But one row is one event: a row that also is what was reached at that
moment must lie strictly later.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from metrics.catalog import sql
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import Rows, falling, rising, window_function

REACHED_1 = 2  # the place of an entry whose moment holds its first step; 2 × k if step k is the first there


def place_of_hit(hit: Rows, earlier: Sequence[Rows], ties: str | None) -> exp.Expr:
    """Where a row of the next step stands among the entries of its moment; earlier: the steps before it, in order.

    Before all of them, where it is no row of theirs; behind those that reached at that moment a step that it also is.
    A date has no order within its day: there it stands behind all.
    """
    last = 2 * len(earlier) + 1
    if ties == "strictly_later":
        return exp.Literal.number(last)
    found = exp.Case(default=exp.Literal.number(1))
    for number in range(len(earlier) if ties is None else 0, 0, -1):
        step = earlier[number - 1]
        if step.dataset.name != hit.dataset.name:
            continue
        mixed = hit.is_date and not all(other.is_date for other in earlier)
        place = exp.Literal.number(last if mixed else 2 * number + 1)
        if not step.filter:
            found.set("default", place)
            break
        found = found.when(exp.paren(sql.expression(step.filter)), place, copy=False)
    return found if found.args.get("ifs") else found.args["default"]


def next_event(
    entries: str, hits: str, *, keys: dict[str, str], at: str, place: exp.Expr, whole_days: bool
) -> exp.Select:
    """SELECT keys, entity and `hit` of every entry: the first hit of its entity after it; NULL if none.

    entries, hits: relations; entries have `entity`, `keys` (name → SQL type) and the time `at` among them; hits have
    `entity`, `seen_at` and `place`. place: of an entry. whole_days: hits are dates, so an entry lies on its day.
    """
    moment: exp.Expr = exp.column(at)
    if whole_days:
        moment = exp.cast(exp.TimestampTrunc(this=moment, unit=exp.var("DAY")), "TIMESTAMP")
    line = exp.select(
        "entity",
        *keys,
        moment.as_("line_at"),
        trees.null("TIMESTAMP").as_("hit_at"),
        place.as_("place"),
        exp.Literal.number(0).as_("kind"),
    ).from_(entries)
    seen = exp.select(
        "entity",
        *(trees.null(kind).as_(name) for name, kind in keys.items()),
        exp.column("seen_at").as_("line_at"),
        exp.column("seen_at").as_("hit_at"),
        "place",
        exp.Literal.number(1).as_("kind"),
    ).from_(hits)
    seen = seen.where(exp.column("entity").isin(query=exp.select("entity").from_(entries)))  # others follow nothing
    # From the end of time: at one moment, hits that count come before the entries.
    order = [falling(exp.column("line_at")), rising(exp.column("place"))]
    first = window_function(exp.Min(this=exp.column("hit_at")), by=["entity"], order=order, running=True)
    both = exp.union(line, seen, distinct=False)
    looked = exp.select("entity", *keys, "kind", first.as_("hit")).from_(both.subquery("time_line"))
    return exp.select("entity", *keys, "hit").from_(looked.subquery("looked")).where("kind = 0")


def within(at: exp.Expr, start: exp.Expr, window: object) -> exp.Expr:
    """at < start + window (None: whenever)."""
    if window is None:
        return trees.known(at)
    end = exp.Add(this=start.copy(), expression=trees.interval(window))  # type: ignore[arg-type]
    return exp.LT(this=at.copy(), expression=end)
