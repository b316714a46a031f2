"""What a well-formed dataset can still get wrong: its table or SELECT, its columns, its dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from connectors.errors import KpiError, Problem, did_you_mean
from connectors.warehouse.contract import Columns
from metrics.catalog import sql
from metrics.catalog.checks.fields import expression
from metrics.catalog.document import Document
from metrics.catalog.models.dataset import PERSON, Dataset

TIMES = ("DATE", "TIMESTAMP")


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
    if item.identity:
        found += _identity(item, document, columns, tables)
        columns = {**columns, PERSON: "VARCHAR"} if columns is not None else None
    for name, text in item.dimensions.items():
        found += expression(document, ("dimensions", name), text, columns)
    return columns, found


def _dataset_columns(item: Dataset, document: Document, columns: Columns) -> list[Problem]:
    found = []
    named = [("time_dimension", item.time_dimension), ("entity", item.entity)]
    named += [("primary_key", column) for column in item.primary_key]
    for place, column in named:
        if column and column not in columns:
            moments = [name for name, kind in columns.items() if kind.startswith(TIMES)]
            hint = did_you_mean(column, moments if place == "time_dimension" and moments else list(columns))
            found.append(document.problem((place,), "unknown_column", f"unknown column '{column}'", hint))
    if item.time_dimension in columns and not columns[item.time_dimension].startswith(TIMES):
        text = f"time_dimension '{item.time_dimension}' is {columns[item.time_dimension]}, not a date or timestamp"
        hint = "State `date_format` or `types` of its source, or convert it in the dataset's `sql`."
        if columns[item.time_dimension] in ("BIGINT", "HUGEINT", "DOUBLE", "INTEGER"):
            name = f'"{item.time_dimension}"'
            hint = f"Seconds or milliseconds since 1970? sql: SELECT *, epoch_ms({name}) AS happened_at FROM …"
        found.append(document.problem(("time_dimension",), "not_a_time", text, hint))
    return found


def _identity(
    item: Dataset, document: Document, columns: Columns | None, tables: Mapping[str, Columns] | None
) -> list[Problem]:
    """What is wrong with the table of whose each id is."""
    if not item.entity:
        hint = "Write the column of the id in `entity`, such as entity: distinct_id."
        return [document.problem(("identity",), "missing_key", "`identity` says whose the `entity` is", hint)]
    if columns is not None and PERSON in {column.casefold() for column in columns}:
        text = f"the dataset has a column '{PERSON}' already, which `identity` would bring"
        return [document.problem(("identity",), "twice", text, "Rename it in sources.yml, or in the dataset's `sql`.")]
    if columns is not None and columns.get(item.entity) in ("DOUBLE", "FLOAT"):
        text = f"'{item.entity}' is {columns[item.entity]}: as a text its 1 is '1.0', and no id is written so"
        return [document.problem(("entity",), "entity_types", text, "State `types: {…: BIGINT}` of its source.")]
    if tables is None:
        return []
    if item.identity not in tables:
        hint = f"Sources make it that have `identity: {item.identity}` in sources.yml; run `kpi sync`."
        return [document.problem(("identity",), "unknown_table", f"unknown table '{item.identity}'", hint)]
    lacking = [column for column in ("id", PERSON) if column not in tables[item.identity]]
    if lacking:
        text = f"table '{item.identity}' has no column '{lacking[0]}'"
        return [
            document.problem(
                ("identity",),
                "unknown_column",
                text,
                f"Sources make it that have `identity: {item.identity}`; one of your own has id and person.",
            )
        ]
    return []
