"""Spans of time that are pulled one by one, some at once, and pages of a list; whole ones wait for the next attempt."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Window:
    """From `start` on, `end` not included."""

    start: datetime
    end: datetime

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.start:%Y%m%dT%H%M%S}-{self.end:%Y%m%dT%H%M%S}"


def windows(start: datetime, end: datetime, step: timedelta) -> Iterator[Window]:
    """From start to end in steps; the last one may be shorter."""
    while start < end:
        following = min(start + step, end)
        yield Window(start, following)
        start = following


class Kept:
    """Files of whole windows, in a folder that outlives a killed pull.

    folder: None = they are gone at the end. mark: of all that decides what is in them (options, moment of a cursor);
    files of another mark are removed. A file appears when it is whole (`Client.save`).
    """

    def __init__(self, folder: Path | None, mark: object) -> None:
        digest = hashlib.sha256(repr(mark).encode()).hexdigest()[:16]
        self._own = folder is None
        base = Path(tempfile.mkdtemp(prefix="kpi-rest-")) if folder is None else folder
        self.folder = base / digest
        self._base = base

    def __enter__(self) -> Self:
        if self._base.is_dir():
            for other in self._base.iterdir():
                if other != self.folder:
                    shutil.rmtree(other, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._own:
            shutil.rmtree(self._base, ignore_errors=True)

    def fetched(
        self, spans: Iterator[Window], fetch: Callable[[Window, Path], None], *, suffix: str, at_once: int = 1
    ) -> Iterator[tuple[Window, Path]]:
        """Each window with its file, in order, fetched unless it is there; up to `at_once` are fetched meanwhile.

        fetch: leaves the window's file whole, or none, which means: nothing happened in it. Its errors end all.
        """
        with ThreadPoolExecutor(at_once) as pool:
            ahead: deque[tuple[Window, Path, Future[None] | None]] = deque()
            try:
                for window in spans:
                    path = self.folder / f"{window.name}{suffix}"
                    ahead.append((window, path, None if path.exists() else pool.submit(fetch, window, path)))
                    if len(ahead) > at_once:
                        yield self._done(*ahead.popleft())
                while ahead:
                    yield self._done(*ahead.popleft())
            finally:
                for _, _, pending in ahead:
                    if pending is not None:
                        pending.cancel()

    @staticmethod
    def _done(window: Window, path: Path, pending: Future[None] | None) -> tuple[Window, Path]:
        if pending is not None:
            pending.result()
        return window, path


def received(
    kept: Path | None,
    mark: object,
    spans: tuple[Iterator[Window], Iterator[Window]],
    fetch: Callable[[Window, Path], None],
    *,
    suffix: str,
    at_once: int,
) -> Iterator[tuple[Window, Path]]:
    """Windows of two kinds with their files: those in which nothing more comes, and those that may still fill.

    Only files of the first kind wait in `kept` for the next attempt: it asks for the others again.
    """
    settled, open_ = spans
    with Kept(kept, mark) as old, Kept(None, mark) as new:
        yield from old.fetched(settled, fetch, suffix=suffix, at_once=at_once)
        yield from new.fetched(open_, fetch, suffix=suffix, at_once=at_once)


def listed(folder: Path, following: Callable[[str], Iterator[tuple[list[Any], str]]]) -> Iterator[list[Any]]:
    """Records of a list page by page: those of pages that wait in a folder, then of those after them, which wait, too.

    following: gives the pages after a position, "" being the start, each with the position after it; "" = that was the
    last one, which does not wait: more may follow it by the next attempt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = _waiting(folder)
    for path in waiting:
        yield json.loads(path.read_text(encoding="utf-8"))["records"]
    for number, (records, after) in enumerate(following(position_in(folder)), len(waiting)):
        if after:
            part = folder / f"{number:06}.part"
            told = json.dumps({"records": records, "position": after}, ensure_ascii=False, default=str)
            part.write_text(told, encoding="utf-8", errors="replace")
            part.replace(part.with_suffix(".json"))
        yield records


def position_in(folder: Path) -> str:
    """The position after the pages that wait in a folder; "" where none do."""
    waiting = _waiting(folder)
    return str(json.loads(waiting[-1].read_text(encoding="utf-8"))["position"]) if waiting else ""


def _waiting(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))
