"""From the rows that a sync loaded to files of a lake: of the days that it touched, each whole and anew."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from connectors.warehouse.contract import Columns
from connectors.warehouse.engines.files import FileTable
from connectors.warehouse.lake import days
from connectors.warehouse.lake.local import LocalStaging
from connectors.warehouse.lake.manifest import LakeFile, LakeTable, Manifest
from connectors.warehouse.lake.store import SUFFIX, LakeStore, place
from connectors.warehouse.names import quoted

# What a column becomes that not every engine has; what is in neither is a text.
AS_IT_IS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "BOOLEAN", "VARCHAR", "DATE", "TIMESTAMP",
     "TIMESTAMP WITH TIME ZONE"}
)  # fmt: skip
WIDENED = {
    "UTINYINT": "SMALLINT", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "DECIMAL(20,0)",
    "HUGEINT": "DECIMAL(38,0)", "UHUGEINT": "DECIMAL(38,0)",
    "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "TIMESTAMP_NS": "TIMESTAMP",
}  # fmt: skip


class Writing:
    """Files of one generation. made: those that it wrote so far, by their names in the lake.

    times: table → the column of its rows' time, as definitions say. Before the local staging settles. Its methods raise
    OSError, WarehouseError, DiskFull.
    """

    def __init__(self, store: LakeStore, local: LocalStaging, times: Mapping[str, str], least: int) -> None:
        self._store, self._local, self._times, self._least = store, local, times, least
        self.made: list[str] = []

    def manifest(self, project: str, before: Manifest | None) -> Manifest:
        """All tables as files: those of the generation before, where no row of theirs differs, and new ones."""
        known = before.tables if before else {}
        tables = {name: self._table(name, columns, known.get(name)) for name, columns in self._local.tables().items()}
        return Manifest(project, self._store.root, tables)

    def changes(self) -> dict[str, FileTable]:
        """Table → the old and new versions of the rows that this sync changed, as a file; of those that have any."""
        found = {}
        for table in self._local.tables():
            if relation := self._local.changes(table):
                columns = self._local.columns(f"SELECT * FROM {relation}")
                file = self._written(table, "changed", relation, columns, "")
                found[table] = FileTable(_kept(columns), (place(self._store.root, file.name),), file.rows)
        return found

    def _table(self, table: str, columns: Columns, before: LakeTable | None) -> LakeTable:
        changed = self._local.changes(table)
        kinds = _kept(columns)
        same = before is not None and dict(before.columns) == kinds and self._are_there(before.files)
        if before is None or not same:
            by = self._time(table, columns)
            return LakeTable(by, kinds, self._days(table, columns, by, [], None))
        if changed == "":
            return before
        touched = self._touched(changed, before.by)
        if touched is None:
            return LakeTable(before.by, kinds, self._days(table, columns, before.by, [], None))
        stay = days.left(before.files, touched, self._least)
        gone = [days.span(file) for file in before.files if file.rows and file not in stay]
        spans = {*gone, *(None if day is None else (day, day) for day in touched)}
        return LakeTable(before.by, kinds, self._days(table, columns, before.by, stay, spans))

    def _are_there(self, files: Collection[LakeFile]) -> bool:
        """As they were written; a folder that was put back from elsewhere may lack some."""
        found = self._store.sizes([file.name for file in files])
        return all(found.get(file.name) == file.size for file in files)

    def _time(self, table: str, columns: Columns) -> str:
        """The column that says which day a row is of: as definitions say, else the first time; empty = none does."""
        times = [column for column, kind in columns.items() if kind in days.TIMES]
        stated = self._times.get(table, "")
        return stated if stated in times else next(iter(times), "")

    def _touched(self, relation: str | None, by: str) -> Collection[int | None] | None:
        """Days of rows that changed, None for those without; None = any day, or it cannot be told."""
        if relation is None or not by:
            return None
        if by not in self._local.columns(f"SELECT * FROM {relation}"):
            return None
        return {day for (day,) in self._local.rows(f"SELECT DISTINCT {days.day_of(by)} FROM {relation}")}

    def _days(
        self, table: str, columns: Columns, by: str, stay: list[LakeFile], spans: Collection[days.Run | None] | None
    ) -> tuple[LakeFile, ...]:
        """The files that stay, and new ones: of the days of `spans`, None among them for rows without a day; or of all

        days where `spans` is None. An empty table has one file, too.
        """
        write = partial(self._written, table, columns=columns)
        source = f"main.{quoted(table)}"
        if not by:
            return (write("all", source, where=""),)
        where = "" if spans is None else f" WHERE {days.among(by, spans)}"
        counts = self._local.rows(f"SELECT {days.day_of(by)} AS day, count(*) FROM {source}{where} GROUP BY 1")
        made = [write("none", source, where=f" WHERE {days.outside(by)}") for day, _ in counts if day is None]
        for run in days.runs(sorted(pair for pair in counts if pair[0] is not None), stay, self._least):
            made.append(write(days.named(run), source, where=f" WHERE {days.within(by, run)}", run=run))
        found = [*stay, *made] or [write("none", source, where=" WHERE false")]
        return tuple(sorted(found, key=lambda file: (file.first is not None, file.first)))

    def _written(
        self, table: str, folder: str, source: str, columns: Columns, where: str, run: days.Run | None = None
    ) -> LakeFile:
        """One more file. where: which of its rows, as DuckDB's SQL after FROM."""
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", table)  # whatever it is called: within the lake, and no pattern
        name = f"{plain}/{folder}/{self._local.generation.id}-{len(self.made)}{SUFFIX}"
        self.made.append(name)
        names = ", ".join(_taken(column, kind) for column, kind in columns.items())
        rows = 0

        def make(path: Path) -> None:
            nonlocal rows
            rows = self._local.export(f"SELECT {names} FROM {source}{where}", path)

        size = self._store.write(name, make)
        return LakeFile(name, rows, size, *(run or (None, None)))


def _kept(columns: Columns) -> dict[str, str]:
    """Columns as the lake has them."""
    return {column: _kind(kind) for column, kind in columns.items()}


def _kind(kind: str) -> str:
    if kind.endswith("[]"):
        return f"{_kind(kind.removesuffix('[]'))}[]"
    return kind if kind in AS_IT_IS or kind.startswith("DECIMAL(") else WIDENED.get(kind, "VARCHAR")


def _taken(column: str, kind: str) -> str:
    return quoted(column) if _kind(kind) == kind else f"CAST({quoted(column)} AS {_kind(kind)}) AS {quoted(column)}"
