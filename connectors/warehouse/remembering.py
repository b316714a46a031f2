"""A reader that asks once: a published generation never changes, so what was read of it is remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from connectors.warehouse.contract import (
    Columns,
    DatasetState,
    Failure,
    Generation,
    Reader,
    Rollup,
    SeriesKey,
    StoredSeries,
)
from connectors.warehouse.delegating import DelegatingReader

MOST_SERIES = 2_000  # remembered at a time: some 30 KB each
T = TypeVar("T")


class RememberingReader(DelegatingReader):
    """A Reader over another one, for as long as that generation is live. Safe to share between threads.

    What `frame` gives is not remembered. Whoever gets a frame must not change it: it is everybody's.
    """

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._lock = threading.RLock()
        self._answers: dict[tuple[Any, ...], Any] = {}
        self._series: OrderedDict[tuple[SeriesKey, int], StoredSeries | None] = OrderedDict()

    def tables(self) -> Mapping[str, Columns]:
        """Every loaded table with its columns."""
        return self._once(("tables",), self._reader.tables)

    def generations(self) -> Sequence[Generation]:
        """All published generations, oldest first."""
        return self._once(("generations",), self._reader.generations)

    def dataset_states(self, sequence: int) -> Mapping[str, DatasetState]:
        """Dataset states as of the generation with this sequence."""
        return self._once(("states", sequence), lambda: self._reader.dataset_states(sequence))

    def published_files(self) -> Mapping[str, str]:
        """ "kpi:name" or "dataset:name" → text of each definition that this generation was made with."""
        return self._once(("files",), self._reader.published_files)

    def failures(self) -> Mapping[str, Failure]:
        """KPI → why its values could not be computed for this generation."""
        return self._once(("failures",), self._reader.failures)

    def rollups(self) -> Mapping[str, Rollup]:
        """Name → roll-up that this generation has."""
        return self._once(("rollups",), self._reader.rollups)

    def all_stored_definitions(self) -> Mapping[tuple[str, str], Sequence[tuple[str, int]]]:
        """(KPI, grain) → (definition, sequence of the generation it came with) of its values, oldest first."""
        return self._once(("definitions",), self._reader.all_stored_definitions)

    def stored_definitions(self, kpi: str, grain: str) -> Sequence[tuple[str, int]]:
        """(definition, sequence of the generation it came with) of a KPI's values, oldest first."""
        return self.all_stored_definitions().get((kpi, grain), ())

    def stored_values(self, kpi: str, grain: str, dimension: str, sequence: int) -> StoredSeries | None:
        """What was published for this KPI as of a generation; None if it was not stored."""
        key = (kpi, grain, dimension)
        with self._lock:  # else another thread's series could push this one out in between
            self.read_ahead([key], sequence)
            return self._series.get((key, sequence))

    def stored_series(self, keys: Iterable[SeriesKey], sequence: int) -> Mapping[SeriesKey, StoredSeries]:
        """What was published of each key as of a generation, those that were stored."""
        asked = list(keys)
        with self._lock:
            self.read_ahead(asked, sequence)
            known = {key: self._series.get((key, sequence)) for key in asked}
        return {key: series for key, series in known.items() if series is not None}

    def read_ahead(self, keys: Iterable[SeriesKey], sequence: int) -> None:
        """Read what is not remembered of these in one statement: `stored_values` answers from it then."""
        asked = list(dict.fromkeys(keys))
        with self._lock:
            for key in asked:
                if (key, sequence) in self._series:
                    self._series.move_to_end((key, sequence))
            missing = [key for key in asked if (key, sequence) not in self._series]
            if missing:
                fresh = self._reader.stored_series(missing, sequence)
                self._series.update({(key, sequence): fresh.get(key) for key in missing})
            while len(self._series) > max(MOST_SERIES, len(asked)):
                self._series.popitem(last=False)

    def _once(self, key: tuple[Any, ...], ask: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._answers:
                self._answers[key] = ask()
            known: T = self._answers[key]
            return known
