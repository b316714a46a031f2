"""Which files of a lake a generation's tables are: kept among its texts, so published in the one step that it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from connectors.warehouse.contract import OF_A_LAKE, Columns
from connectors.warehouse.engines.files import Files, FileTable
from connectors.warehouse.lake.store import place

KEPT = OF_A_LAKE  # its name among the texts of a generation, beside kpi:… and dataset:…


@dataclass(frozen=True)
class LakeFile:
    """Whole days of a table. name: within the lake. size: bytes.

    first, last: days since 1970 in UTC, both within; None = rows without a usable time, or all of a table without one.
    """

    name: str
    rows: int
    size: int
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class LakeTable:
    """by: the column that says which day a row is of; empty = it has none. columns: of each file, by DuckDB's types."""

    by: str
    columns: Columns
    files: tuple[LakeFile, ...]


@dataclass(frozen=True)
class Manifest:
    """project: whose lake it is. root: its folder, or s3://bucket/prefix. tables: by name.

    dialect: of the engine that computed from it.
    """

    project: str
    root: str
    tables: Mapping[str, LakeTable] = field(default_factory=dict)
    dialect: str = ""

    def text(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    def names(self) -> frozenset[str]:
        """All files that it names."""
        return frozenset(file.name for table in self.tables.values() for file in table.files)

    def files(self) -> Files:
        """What an engine reads for each table."""
        return {
            name: FileTable(
                table.columns,
                tuple(place(self.root, file.name) for file in table.files),
                sum(file.rows for file in table.files),
            )
            for name, table in self.tables.items()
        }


def read(text: str) -> Manifest:
    """One that was kept."""
    found = json.loads(text)
    tables = {
        name: LakeTable(table["by"], table["columns"], tuple(LakeFile(**file) for file in table["files"]))
        for name, table in found["tables"].items()
    }
    return Manifest(found["project"], found["root"], tables, found.get("dialect", ""))


def kept(texts: Mapping[str, str]) -> Manifest | None:
    """The one among the texts of a generation; None where its rows are in no lake."""
    return read(texts[KEPT]) if KEPT in texts else None
