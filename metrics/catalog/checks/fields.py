"""Problems of single fields of a KPI's file: dataset names, expressions, measures, conditions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from connectors.errors import Problem, did_you_mean
from connectors.warehouse.contract import Columns
from metrics.catalog import sql
from metrics.catalog.document import Document
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon, Measure, Place
from metrics.transforms import Transform

NEED_NUMBERS = ("sum", "avg", "median", "percentile")
NO_NUMBERS = ("VARCHAR", "DATE", "TIMESTAMP", "UUID")


@dataclass(frozen=True)
class Known:
    """What a KPI's names are looked up in."""

    datasets: Mapping[str, Dataset]
    bad_datasets: Collection[str]
    columns: Mapping[str, Columns | None]
    transforms: Mapping[str, Transform]
    tables: Mapping[str, Columns] | None
    launches: Collection[str] = ()  # names of their files, whether they are right or not


def dataset_name(document: Document, place: Place, name: str, known: Known) -> list[Problem]:
    """The dataset that a key names must be there."""
    if not name or name in known.datasets:
        return []
    if name in known.bad_datasets:
        text = f"dataset '{name}' has an invalid definition"
        return [document.problem(place, "broken_reference", text, f"Fix datasets/{name}.yml first.")]
    hint = did_you_mean(name, sorted(known.datasets))
    return [document.problem(place, "unknown_dataset", f"unknown dataset '{name}'", hint)]


def parts(item: KpiCommon, document: Document, known: Known) -> list[Problem]:
    """Inline measures, each with its dataset."""
    found: list[Problem] = []
    for place, part in item.measures.items():
        bad = dataset_name(document, (*place, "dataset"), part.dataset, known)
        found += bad or measure(document, place, part, known)
    return found


def measure(document: Document, place: Place, part: Measure, known: Known) -> list[Problem]:
    """Expression, filter or aggregate, over the columns of its dataset."""
    columns = known.columns.get(part.dataset)
    found = []
    if part.expr and part.expr != "*":
        found += expression(document, (*place, "expr"), part.expr, columns, numbers=part.agg in NEED_NUMBERS)
        found += _number(document, (*place, "expr"), part, columns)
    if part.filter:
        found += expression(document, (*place, "filter"), part.filter, columns)
    if part.sql:
        found += expression(document, (*place, "sql"), part.sql, columns, aggregate=True)
    return found


def column_type(text: str, columns: Columns | None) -> str:
    """The type of the column that an expression is, if it is one and known; else empty."""
    return {c.lower(): k for c, k in (columns or {}).items()}.get(text.strip().strip('"').lower(), "")


def _number(document: Document, place: Place, part: Measure, columns: Columns | None) -> list[Problem]:
    """A column that is added up or compared must hold numbers."""
    kind = column_type(part.expr, columns)
    if part.agg in ("count", "count_distinct") or not kind.startswith(NO_NUMBERS):
        return []
    what = "text" if kind == "VARCHAR" else f"a {kind}"
    hint = 'State `decimal: ","` for its source if it has decimal commas, else its type in `types`; then sync --full.'
    text = f"'{part.expr}' is {what}, so it has no {part.agg}"
    return [document.problem(place, "not_a_number", text, hint)]


def expression(
    document: Document,
    place: Place,
    text: str,
    columns: Columns | None,
    *,
    aggregate: bool = False,
    numbers: bool = False,
) -> list[Problem]:
    """One expression over columns. aggregate: whether it must, or must not, aggregate rows; numbers: it is of such."""
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
    fitting = [name for name, kind in columns.items() if not kind.startswith(NO_NUMBERS)] if numbers else []
    return [
        document.problem(
            place, "unknown_column", f"unknown column '{name}'", did_you_mean(name, fitting or list(columns))
        )
        for name in dict.fromkeys(sql.columns(tree))
        if name.lower() not in lower
    ]


def conditions(item: KpiCommon, document: Document, known: Known) -> list[Problem]:
    """Each condition has its dataset and filter; all datasets say who is followed, by columns of one type."""
    found: list[Problem] = []
    kinds: dict[str, str] = {}
    for place, condition in item.conditions.items():
        bad = dataset_name(document, (*place, "dataset"), condition.dataset, known)
        found += bad
        if bad:
            continue
        data, columns = known.datasets[condition.dataset], known.columns.get(condition.dataset)
        if condition.filter:
            found += expression(document, (*place, "filter"), condition.filter, columns)
        if not data.entity:
            text = f"dataset '{data.name}' has no entity, so there is nobody to follow through its rows"
            hint = f"Write `entity:` with the column of who is counted in datasets/{data.name}.yml."
            found.append(document.problem(place, "no_entity", text, hint))
        elif columns and data.entity in columns:
            kinds[data.name] = "text" if columns[data.entity] == "VARCHAR" else "no text"
    people = {known.datasets[c.dataset].identity for c in item.conditions.values() if c.dataset in known.datasets}
    if len(people) > 1:
        named = [known.datasets[c.dataset] for c in item.conditions.values() if c.dataset in known.datasets]
        names = " and ".join(f"{d.name} {f'persons of {d.identity}' if d.identity else 'ids'}" for d in named)
        text = f"nobody can be followed: of {names} are counted"
        hint = "Give all of its datasets the same `identity`."
        found.append(document.problem(next(iter(item.conditions)), "entity_types", text, hint))
    if len(set(kinds.values())) > 1:
        names = " and ".join(f"{known.datasets[n].entity} of {n} is {kind}" for n, kind in kinds.items())
        hint = "Give both columns the same type: `text_columns` or `types` of the source."
        found.append(document.problem(next(iter(item.conditions)), "entity_types", f"entities differ: {names}", hint))
    return found
