"""Tables that are Parquet files: which ones an engine reads for each name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from connectors.warehouse.contract import Columns


@dataclass(frozen=True)
class FileTable:
    """paths: of its files, absolute, one at least; the engine sees them under the same. columns: of each of them."""

    columns: Columns
    paths: tuple[str, ...]


Files = Mapping[str, FileTable]  # table → what it is read from


def named(files: Files, sql: str) -> Iterator[tuple[str, FileTable]]:
    """Those whose names are in a statement, as a word, whatever it means there."""
    for name, table in files.items():
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE):
            yield name, table
