"""Rows of one load that cannot be read: how many a source may have, where they are kept, how they are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import duckdb

from connectors.errors import LoadError, counted
from connectors.sources.contract import SourceOptions
from connectors.warehouse.duckdb.incoming import Rejected
from connectors.warehouse.duckdb.reader import BOOKS, one

LONGEST_RAW = 2000  # characters of a row that are kept
LONGEST_VALUE = 60  # of it are told
FIRST = 3  # of the values that cannot be read, and of the columns that have such, are told
HIDDEN = "(not kept: this source hashes or drops columns)"
COLUMNS = {"file": "string", "line": "int64", "column_name": "string", "reason": "string", "raw": "string"}


class Quarantine:
    """The unreadable rows of one load of a source."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, options: SourceOptions, seen_at: datetime) -> None:
        self._connection, self._options, self._seen_at = connection, options, seen_at
        self._rows: list[tuple[str, Rejected]] = []  # origin and row
        self.kept = 0  # rows that `keep` added
        self._private = any(rule in ("drop", "hash") for rule in options.columns.values())

    def forget(self, origin: str = "") -> None:
        """Rows of a file that is read again are judged anew; of all files, if the table is."""
        where, values = ("", []) if not origin else (" AND file = ?", [origin])
        self._connection.execute(
            f"DELETE FROM {BOOKS}.quarantine WHERE source = ?{where}", [self._options.name, *values]
        )

    def add(self, origin: str, rows: Iterable[Rejected]) -> None:
        """Rows of this load that cannot be read."""
        self._rows += [(origin, row) for row in rows]

    def refuse_too_many(self, readable: int, before: int) -> None:
        """Raises LoadError if more rows cannot be read than the source allows, or none can.

        readable: rows of this load. before: rows that the table has already and keeps.
        """
        bad, most = len(self._rows), self._options.max_quarantine
        total = before + readable + bad
        if not bad or (bad <= most * total and readable):
            return
        allowed = f"`max_quarantine` allows {most:.0%}" if readable else "not one row can be read"
        raise LoadError(
            f"{bad:,} of {counted(total, 'row')} cannot be read ({allowed}): {'; '.join(self.reasons())}",
            where=f"source {self._options.name}, table {self._options.table}",
            hint=self._way_out(),
        )

    def reasons(self) -> Iterator[str]:
        """What is wrong, the most frequent first, with the first different values of each and where they are."""
        groups: dict[str, list[tuple[str, Rejected]]] = {}
        for origin, row in self._rows:
            groups.setdefault(row.reason, []).append((origin, row))
        for reason, rows in sorted(groups.items(), key=lambda group: -len(group[1]))[:FIRST]:
            different = {row.value if not self._private else "": (origin, row) for origin, row in reversed(rows)}
            told = [self._cell(origin, row) for origin, row in reversed(different.values())][:FIRST]
            yield f"{counted(len(rows), 'row')}: {reason}: {', '.join(told)}"

    def _cell(self, origin: str, row: Rejected) -> str:
        value = f"'{row.value[:LONGEST_VALUE]}'" if row.value and not self._private else "the first"
        return f"{value} ({origin}" + (f", line {row.line})" if row.line else ")")

    def keep(self) -> None:
        """Put the rows aside, for people to look at."""
        if not self._rows:
            return
        import pyarrow as pa

        rows = [
            (o, r.line, r.column, self._why(r), HIDDEN if self._private else _shortened(r.raw)) for o, r in self._rows
        ]
        columns = zip(COLUMNS.items(), zip(*rows, strict=True), strict=True)
        self._connection.register("rejected", pa.table({c: pa.array(v, kind) for (c, kind), v in columns}))
        found = one(
            self._connection,  # a row without a line comes again with every look back: it is kept once
            f"INSERT INTO {BOOKS}.quarantine SELECT $1, $2, r.*, $3::TIMESTAMP FROM rejected r "
            f"WHERE r.line IS NOT NULL OR NOT EXISTS (SELECT 1 FROM {BOOKS}.quarantine q WHERE q.source = $1 "
            "AND q.file = r.file AND q.column_name = r.column_name AND q.raw = r.raw)",
            [self._options.name, self._options.table, self._seen_at],
        )
        self._connection.unregister("rejected")
        self.kept = int(found[0]) if found else 0

    def _why(self, row: Rejected) -> str:
        return f"{row.reason}: '{row.value[:LONGEST_VALUE]}'" if row.value and not self._private else row.reason

    def _way_out(self) -> str:
        cells = [row for _, row in self._rows if row.reason.startswith("'")]
        if 2 * len(cells) < len(self._rows):
            return "Set `encoding`, such as latin-1, or `delimiter` of this source, or raise `max_quarantine`."
        column, reason = cells[0].column, cells[0].reason
        style = "dmy" if any(word in reason for word in ("date", "DATE", "TIME")) else "'1.234,56'"
        return (
            f"State how it is written ({'dates' if style == 'dmy' else 'numbers'}: {{{column}: {style}}}), its type "
            f"(types: {{{column}: VARCHAR}}), rename it (columns: {{{column}: new_name}}), or raise `max_quarantine`."
        )


def _shortened(raw: str) -> str:
    return raw if len(raw) <= LONGEST_RAW else raw[:LONGEST_RAW] + "…"
