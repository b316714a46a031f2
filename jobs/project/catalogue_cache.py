"""The catalogue of a project folder, read again when a file, the generation or a launch made on a page changed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import StateError
from connectors.settings import Settings
from connectors.warehouse.contract import Reader
from jobs.project.folders import PARTS
from metrics.catalog import loading
from metrics.catalog.catalogue import Catalogue

if TYPE_CHECKING:
    from connectors.state.store import StateStore


class CatalogueCache:
    """All definitions, checked against what is loaded.

    hold: whether the version published last stands in for a file that is wrong.
    """

    def __init__(self, folder: Path, settings: Settings, shown_as: str, *, hold: bool) -> None:
        self._folder, self._settings, self._shown_as, self._hold = folder, settings, shown_as, hold
        self._lock = threading.RLock()
        self._files: tuple[Any, Catalogue] | None = None
        self._merged: tuple[tuple[int, ...], Catalogue] | None = None

    def catalogue(self, reader: Reader | None, state: StateStore) -> Catalogue:
        """Every definition of files, and the launches that the state store keeps."""
        key = (reader.generation.id if reader else "", self.marks())
        with self._lock:
            if self._files is None or self._files[0] != key:
                self._files, self._merged = (key, self.load(reader)), None
            return self._with_registered_launches(self._files[1], state)

    def load(self, reader: Reader | None, *, only: str = "") -> Catalogue:
        """Definitions of files, read now. only: the KPI whose definitions are enough."""
        return loading.load(
            self._folder,
            timezone=self._settings.timezone,
            week_start_days=self._settings.week_start_days,
            tables=reader.tables() if reader else None,
            describe=reader.columns if reader else None,
            shown_as=self._shown_as,
            currency=self._settings.currency,
            only=only,
            limits=self._settings.limits,
            published=reader.published_files() if reader and self._hold else None,
        )

    def marks(self) -> tuple[tuple[str, int, int], ...]:
        """Name, time and size of every definition file: changes when one does."""
        paths = [p for part in PARTS for p in (self._folder / part).glob("*.*")]
        return tuple((str(path), *_mark(path)) for path in sorted(paths))

    def _with_registered_launches(self, catalogue: Catalogue, state: StateStore) -> Catalogue:
        """With the launches of the state store, which were made on a page; a file of the same name wins."""
        if not state.exists():
            return catalogue
        mark = state.mark()
        if self._merged is None or self._merged[0] != mark:
            self._merged = (mark, _merged(catalogue, state))
        return self._merged[1]


def _mark(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # a link to nothing; it is told where it is read
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def _merged(catalogue: Catalogue, state: StateStore) -> Catalogue:
    from connectors.state import launches as store  # SQLAlchemy, which a question from a shell needs not
    from metrics.catalog.registered import with_registered_launches

    try:
        with state.reading() as connection:
            texts = [row.text for row in store.launches(connection)]
    except StateError:
        return catalogue  # pages that need the store say so themselves
    return with_registered_launches(catalogue, texts)
