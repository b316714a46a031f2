"""Tables that are Parquet files: which ones an engine reads for each name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.buckets import S3Access
from connectors.errors import WarehouseError, counted
from connectors.warehouse.contract import Columns

LACKING = "Is the lake mounted where the engine runs, under the same path? `kpi sync` writes anew what is gone."
IN_BUCKET = "May the engine read the bucket (docs/scale-out.md says how)? `kpi sync` writes anew what is gone."
S3 = "s3://"


@dataclass(frozen=True)
class FileTable:
    """paths: of its files, absolute or s3://bucket/key, one at least; the engine sees them under the same.

    columns: of each of them. rows: of all together. access: how a bucket is reached.
    """

    columns: Columns
    paths: tuple[str, ...]
    rows: int
    access: S3Access = field(default_factory=S3Access, repr=False)

    @property
    def in_bucket(self) -> bool:
        """Whether they are in a bucket."""
        return self.paths[0].startswith(S3)


class FilesLacking(WarehouseError):
    """Not all files of a table are there, as the engine sees it; whatever it answers would be of the rest."""


Files = Mapping[str, FileTable]  # table → what it is read from


def named(files: Files, sql: str) -> Iterator[tuple[str, FileTable]]:
    """Those whose names are in a statement, as a word, whatever it means there."""
    for name, table in files.items():
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE):
            yield name, table


def lacking(name: str, found: int, table: FileTable) -> FilesLacking:
    """What is said of a table of which an engine sees other rows than were written."""
    return FilesLacking(
        f"the engine sees {counted(found, 'row')} of table '{name}' in the lake, and {table.rows:,} were written",
        hint=IN_BUCKET if table.in_bucket else LACKING,
    )
