"""Projects whose rows lie in a lake, and what lies there as another program reads it."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from connectors.warehouse.contract import Reader
from connectors.warehouse.lake import days, manifest
from connectors.warehouse.lake.manifest import Manifest
from jobs.project.project import Project, open_project
from jobs.sync import SyncResult
from tests.conftest import NOW, Builder, known
from tests.lake.places import FolderPlace, Place, place_at

CHDB = "clickhousedb://?interface=chdb"
Rows = dict[int, tuple[datetime | None, float]]  # id → time, amount


class LakeShop:
    """A table of events. Without a KPI nothing is asked of the engine, so what is written needs none."""

    def __init__(self, folder: Path, place: Place | None = None, url: str = CHDB) -> None:
        self.built, self.place, self.now = Builder(folder), place or FolderPlace(folder / "lake"), NOW
        self.built.settings(f"warehouse: '{url}'\n{self.place.settings}")
        self.built.source("- {name: events, type: files, table: events, path: files/events.parquet}")

    def write(self, rows: Rows, **more: Any) -> None:
        """The file of the source: what a later sync brings."""
        frame = pd.DataFrame({"id": list(rows), "at": [at for at, _ in rows.values()]})
        frame = frame.assign(at=pd.to_datetime(frame["at"]), amount=[amount for _, amount in rows.values()], **more)
        path = self.built.folder / "files" / ".fresh"
        frame.to_parquet(path, index=False)
        path.rename(path.with_name("events.parquet"))

    def sync(self, rows: Rows | None = None, **options: Any) -> SyncResult:
        """An hour later each time."""
        if rows is not None:
            self.write(rows)
        self.now += timedelta(hours=1)
        return self.built.sync(self.now, **options)

    def open(self) -> Project:
        return self.built.open()

    def manifest(self) -> Manifest:
        """Of the live generation."""
        return kept(self.open().warehouse.reader())

    def found(self) -> set[str]:
        """All files in the lake."""
        return self.place.found()

    @property
    def lake(self) -> Path:
        """Of a lake that is a folder."""
        assert isinstance(self.place, FolderPlace)
        return self.place.folder


def kept(reader: Reader) -> Manifest:
    """The files of a generation, by what is kept with it."""
    local = getattr(reader, "_reader", reader)
    return known(manifest.kept(local.published_files()))


def of_days(*numbers: int, a_day: int = 4) -> Rows:
    """Some rows of these days after 1 October."""
    first = datetime(2026, 10, 1)
    return {
        number * 100 + i: (first + timedelta(days=number, hours=5 * i), float(number + i))
        for number in numbers
        for i in range(a_day)
    }


def rows_in(lake: Manifest, table: str = "events") -> Rows:
    """The rows of a table, as its files have them. Fails where a file is not what is said of it."""
    found: Rows = {}
    seen: Counter[int] = Counter()
    for file in lake.tables[table].files:
        content = place_at(lake.root).read(file.name)
        assert len(content) == file.size
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        assert len(rows) == file.rows
        for row in rows:
            day = None if row["at"] is None else (row["at"].date() - days.EPOCH).days
            if file.first is None or file.last is None:
                assert day is None or not days.FIRST <= row["at"].date() < days.END
            else:
                assert day is not None and file.first <= day <= file.last
            found[row["id"]] = (row["at"], row["amount"])
            seen[row["id"]] += 1
    assert max(seen.values(), default=1) == 1, "a row lies in two files"
    runs = sorted(run for file in lake.tables[table].files if (run := days.span(file)))
    assert all(left[1] < right[0] for left, right in pairwise(runs)), "files overlap"
    return found


def beside(folder: Path, target: Path, url: str, place: Place | None = None) -> Project:
    """The same project in a new folder, its rows in a lake; both pull the same files."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("data", "files"))
    if (folder / "files").exists():
        (target / "files").symlink_to(folder / "files")
    settings = target / "settings.yml"
    text = settings.read_text() if settings.exists() else ""
    settings.write_text(f"{text}\nwarehouse: '{url}'\n{(place or FolderPlace(target / 'lake')).settings}")
    return open_project(target)
