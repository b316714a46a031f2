"""Columns that come as text and hold dates or numbers: read once all rows of a load are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import duckdb

from connectors.errors import LoadError, counted, did_you_mean
from connectors.sources.contract import SourceOptions
from connectors.texts.numbers import COMMA, POINT
from connectors.texts.reading import TextReading
from connectors.warehouse.duckdb import texts
from connectors.warehouse.duckdb.incoming import Rejected
from connectors.warehouse.duckdb.quarantine import Quarantine
from connectors.warehouse.names import quoted

# What is wrong with a date that is one, by the type of its column.
UNLIKE = {
    "DATE": "a time of day, the others do not",
    "TIMESTAMP": "its zone, the others do not: nobody knows which moment they are",
    "TIMESTAMP WITH TIME ZONE": "no zone, the others do: nobody knows which moment it is",
}
MOSTLY = 0.5  # of the texts can be read, but not enough: that is told


class TextColumns:
    """Which columns of one load are read from text, and how.

    roles: source column → "dates", "numbers" or the pattern of its dates. readings: how they were read.
    """

    def __init__(self, options: SourceOptions, kept: Mapping[str, TextReading], seen_at: datetime) -> None:
        """kept: source column → how its texts were read before."""
        stated = {**dict.fromkeys(options.dates, "dates"), **dict.fromkeys(options.numbers, "numbers")}
        self._options, self._seen_at = options, seen_at
        self._kept = {c: reading for c, reading in kept.items() if c not in stated}
        self._currencies = {c: reading.currencies for c, reading in kept.items()}
        self.roles: dict[str, str] = {**{c: reading.role for c, reading in self._kept.items()}, **stated}
        self._types: dict[str, str] = {}
        self._batches: list[tuple[int, str, int, list[int]]] = []
        self.readings: Mapping[str, TextReading] = self._kept
        self.notes: list[str] = []

    def expect(self, types: Mapping[str, str]) -> None:
        """These columns have a type and are written in another way than it is read from."""
        self._types |= types
        self.roles |= {c: "dates" if kind.startswith(("DATE", "TIMESTAMP")) else "numbers" for c, kind in types.items()}

    def came_from(self, origin: str, first: int, header: int, bad_lines: list[int]) -> None:
        """A batch begins at row `first`. header: its line in a file, 0 = lines are not known; bad_lines: not in it."""
        self._batches.append((first, origin, header, sorted(bad_lines)))

    def read(
        self,
        connection: duckdb.DuckDBPyConnection,
        relation: str,
        names: Mapping[str, str],
        before: Mapping[str, str],
        bad: Quarantine,
    ) -> dict[str, str]:
        """Turn texts into what they mean; rows with one that means nothing go to `bad`. Column → its type now.

        relation: a table of all rows. names: source column → column. before: types of the table they go to.
        """
        chosen = {
            c: reading
            for c in self.roles
            if c in names and (reading := self._chosen(connection, relation, c, names[c], before)) is not None
        }
        self._refuse_unknown(names, before)
        chosen = {c: self._with_currencies(connection, relation, names[c], c, r) for c, r in chosen.items()}
        fast = {
            c: texts.fast_pattern(connection, relation, quoted(names[c]), reading.style)
            for c, reading in chosen.items()
            if reading.role == "dates"
        }
        for column, reading in chosen.items():
            wrong = texts.misfit(quoted(names[column]), reading, fast.get(column, ""))
            for origin, row in self._unreadable(connection, relation, names[column], column, reading, wrong):
                bad.add(origin, [row])
        for column, reading in chosen.items():
            name = quoted(names[column])
            value = texts.value_sql(name, reading, fast.get(column, ""))  # a text for nothing is no value in any style
            connection.execute(f"ALTER TABLE {relation} ALTER {name} TYPE {reading.kind} USING {value}")
        self.readings = {**self._kept, **chosen}
        return {names[c]: reading.kind for c, reading in chosen.items()}

    def _refuse_unknown(self, names: Mapping[str, str], before: Mapping[str, str]) -> None:
        """Raises LoadError for a column that is stated and that neither this load nor the table has."""
        stated = [*self._options.dates, *self._options.numbers]
        unknown = [c for c in stated if c not in names and c not in before and c not in self._options.columns]
        if unknown:
            raise LoadError(
                f"`dates` or `numbers` name '{unknown[0]}', which is not in the source",
                where=f"source {self._options.name}",
                hint=did_you_mean(unknown[0], list(names)),
            )

    def _with_currencies(
        self, connection: duckdb.DuckDBPyConnection, relation: str, name: str, column: str, reading: TextReading
    ) -> TextReading:
        """Those of earlier loads, too: dollars of one file and euros of the next are no sum."""
        if reading.role != "numbers":
            return reading
        met = {*self._currencies.get(column, ()), *texts.currencies(connection, relation, quoted(name))}
        reading = replace(reading, column=column, currencies=tuple(sorted(met)))
        self.notes += [reading.mixed] if reading.mixed else []
        return reading

    def _chosen(
        self, connection: duckdb.DuckDBPyConnection, relation: str, column: str, name: str, before: Mapping[str, str]
    ) -> TextReading | None:
        """As the source states, as before, or as the rows tell; None = they are texts."""
        wanted, role = self._types.get(column, ""), self.roles[column]
        stated = self._options.dates.get(column) or self._options.numbers.get(column) or (role if "%" in role else "")
        if not stated and column in self._kept:
            return self._as_before(connection, relation, self._kept[column], name)
        found = None if stated else self._find(connection, relation, name, role, 1 - self._options.max_quarantine)
        typed = column in getattr(self._options, "types", {})
        if "INT" in wanted and not typed:
            style = found.style if found is not None else POINT
            wanted = "DOUBLE" if texts.has_fractions(connection, relation, quoted(name), style) else wanted
        if found is not None:
            self.notes += [note for note in ("" if typed else found.note, found.doubt) if note]
            return replace(found, kind=wanted) if wanted else found
        if not stated and not wanted:
            self._tell_left(connection, relation, column, name, role)
            return None
        if role == "numbers":
            mark = COMMA if self._decimal == "," else POINT
            return TextReading("numbers", stated or mark, wanted or "DOUBLE")
        kind = wanted or (before.get(name, "") if before.get(name, "").startswith(("DATE", "TIMESTAMP")) else "")
        style = stated or "iso"
        return TextReading("dates", style, kind or texts.date_kind(connection, relation, quoted(name), style))

    def _as_before(
        self, connection: duckdb.DuckDBPyConnection, relation: str, kept: TextReading, name: str
    ) -> TextReading:
        """A doubt is told at every load until rows come that decide. Days become moments once a row says its time."""
        if kept.kind == "DATE" and kept.role == "dates" and name not in self._options.primary_key:
            kind = texts.date_kind(connection, relation, quoted(name), kept.style)
            kept = replace(kept, kind=kind if kind == "TIMESTAMP" else "DATE")
        if not kept.doubt:
            return kept
        found = self._find(connection, relation, name, kept.role, 1 - self._options.max_quarantine)
        if found is not None and not found.doubt and found.style == kept.style:
            return replace(kept, doubt="")
        self.notes.append(kept.doubt)
        return kept

    @property
    def _decimal(self) -> str:
        return str(getattr(self._options, "decimal", "."))

    def _find(
        self, connection: duckdb.DuckDBPyConnection, relation: str, name: str, role: str, least: float
    ) -> TextReading | None:
        return texts.find(
            connection, relation, quoted(name), now=self._seen_at, decimal=self._decimal, least=least, role=role
        )

    def _tell_left(
        self, connection: duckdb.DuckDBPyConnection, relation: str, column: str, name: str, role: str
    ) -> None:
        mostly = self._find(connection, relation, name, role, MOSTLY)
        if mostly is None:
            return
        wrong = texts.misfit(quoted(name), mostly)
        query = f"SELECT count(*), first({quoted(name)}) FROM {relation} WHERE {wrong}"
        rows, first = connection.execute(query).fetchone() or (0, "")
        self.notes.append(
            f"'{column}' stays text: {counted(rows, 'row is', 'rows are')} no {role}, the first '{first}'; "
            f"to put them aside state {role}: {{{column}: '{mostly.style}'}} and raise `max_quarantine`"
        )

    def _unreadable(
        self,
        connection: duckdb.DuckDBPyConnection,
        relation: str,
        name: str,
        column: str,
        reading: TextReading,
        wrong: str,
    ) -> list[tuple[str, Rejected]]:
        text = quoted(name)
        other = f"{texts.date_sql(text, reading.style)} IS NOT NULL" if reading.role == "dates" else "false"
        rows = connection.execute(
            f"SELECT rowid - (SELECT min(rowid) FROM {relation}), {text}, to_json(i), {other} FROM {relation} AS i "
            f"WHERE {wrong} ORDER BY rowid"
        ).fetchall()
        if rows:
            connection.execute(f"DELETE FROM {relation} WHERE {wrong}")
        reasons = {False: f"'{column}' is no {'date' if reading.role == 'dates' else 'number'}"}
        reasons[True] = f"'{column}' says {UNLIKE.get(reading.kind, 'more than its type holds')}"
        places = [self._place(row[0]) for row in rows]
        return [
            (origin, Rejected(line, column, reasons[other], raw, value))
            for (origin, line), (_, value, raw, other) in zip(places, rows, strict=True)
        ]

    def _place(self, position: int) -> tuple[str, int | None]:
        """Origin and line of a row. The line is the file's, where no value spans lines."""
        first, origin, header, bad_lines = [batch for batch in self._batches if batch[0] <= position][-1]
        if not header:
            return origin, None
        line = position - first + header + 1
        for other in bad_lines:
            line += other <= line
        return origin, line
