"""The catalogue of a project folder, read again when a file, the generation or a launch made on a page changed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.errors import StateError
from connectors.reading import mark_of
from connectors.settings import Settings
from connectors.warehouse.contract import Reader
from jobs.project.folders import PARTS
from metrics.catalog import loading
from metrics.catalog.catalogue import Catalogue

if TYPE_CHECKING:
    from connectors.state.store import StateStore

K = TypeVar("K")
V = TypeVar("V")
KEPT = 2


class CatalogueCache:
    """All definitions, checked against what is loaded.

    hold: whether the version published last stands in for a file that is wrong.
    """

    def __init__(self, folder: Path, settings: Settings, shown_as: str, *, hold: bool) -> None:
        self._folder, self._settings, self._shown_as, self._hold = folder, settings, shown_as, hold
        self._lock = threading.RLock()
        self._files: dict[Any, Catalogue] = {}
        self._merged: dict[Any, tuple[tuple[int, ...], Catalogue]] = {}

    def catalogue(self, reader: Reader | None, state: StateStore | None) -> Catalogue:
        """Every definition of files, and the launches that the state store keeps; None = it keeps none."""
        key = (reader.generation.id if reader else "", self.marks())
        with self._lock:
            if key not in self._files:
                keep_newest(self._files, key, self.load(reader))
            return self._with_registered_launches(key, state)

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

    def marks(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Name and mark of every definition file: changes when one does."""
        paths = [p for part in PARTS for p in (self._folder / part).glob("*.*")]
        return tuple((str(path), mark_of(path)) for path in sorted(paths))

    def _with_registered_launches(self, key: Any, state: StateStore | None) -> Catalogue:
        """With the launches of the state store, which were made on a page; a file of the same name wins."""
        catalogue = self._files[key]
        if state is None or not state.exists():
            return catalogue
        mark, known = state.mark(), self._merged.get(key)
        if known is None or known[0] != mark:
            keep_newest(self._merged, key, known := (mark, _merged(catalogue, state)))
        return known[1]


def keep_newest(kept: dict[K, V], key: K, value: V) -> None:
    """Keep this, and of the others the newest: pages may show one generation while another is made ready."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > KEPT:
        del kept[next(iter(kept))]


def _merged(catalogue: Catalogue, state: StateStore) -> Catalogue:
    from connectors.state import launches as store  # SQLAlchemy, which a question from a shell needs not
    from metrics.catalog.registered import with_registered_launches

    try:
        with state.reading() as connection:
            texts = [row.text for row in store.launches(connection)]
    except StateError:
        return catalogue  # pages that need the store say so themselves
    return with_registered_launches(catalogue, texts)
