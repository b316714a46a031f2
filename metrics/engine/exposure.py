"""Who was shown which variant, and what each of them did since and before: added up in the engine.

One row comes back per variant and day of exposure, with sums and products: five million people are a few hundred
numbers. The outcome is counted from the first exposure on, the same KPI in as many days before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from connectors.warehouse.contract import Reader
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.launch import Exposure
from metrics.engine.per_person import Part, PerPerson
from metrics.engine.query import Scope
from metrics.engine.sql import trees

CAPPED_AT = 0.999  # of those who had any: what is above counts as this
FIRST_DAYS = timedelta(days=7)  # in which novelty would show
COUNTED, SEVERAL, EARLY = "counted", "several", "early"


@dataclass(frozen=True)
class Asked:
    """start: the launch's day. ends: days at which readings end, half-open, rising. before: days before exposure.

    exposure: None = nobody was shown anything: all who have rows in the days before `start` are exposed then, and their
    variant is one of 256 buckets, by a digest of who they are. where: a condition on the rows of the exposure's dataset
    (else on the KPI's own); empty = everybody.
    """

    exposure: Exposure | None
    person: PerPerson
    start: pd.Timestamp
    ends: tuple[pd.Timestamp, ...]
    before: timedelta
    where: str = ""

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Names of a person's values that are added up: y0, of ratios d0, y1 …, x, of ratios w, of amounts e."""
        ratio, last = self.person.of is not None, (("e",) if self.person.capped else ())
        by_end = [name for k in range(len(self.ends)) for name in ((f"y{k}", f"d{k}") if ratio else (f"y{k}",))]
        return (*by_end, "x", *(("w",) if ratio else ()), *last)

    @property
    def products(self) -> tuple[tuple[str, str], ...]:
        """Pairs of them whose products are added up, too: those of one end, and with what was before."""
        ratio = self.person.of is not None
        covariates = ["x", "w"] if ratio else ["x"]
        pairs = [(a, b) for i, a in enumerate(covariates) for b in covariates[i:]]
        for k in range(len(self.ends)):
            own = [f"y{k}", f"d{k}"] if ratio else [f"y{k}"]
            pairs += [(a, b) for i, a in enumerate(own) for b in own[i:]]
            pairs += [(a, b) for a in own for b in covariates]
        return tuple(pairs + ([("e", "e"), ("e", f"y{len(self.ends) - 1}")] if self.person.capped else []))


def exposed_sums(asked: Asked, catalogue: Catalogue, reader: Reader) -> pd.DataFrame:
    """A row per variant, status and day of first exposure. Raises KpiError.

    variant (text), status (counted; several: seen in two variants; early: exposed before the launch), day, n people.
    Of those counted: a column for each of `outcomes`, and one such as y0_x for each of `products`. y: a person's value
    since exposure up to the k-th end, d: what it is divided by; x and w: both before; e: the value within FIRST_DAYS.
    cap_y0 …: what larger values count as, NaN = none are. People without a row add 0, and are in n.
    """
    scope = Scope(catalogue, reader, {}, "day", asked.start, asked.ends[-1])
    ctes: dict[str, exp.Query] = {
        "exposed": _exposed(asked, scope),
        "counts": _counts(asked),
        "people": _people(asked),
        "happened": _happened(asked, scope),
        "totals": _totals(asked),
    }
    capped = [name for name in asked.outcomes if name != "e"] if asked.person.capped else []
    if capped:
        ctes["caps"] = _caps(capped)
    ctes["each"] = _each(asked, bool(capped))
    ctes["sums"] = _sums(asked)
    names = [*asked.outcomes, *(f"{a}_{b}" for a, b in asked.products)]
    counted = exp.EQ(this=exp.column("status", "counts"), expression=exp.Literal.string(COUNTED))
    same = [exp.EQ(this=exp.column(c, "counts"), expression=exp.column(c, "sums")) for c in ("variant", "day")]
    final = exp.select(
        *(exp.column(c, "counts") for c in ("variant", "status", "day", "n")),
        *(exp.column(name, "sums") for name in names),
        *(exp.column(f"cap_{name}", "caps") for name in capped),
    ).from_("counts")
    final = final.join("sums", on=exp.and_(counted, *same), join_type="left")
    final = final.join("caps", join_type="cross") if capped else final
    found = trees.run(trees.assembled(final, **ctes), scope)
    numbers = dict.fromkeys([*names, *(f"cap_{name}" for name in capped)], "float64")
    found = found.astype({"day": "datetime64[us]", "n": "int64", "variant": "object", **numbers})
    return found.assign(**{name: found[name].fillna(0.0) for name in names})


def of_exposure(exposure: Exposure, catalogue: Catalogue) -> Dataset:
    """The exposures as a dataset: who and when are the columns that the launch's file names."""
    dataset = catalogue.datasets[exposure.dataset]
    stated: dict[str, str] = {"time_dimension": exposure.at} if exposure.at else {}
    if exposure.entity and exposure.entity not in (dataset.entity, dataset.id):
        stated |= {"entity": exposure.entity, "identity": ""}
    return dataset.model_copy(update=stated)


def _exposed(asked: Asked, scope: Scope) -> exp.Select:
    """A row per entity: its variant, whether there is a second one, when it was exposed first."""
    if asked.exposure is None:
        return _split(asked, scope)
    dataset = of_exposure(asked.exposure, scope.catalogue)
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    column = exp.column(asked.exposure.variant, quoted=True)
    variant = exp.cast(exp.Min(this=column), "TEXT")
    first: exp.Expr = exp.Min(this=local)
    if not asked.exposure.at:  # whoever was there before has it since the launch
        first = exp.Greatest(this=first, expressions=[trees.moment(asked.start)])
    entity = _entity(dataset, asked, scope)
    query = exp.select(
        entity.as_("entity"),
        variant.as_("variant"),
        exp.NEQ(this=exp.Min(this=column.copy()), expression=exp.Max(this=column.copy())).as_("several"),
        exp.cast(first, "TIMESTAMP").as_("exposed_at"),
    )
    query = trees.from_dataset(query, dataset)
    conditions: list[exp.Expr] = [exp.LT(this=local.copy(), expression=trees.moment(scope.end)), trees.known(column)]
    conditions += [trees.known(exp.column(dataset.entity, quoted=True))]
    conditions += [exp.paren(sql.expression(asked.where))] if asked.where else []
    for condition in conditions:
        query.where(condition, copy=False)
    return query.group_by(exp.Literal.number(1))


def _split(asked: Asked, scope: Scope) -> exp.Select:
    """Who has rows in the days before, each in a bucket that depends on nothing but who they are."""
    dataset = scope.catalogue.datasets[asked.person.value.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    entity = _entity(dataset, asked, scope)
    digest = exp.MD5(this=exp.cast(entity.copy(), "TEXT"))
    bucket = exp.Substring(this=digest, start=exp.Literal.number(1), length=exp.Literal.number(2))
    query = exp.select(
        entity.as_("entity"),
        bucket.as_("variant"),
        exp.false().as_("several"),
        trees.moment(asked.start).as_("exposed_at"),
    ).distinct()
    query = trees.from_dataset(query, dataset)
    query.where(trees.in_range(local, asked.start - asked.before, asked.start), copy=False)
    query.where(trees.known(exp.column(dataset.entity, quoted=True)), copy=False)
    return query.where(exp.paren(sql.expression(asked.where))) if asked.where else query


def _entity(dataset: Dataset, asked: Asked, scope: Scope) -> exp.Expr:
    """Who: as it is where all datasets have ids of one type, else as text. Raises QueryRefused for different kinds."""
    others = [scope.catalogue.datasets[part.dataset] for part in asked.person.parts]
    mine = of_exposure(asked.exposure, scope.catalogue) if asked.exposure else others[0]
    if any(other.identity != mine.identity for other in others):
        names = " and ".join(dict.fromkeys([mine.name, *(other.name for other in others)]))
        raise QueryRefused(
            f"datasets {names} count by ids of different kinds", hint="Give all of them the same `identity`."
        )
    kinds = {_kind(item, scope) for item in (mine, *others)}
    entity = exp.column(dataset.entity, quoted=True)
    return entity if len(kinds) == 1 else exp.cast(entity, "TEXT")


def _kind(dataset: Dataset, scope: Scope) -> str:
    if dataset.identity:
        return "VARCHAR"
    known = scope.reader.columns(dataset.select) if dataset.select else scope.reader.tables()[dataset.source]
    return known.get(dataset.entity, "")


def _day() -> exp.Expr:
    return exp.cast(exp.TimestampTrunc(this=exp.column("exposed_at"), unit=exp.var("DAY")), "TIMESTAMP")


def _counts(asked: Asked) -> exp.Select:
    """How many entities were exposed on each day, by variant and whether they count."""
    early = exp.LT(this=exp.column("exposed_at"), expression=trees.moment(asked.start))
    status = exp.Case(
        ifs=[
            exp.If(this=exp.column("several"), true=exp.Literal.string(SEVERAL)),
            exp.If(this=early, true=exp.Literal.string(EARLY)),
        ],
        default=exp.Literal.string(COUNTED),
    )
    columns = exp.column("variant"), status.as_("status"), _day().as_("day"), exp.Count(this=exp.Star()).as_("n")
    return exp.select(*columns).from_("exposed").group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))


def _people(asked: Asked) -> exp.Select:
    """Those who count, with the day of their exposure."""
    since = exp.GTE(this=exp.column("exposed_at"), expression=trees.moment(asked.start))
    query = exp.select("entity", "variant", "exposed_at", _day().as_("day")).from_("exposed")
    return query.where(exp.not_(exp.column("several"))).where(since)


def _happened(asked: Asked, scope: Scope) -> exp.Query:
    """Rows that count: entity, at (local; of a date its last second, since the day of exposure is after it), v, u."""
    by_dataset: dict[str, dict[str, Part]] = {}
    for name, part in zip(("v", "u"), asked.person.parts, strict=False):
        by_dataset.setdefault(part.dataset, {})[name] = part
    selects = [_rows(asked, scope, name, parts) for name, parts in by_dataset.items()]
    found: exp.Query = selects[0] if len(selects) == 1 else exp.union(*selects, distinct=False)
    return found


def _rows(asked: Asked, scope: Scope, name: str, parts: dict[str, Part]) -> exp.Select:
    dataset = scope.catalogue.datasets[name]
    kind = trees.time_type(dataset, scope)
    local = trees.local_time(dataset, scope, kind)
    at = exp.Add(this=local.copy(), expression=trees.interval(timedelta(seconds=86399))) if kind == "DATE" else local
    columns = [_entity(dataset, asked, scope).as_("entity"), at.copy().as_("at")]
    for key in ("v", "u")[: len(asked.person.parts)]:
        part = parts.get(key)
        value: exp.Expr = trees.null("DOUBLE") if part is None else exp.cast(part.value, "DOUBLE")
        if part is not None and part.filter and len(parts) > 1:
            value = exp.Case(ifs=[exp.If(this=exp.paren(sql.expression(part.filter)), true=value)])
        columns.append(value.as_(key))
    query = trees.from_dataset(exp.select(*columns), dataset)
    filters = [exp.paren(sql.expression(part.filter)) for part in parts.values() if part.filter]
    conditions: list[exp.Expr] = [trees.in_range(local, asked.start - asked.before, scope.end)]
    conditions += [trees.known(exp.column(dataset.entity, quoted=True))]
    conditions += [exp.or_(*filters)] if len(filters) == len(parts) else []
    for condition in conditions:
        query.where(condition, copy=False)
    return query


def _totals(asked: Asked) -> exp.Select:
    """A person's values since exposure, up to each end, and before; of those who have any row."""
    person, at, shown = asked.person, exp.column("at", "happened"), exp.column("exposed_at", "people")
    begins = exp.Add(this=shown, expression=trees.interval(person.after)) if person.after else shown
    since: list[exp.Expr] = [exp.GTE(this=at, expression=begins)]
    if person.window is not None:
        over = exp.Add(this=shown, expression=trees.interval(person.after + person.window))
        since.append(exp.LT(this=at, expression=over))
    earlier: list[exp.Expr] = [exp.LT(this=at, expression=shown)]
    first: list[exp.Expr] = [exp.LT(this=at, expression=exp.Add(this=shown, expression=trees.interval(FIRST_DAYS)))]
    columns = []
    for name in asked.outcomes:
        part, column = (person.value, "v") if name[0] in "yxe" else (person.of or person.value, "u")
        when = earlier if name in ("x", "w") else since + (first if name == "e" else [])
        if name[0] in "yd":
            when = [*when, exp.LT(this=at, expression=trees.moment(asked.ends[int(name[1:])]))]
        met = exp.and_(*(condition.copy() for condition in when))
        value = exp.Case(ifs=[exp.If(this=met, true=exp.column(column, "happened"))])
        total = exp.Sum(this=value) if part.how == "sum" else exp.Max(this=value)
        columns.append(exp.Coalesce(this=total, expressions=[exp.Literal.number(0)]).as_(name))
    oldest = exp.Sub(this=shown.copy(), expression=trees.interval(asked.before))
    same = exp.EQ(this=exp.column("entity", "happened"), expression=exp.column("entity", "people"))
    query = exp.select(*(exp.column(c, "people") for c in ("entity", "variant", "day")), *columns).from_("people")
    query = query.join("happened", on=exp.and_(same, exp.GTE(this=at.copy(), expression=oldest)))
    return query.group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))


def _caps(names: Sequence[str]) -> exp.Select:
    """What larger values count as: a high quantile of those above 0."""
    columns = []
    for name in names:
        above = exp.GT(this=exp.column(name), expression=exp.Literal.number(0))
        some = exp.Case(ifs=[exp.If(this=above, true=exp.column(name))])
        share = exp.Literal.number(CAPPED_AT)
        columns.append(exp.Anonymous(this="QUANTILE_CONT", expressions=[some, share]).as_(f"cap_{name}"))
    return exp.select(*columns).from_("totals")


def _each(asked: Asked, capped: bool) -> exp.Select:
    """Everybody's values, the largest amounts capped."""
    values = []
    for name in asked.outcomes:
        value: exp.Expr = exp.column(name, "totals")
        if capped:
            limit = exp.column(f"cap_{f'y{len(asked.ends) - 1}' if name == 'e' else name}", "caps")
            value = exp.Least(this=value, expressions=[exp.Coalesce(this=limit, expressions=[value.copy()])])
        values.append(value.as_(name))
    query = exp.select(*(exp.column(c, "totals") for c in ("variant", "day")), *values).from_("totals")
    return query.join("caps", join_type="cross") if capped else query


def _sums(asked: Asked) -> exp.Select:
    sums = [exp.Sum(this=exp.column(name)).as_(name) for name in asked.outcomes]
    pairs = [
        exp.Sum(this=exp.Mul(this=exp.column(a), expression=exp.column(b))).as_(f"{a}_{b}") for a, b in asked.products
    ]
    query = exp.select("variant", "day", *sums, *pairs).from_("each")
    return query.group_by("variant", "day")
