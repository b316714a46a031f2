"""Records on their way to the warehouse: files of JSON lines, so that memory holds one page and no more."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

from connectors.sources.contract import FileScan, RecordField

FULL = 64 << 20  # bytes of one file
ROWS = 200_000


class Spool:
    """Writes records; gives them as files, each of which is gone when the next is taken.

    fields: column → where it stands in a record. name: of the source; each file has an origin of its own.
    """

    def __init__(self, name: str, fields: Mapping[str, RecordField], now: datetime) -> None:
        self._name, self._fields, self._now = name, fields, now
        self._folder = tempfile.TemporaryDirectory(prefix="kpi-rest-")
        self._file: IO[bytes] | None = None
        self._number = self._rows = self._size = 0
        self._taken: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        self._folder.cleanup()

    @property
    def full(self) -> bool:
        """Whether it is time to take the file."""
        return self._size >= FULL or self._rows >= ROWS

    @property
    def empty(self) -> bool:
        """Whether nothing was added since the last one was taken."""
        return self._rows == 0

    def add(self, record: Mapping[str, Any]) -> None:
        """One record."""
        self.add_line(json.dumps(record, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")

    def add_line(self, line: bytes) -> None:
        """A record as it is written, with its line break."""
        if self._file is None:
            self._file = self._path().open("wb")
        self._file.write(line)
        self._rows, self._size = self._rows + 1, self._size + len(line)

    def take(self) -> FileScan:
        """What was added, as a file; the one taken before is removed."""
        if self._taken is not None:
            self._taken.unlink(missing_ok=True)
        path = self._path()
        if self._file is None:
            path.touch()
        else:
            self._file.close()
        origin = f"{self._name} {self._now:%Y%m%dT%H%M%S} {self._number}.jsonl"
        self._taken, self._file, self._rows, self._size = path, None, 0, 0
        self._number += 1
        return FileScan(path, origin, "json", fields=self._fields, now=self._now)

    def _path(self) -> Path:
        return Path(self._folder.name) / f"{self._number}.jsonl"
