"""What a well-formed definition can still get wrong: names, columns, SQL, features that come later."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from connectors.errors import KpiError, Problem, did_you_mean
from connectors.warehouse.contract import Columns
from metrics.catalog import sql
from metrics.catalog.additivity import additivity
from metrics.catalog.checks.alerts import alerts
from metrics.catalog.document import Document
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.derived import formula
from metrics.catalog.models.kpi import Cohort, Derived, Funnel, KpiCommon, Measure, Simple, Sql, Survey
from metrics.catalog.models.values import GRAINS
from metrics.transforms import Transform, option_problems

PARTS = ("period", "value", "numerator", "denominator", "n")
LATER = {"drivers": "drivers"}  # keys that are parsed and kept, but do nothing in this version


@dataclass(frozen=True)
class Known:
    """What a KPI's names are looked up in."""

    datasets: Mapping[str, Dataset]
    bad_datasets: Collection[str]
    columns: Mapping[str, Columns | None]
    transforms: Mapping[str, Transform]
    tables: Mapping[str, Columns] | None


def dataset(
    item: Dataset,
    document: Document,
    tables: Mapping[str, Columns] | None,
    describe: Callable[[str], Columns] | None,
) -> tuple[Columns | None, list[Problem]]:
    """Columns of a dataset (None = cannot be told yet) and its problems."""
    key = "sql" if item.sql else "source"
    if bool(item.sql) == bool(item.source):
        hint = "Write a table in `source`, or a SELECT in `sql`."
        return None, [document.problem((), "missing_key", "a dataset has either `source` or `sql`", hint)]
    columns: Columns | None = None
    try:
        if item.select:
            sql.select(item.select, tables)
            columns = describe(item.select) if describe and tables else None
        elif tables is not None and item.source not in tables:
            hint = did_you_mean(item.source, sorted(tables)) + " Run `kpi sync` if its source is new."
            return None, [document.problem(("source",), "unknown_table", f"unknown table '{item.source}'", hint)]
        elif tables is not None:
            columns = tables[item.source]
    except sql.SqlProblem as problem:
        return None, [document.problem((key,), "sql", str(problem), problem.hint)]
    except KpiError as error:
        return None, [document.problem((key,), "sql", error.message)]
    found = _dataset_columns(item, document, columns) if columns is not None else []
    for name, text in item.dimensions.items():
        found += _expression(document, ("dimensions", name), text, columns)
    return columns, found


def kpi(item: KpiCommon, document: Document, known: Known) -> list[Problem]:
    """Every problem of one KPI but those of the KPIs it refers to."""
    found = _dataset_name(document, ("dataset",), item.dataset, known)
    if found:
        return found
    if isinstance(item, Simple):
        found += _measure(document, (), item.measure, known) + _semi_additive(document, item, known)
    elif item.parts:
        for key, part in item.parts.items():
            if isinstance(part, Measure):
                bad = _dataset_name(document, (key, "dataset"), part.dataset, known)
                found += bad or _measure(document, (key,), part, known)
    elif isinstance(item, Derived):
        try:
            formula(item.expr)
        except sql.SqlProblem as problem:
            found.append(document.problem(("expr",), "sql", str(problem), problem.hint))
    elif isinstance(item, Sql):
        found += _select(document, item, known)
    elif isinstance(item, Survey):
        found += _survey(document, item, known)
    elif isinstance(item, Cohort):
        found += _cohort(document, item, known)
    if any(problem.level == "error" for problem in found):
        return found
    found += _dimensions(document, item, known)
    found += _grains(document, item, known)
    found += _transforms(document, item, known)
    found += alerts(item, document, known.datasets)
    return found + _not_used_yet(document, item)


def _not_used_yet(document: Document, item: KpiCommon) -> list[Problem]:
    return [
        document.problem(
            (key,),
            "not_used_yet",
            f"`{key}` is not used yet: this version has no {what}",
            "It is checked and kept.",
            "warning",
        )
        for key, what in LATER.items()
        if getattr(item, key)
    ]


def references(item: KpiCommon) -> list[tuple[tuple[str, ...], str]]:
    """(place in the file, KPI named there) for each KPI that this one is made of."""
    if isinstance(item, Derived):
        return [(("expr",), r.kpi) for r in formula(item.expr).references]
    return [((key,), part) for key, part in item.parts.items() if isinstance(part, str)]


def reference(
    name: str,
    target: str,
    kpis: Mapping[str, KpiCommon],
    broken: Mapping[str, Sequence[Problem]],
    document: Document,
    place: tuple[str | int, ...],
) -> Problem | None:
    """What is wrong with KPI `name` referring to KPI `target`; None if nothing."""
    if target in broken:
        text = f"KPI '{target}' has an invalid definition"
        return document.problem(place, "broken_reference", text, f"Mend kpis/{target}.yml first.")
    if target not in kpis:
        hint = did_you_mean(target, sorted(set(kpis) - {name}))
        return document.problem(place, "unknown_kpi", f"unknown KPI '{target}'", hint)
    seen, todo = set(), [target]
    while todo:
        current = todo.pop()
        if current == name:
            return document.problem(place, "circular", f"'{name}' refers to itself through '{target}'")
        if current in kpis and current not in seen:
            seen.add(current)
            todo += [found for _, found in references(kpis[current])]
    target_kpi = kpis[target]
    if kpis[name].parts and not isinstance(target_kpi, Simple):
        text = f"'{target}' is {kpis[target].type}; a {kpis[name].type}'s part is a simple KPI or an inline measure"
        return document.problem(place, "wrong_part", text, "Use `type: derived` to divide other KPIs.")
    return None


def _sums(name: str, options: Mapping[str, object]) -> bool:
    return name == "cumulative" or (name == "rolling" and options.get("agg") == "sum")


def own_dimensions(item: KpiCommon, data: Dataset) -> tuple[str, ...]:
    """Dimensions that a KPI's own rows carry."""
    if isinstance(item, Sql):
        try:
            given = sql.select(item.sql, None).named_selects
        except sql.SqlProblem:
            return ()
        return tuple(name for name in given if name not in PARTS)
    return tuple(data.dimensions)


def sql_datasets(item: KpiCommon, datasets: Collection[str]) -> list[str]:
    """Datasets that a KPI of type sql reads."""
    if not isinstance(item, Sql):
        return []
    tree = sql.select(item.sql, None)
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    names = [t.name for t in tree.find_all(exp.Table) if t.name in datasets and t.name not in own]
    return list(dict.fromkeys(names))


def _dataset_columns(item: Dataset, document: Document, columns: Columns) -> list[Problem]:
    found = []
    named = [("time_dimension", item.time_dimension), ("entity", item.entity)]
    named += [("primary_key", column) for column in item.primary_key]
    for place, column in named:
        if column and column not in columns:
            hint = did_you_mean(column, list(columns))
            found.append(document.problem((place,), "unknown_column", f"unknown column '{column}'", hint))
    if item.time_dimension in columns and not columns[item.time_dimension].startswith(("DATE", "TIMESTAMP")):
        text = f"time_dimension '{item.time_dimension}' is {columns[item.time_dimension]}, not a date or timestamp"
        hint = "State `date_format` or `types` of its source, or convert it in the dataset's `sql`."
        if columns[item.time_dimension] in ("BIGINT", "HUGEINT", "DOUBLE", "INTEGER"):
            name = f'"{item.time_dimension}"'
            hint = f"Seconds or milliseconds since 1970? sql: SELECT *, epoch_ms({name}) AS happened_at FROM …"
        found.append(document.problem(("time_dimension",), "not_a_time", text, hint))
    return found


def _dataset_name(document: Document, place: tuple[str | int, ...], name: str, known: Known) -> list[Problem]:
    if not name or name in known.datasets:
        return []
    if name in known.bad_datasets:
        text = f"dataset '{name}' has an invalid definition"
        return [document.problem(place, "broken_reference", text, f"Mend datasets/{name}.yml first.")]
    hint = did_you_mean(name, sorted(known.datasets))
    return [document.problem(place, "unknown_dataset", f"unknown dataset '{name}'", hint)]


def _measure(document: Document, place: tuple[str | int, ...], part: Measure, known: Known) -> list[Problem]:
    columns = known.columns.get(part.dataset)
    found = []
    if part.expr and part.expr != "*":
        found += _expression(document, (*place, "expr"), part.expr, columns)
        found += _number(document, (*place, "expr"), part, columns)
    if part.filter:
        found += _expression(document, (*place, "filter"), part.filter, columns)
    if part.sql:
        found += _expression(document, (*place, "sql"), part.sql, columns, aggregate=True)
    return found


def _number(document: Document, place: tuple[str | int, ...], part: Measure, columns: Columns | None) -> list[Problem]:
    """A column that is added up or compared must hold numbers."""
    kind = {c.lower(): k for c, k in (columns or {}).items()}.get(part.expr.strip().strip('"').lower(), "")
    if part.agg in ("count", "count_distinct") or not kind.startswith(("VARCHAR", "DATE", "TIMESTAMP", "UUID")):
        return []
    what = "text" if kind == "VARCHAR" else f"a {kind}"
    hint = 'State `decimal: ","` for its source if it has decimal commas, else its type in `types`; then sync --full.'
    text = f"'{part.expr}' is {what}, so it has no {part.agg}"
    return [document.problem(place, "not_a_number", text, hint)]


def _expression(
    document: Document, place: tuple[str | int, ...], text: str, columns: Columns | None, *, aggregate: bool = False
) -> list[Problem]:
    try:
        tree = sql.expression(text)
    except sql.SqlProblem as problem:
        return [document.problem(place, "sql", str(problem), problem.hint)]
    if sql.has_aggregate(tree) != aggregate:
        text = "must aggregate rows, such as sum(amount)" if aggregate else "must not aggregate rows"
        return [document.problem(place, "sql", f"'{place[-1]}' {text}")]
    if columns is None:
        return []
    lower = {c.lower() for c in columns}
    return [
        document.problem(place, "unknown_column", f"unknown column '{name}'", did_you_mean(name, list(columns)))
        for name in dict.fromkeys(sql.columns(tree))
        if name.lower() not in lower
    ]


def _semi_additive(document: Document, item: Simple, known: Known) -> list[Problem]:
    """Whose row of a period counts must be known; its column, if it is another than the entity."""
    if item.semi_additive is None:
        return []
    data = known.datasets[item.dataset]
    if not (item.semi_additive.per or data.entity):
        text = f"dataset '{item.dataset}' has no entity, so it is unknown whose {item.semi_additive.pick} row counts"
        return [document.problem(("semi_additive",), "no_entity", text, "Write `per: account_id`, or its `entity`.")]
    per = item.semi_additive.per
    return _expression(document, ("semi_additive", "per"), per, known.columns.get(item.dataset)) if per else []


def _survey(document: Document, item: Survey, known: Known) -> list[Problem]:
    columns = known.columns.get(item.dataset)
    found = _expression(document, ("score",), item.score, columns)
    kind = {c.lower(): k for c, k in (columns or {}).items()}.get(item.score.strip().strip('"').lower(), "")
    if kind.startswith(("VARCHAR", "DATE", "TIMESTAMP", "UUID")):
        what = "text" if kind == "VARCHAR" else f"a {kind}"
        hint = f"Write `score: TRY_CAST({item.score} AS BIGINT)`, or its type in the source's `types`."
        found.append(document.problem(("score",), "not_a_number", f"'{item.score}' is {what}, so it is no score", hint))
    for key in ("filter", "comment"):
        if getattr(item, key):
            found += _expression(document, (key,), getattr(item, key), columns)
    return found


def _cohort(document: Document, item: Cohort, known: Known) -> list[Problem]:
    """Each condition has its dataset and filter; all datasets say who is followed, by columns of one type."""
    found: list[Problem] = []
    kinds: dict[str, str] = {}
    for place, condition in item.conditions.items():
        bad = _dataset_name(document, (*place, "dataset"), condition.dataset, known)
        found += bad
        if bad:
            continue
        data, columns = known.datasets[condition.dataset], known.columns.get(condition.dataset)
        if condition.filter:
            found += _expression(document, (*place, "filter"), condition.filter, columns)
        if not data.entity:
            text = f"dataset '{data.name}' has no entity, so nobody can be followed through its rows"
            hint = f"Write `entity:` with the column of who is counted in datasets/{data.name}.yml."
            found.append(document.problem(place, "no_entity", text, hint))
        elif columns and data.entity in columns:
            kinds[data.name] = "text" if columns[data.entity] == "VARCHAR" else "no text"
    if len(set(kinds.values())) > 1:
        names = " and ".join(f"{known.datasets[n].entity} of {n} is {kind}" for n, kind in kinds.items())
        hint = "Give both columns the same type: `text_columns` or `types` of the source."
        found.append(document.problem(next(iter(item.conditions)), "entity_types", f"entities differ: {names}", hint))
    if isinstance(item, Funnel) and item.order == "strict" and not found:
        data = known.datasets[next(iter(item.conditions.values())).dataset]
        if not data.primary_key:
            text = "which of two rows of the same moment is first is not known; that of the earlier step is taken"
            hint = f"Write `primary_key:` in datasets/{data.name}.yml; then its columns decide."
            found.append(document.problem(("order",), "no_order", text, hint, "warning"))
    return found


def _select(document: Document, item: Sql, known: Known) -> list[Problem]:
    try:
        names = None if known.tables is None else {*known.datasets, *known.tables}
        given = sql.select(item.sql, names).named_selects
    except sql.SqlProblem as problem:
        return [document.problem(("sql",), "sql", str(problem), problem.hint)]
    found = []
    if "period" not in given:
        found.append(document.problem(("sql",), "sql_columns", "the SELECT gives no column `period`"))
    if "value" not in given and not {"numerator", "denominator"} <= set(given):
        text = "the SELECT gives neither `value` nor `numerator` and `denominator`"
        found.append(document.problem(("sql",), "sql_columns", text, f"It gives: {', '.join(given)}."))
    return found


def _base(item: KpiCommon) -> str:
    """The dataset whose rows have a KPI's periods and dimensions."""
    return next((condition.dataset for condition in item.conditions.values()), item.dataset)


def _dimensions(document: Document, item: KpiCommon, known: Known) -> list[Problem]:
    base = _base(item)
    if not item.dimensions or not base:
        return []
    have = own_dimensions(item, known.datasets[base])
    return [
        document.problem(("dimensions", i), "unknown_dimension", f"unknown dimension '{d}'", did_you_mean(d, have))
        for i, d in enumerate(item.dimensions)
        if d not in have
    ]


def _grains(document: Document, item: KpiCommon, known: Known) -> list[Problem]:
    found = []
    finest = min([item.grain, *item.grains], key=GRAINS.index)
    if isinstance(item, Simple) and item.window and finest == "hour":
        text = "a windowed KPI has no hour grain: its window is whole days"
        found.append(document.problem(("grains",), "grain", text, "Offer day and coarser."))
    columns = known.columns.get(_base(item))
    data = known.datasets.get(_base(item))
    if columns and data and columns.get(data.time_dimension) == "DATE" and finest == "hour":
        text = f"'{data.time_dimension}' is a DATE, so the finest grain is day"
        found.append(document.problem(("grains",) if item.grains else ("grain",), "grain", text))
    return found


def _transforms(document: Document, item: KpiCommon, known: Known) -> list[Problem]:
    found = []
    for index, step in enumerate(item.transforms):
        for name, options in step.items():
            place = ("transforms", index, name)
            if name not in known.transforms:
                hint = did_you_mean(name, sorted(known.transforms))
                found.append(document.problem(place, "unknown_transform", f"unknown transform '{name}'", hint))
            elif _sums(name, options) and additivity(item) != "additive":
                text = f"{name} adds up values of single {item.grain}s, but those of '{item.name}' do not add up"
                hint = "Write `window:` in a simple KPI, or `type: cumulative`: both count anew over the longer span."
                found.append(document.problem(place, "adds_up", text, hint))
            else:
                for message, hint in option_problems(known.transforms[name], options):
                    found.append(document.problem(place, "transform_option", f"{name}: {message}", hint))
    return found
