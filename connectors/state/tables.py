"""Columns of the state store, each declared once: a frozen dataclass is a row, `table` makes columns of its fields.

The tables stand beside their reads and writes in `alerts`, `launches` and `snapshots`. Migrations make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from sqlalchemy import Boolean, Column, Connection, DateTime, Float, Integer, MetaData, Row, Select, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator, TypeEngine

R = TypeVar("R")
Allowed = tuple[tuple[type, ...], frozenset[str]]  # types; of a text of few words, these
metadata = MetaData()
_ALLOWED: dict[type[object], Mapping[str, Allowed]] = {}


class Unreadable(Exception):
    """A value is not of the kind that its column holds: SQLite would give back any, of damage too."""


class Moment(TypeDecorator[datetime]):
    """An instant: kept in UTC, given back with its zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC, without its zone: SQLite keeps none."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """With its zone."""
        return None if value is None else value.replace(tzinfo=UTC)


class Choice(String):
    """One of a few words."""

    def __init__(self, *words: str, length: int = 20) -> None:
        super().__init__(length)
        self.words = frozenset(words)


# What a field may be: one of these, a choice, or a plain type of PLAIN; `| None` = may be NULL. A plain datetime is a
# period: naive, as everywhere in metrics.
Name = Annotated[str, String(100)]  # of a file
Label = Annotated[str, String(200)]  # who, or a key made of names
Segment = Annotated[str, String(400)]
Instant = Annotated[datetime, Moment()]
PLAIN: dict[type, type[TypeEngine[Any]]] = {
    str: Text,
    int: Integer,
    float: Float,
    bool: Boolean,
    datetime: DateTime,
}


def table(name: str, row: type[object], *more: SchemaItem) -> Table:
    """The table of a dataclass, with its keys, its indexes and the columns that its rows go without in `more`.

    A field `id` is the primary key that the database counts. Raises KeyError for a type that no column has.
    """
    hints = get_type_hints(row, include_extras=True)
    return Table(name, metadata, *(_column(field, hint) for field, hint in hints.items()), *more)


def _column(name: str, hint: Any) -> Column[Any]:
    kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
    kind = next(kind for kind in kinds if kind is not NoneType)
    plain, said = get_args(kind) or (kind, None)
    return Column(name, said or PLAIN[plain], primary_key=name == "id", nullable=NoneType in kinds)


def cells(row: object) -> dict[str, Any]:
    """Column → value of a row to be stored. The database counts `id`."""
    return {name: value for name, value in vars(row).items() if name != "id"}


def read(connection: Connection, query: Select[Any], kind: type[R]) -> list[R]:
    """What a query over the columns of a dataclass finds: plain values, which outlive the transaction.

    Raises Unreadable.
    """
    return [made(kind, row._mapping) for row in rows(connection, query)]


def rows(connection: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    """What a query finds. Raises Unreadable."""
    found = connection.execute(query)
    try:
        return found.all()
    except (ValueError, TypeError) as error:  # a text that is no time, a number that is none
        raise Unreadable(str(error)) from error


def made(kind: type[R], values: Mapping[Any, Any]) -> R:
    """A dataclass of a row's values, by name. Raises Unreadable."""
    if kind not in _ALLOWED:
        _ALLOWED[kind] = _allowed(kind)
    for name, (types, words) in _ALLOWED[kind].items():
        value = values[name]
        if not isinstance(value, types) or (words and value is not None and value not in words):
            raise Unreadable(f"{kind.__name__}.{name} is {value!r}")
    return kind(**values)


def _allowed(kind: type[object]) -> Mapping[str, Allowed]:
    """Field of a row's dataclass → what its values may be."""
    found = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
        said = [get_args(one) or (one,) for one in kinds]  # (type, column) of what is annotated
        types = [types[0] for types in said]
        words = frozenset[str]().union(*(x.words for extra in said for x in extra if isinstance(x, Choice)))
        found[name] = (*types, *([int] if float in types else [])), words
    return found
