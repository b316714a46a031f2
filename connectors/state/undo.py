"""Rows as they were before an act of somebody, to have them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from connectors.errors import StateError
from connectors.state import alerts, launches, snapshots, tables

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *(alerts.SILENCES, alerts.INCIDENTS, alerts.STANDINGS, alerts.NORMALS),
        *(launches.LAUNCHES, launches.DECISIONS, snapshots.NOTES),
    )
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """Rows of a table whose columns have these values."""

    table: str
    where: tuple[tuple[str, Any], ...]


def rows(connection: Connection, scope: Scope) -> list[Row]:
    """What a scope holds, in the order of its keys."""
    table = TABLES[scope.table]
    found = tables.rows(connection, select(table).where(*_conditions(table, scope.where)))
    return sorted((dict(row._mapping) for row in found), key=lambda row: repr(_key(table, row)))


def put_back(connection: Connection, scope: Scope, before: Sequence[Row], after: Sequence[Row]) -> None:
    """Make rows what they were before an act that left them as `after`. Raises StateError if they changed since."""
    if rows(connection, scope) != list(after):
        raise StateError("this was changed again meanwhile, so it is not undone", hint="Load the page anew and look.")
    table = TABLES[scope.table]
    old, new = ({_key(table, row): row for row in some} for some in (before, after))
    for key in new.keys() - old.keys():
        connection.execute(delete(table).where(*_conditions(table, key)))
    for key in old.keys() & new.keys():
        if old[key] != new[key]:
            connection.execute(update(table).where(*_conditions(table, key)).values(**old[key]))
    for key in old.keys() - new.keys():
        connection.execute(insert(table).values(**old[key]))


def _key(table: Table, row: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    names = [column.name for column in table.primary_key] or list(row)
    return tuple((name, row[name]) for name in names)


def _conditions(table: Table, values: Sequence[tuple[str, Any]]) -> list[Any]:
    return [table.c[name].is_(None) if value is None else table.c[name] == value for name, value in values]
