"""What a week is computed from: the one module of snapshots that asks a generation. All others get values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import pandas as pd

from connectors.errors import KpiError
from connectors.warehouse.contract import DatasetState, SeriesKey
from metrics.alerts.place import Place, place_between
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.answer import answer, default_scope
from metrics.engine.data_context import DataContext
from metrics.engine.projection import projection
from metrics.engine.query import Filter, Query, Series
from metrics.engine.to_date import Elapsed, running
from metrics.kpi_views import kpi_page, redefined

Where = tuple[Filter, ...]
LAYOUT = 1  # raise it when the same values are told in other words, or sit elsewhere
Values = dict[pd.Timestamp, float | None]


class WeekInputs:
    """Values of one generation, each series asked once, when it is needed. catalogue, country: as in DataContext.

    generation: the id of what is asked. All weeks that are taken together share one of these.
    known: what was found out of this generation before, by what was asked; found: what was not known and is now.
    """

    def __init__(self, context: DataContext, known: Mapping[str, Any] | None = None) -> None:
        self.known, self.found = known or {}, dict[str, Any]()
        self.catalogue, self.country = context.catalogue, context.country
        self.generation = context.reader.generation.id
        self._context, self._reader, self._sequence = context, context.reader, context.reader.generation.sequence
        self._series: dict[tuple[str, str, Where], Series] = {}
        self._counted: dict[tuple[str, str, str, Where], Values | None] = {}  # by definitions of then

    @cached_property
    def states(self) -> Mapping[str, DatasetState]:
        """How far each dataset reaches."""
        return self._reader.dataset_states(self._sequence)

    def read_ahead(self, keys: Iterable[SeriesKey]) -> None:
        """Say what is about to be asked for: it is read in one statement."""
        self._reader.read_ahead(keys, self._sequence)

    def series(self, kpi: str, grain: str, where: Where) -> Series:
        """All periods of a KPI, or of a segment of it. Raises KpiError."""
        key = (kpi, grain, where)
        if key not in self._series:
            self._series[key] = answer(Query(kpi, grain, where=where), self.catalogue, self._reader)
        return self._series[key]

    def values(self, kpi: str, grain: str, where: Where) -> Values | None:
        """Period → value; None if there is no answer."""
        try:
            return _by_period(self.series(kpi, grain, where))
        except KpiError:
            return None

    def values_by(self, then: Catalogue, kpi: str, grain: str, where: Where) -> Values | None:
        """The same by the definitions of another catalogue, counted from the rows of today."""
        key = (then.definition(kpi), kpi, grain, where)
        if key not in self._counted:
            try:
                series = answer(Query(kpi, grain, where=where), then, self._reader, from_facts=True)
                self._counted[key] = _by_period(series)
            except KpiError:
                self._counted[key] = None
        return self._counted[key]

    def published_definition(self, kpi: KpiCommon) -> str | None:
        """The definition that its newest values were published with; None if none were."""
        stored = self._reader.stored_definitions(kpi.name, kpi.grain)
        return stored[-1][0] if stored else None

    def redefinition(self, kpi: KpiCommon) -> str:
        """What was redefined lately, in words; empty if nothing was."""
        return redefined.redefinition(self._context, kpi)

    def place(self, kpi: KpiCommon, where: Where, period: pd.Timestamp, before: pd.Timestamp) -> Place | None:
        """Where the change between two periods sits; None if no segment stands out."""

        def found() -> dict[str, Any] | None:
            place = place_between(kpi, self.catalogue, self._reader, period, before, where)
            return asdict(place) if place else None

        plain = self._once(["place", f"{period}", f"{before}"], kpi, where, found)
        return Place(**plain) if plain else None

    def elapsed(self, kpi: KpiCommon) -> Elapsed | None:
        """The running period of a KPI of long periods; None if none of its days is over."""
        return running(kpi, default_scope(kpi, kpi.grain, self.catalogue, self._reader, self.states))

    def so_far(self, kpi: KpiCommon, where: Where) -> str:
        """How the running period goes, in words; empty if that is not known."""

        def found() -> str:
            return kpi_page.so_far(self._context, kpi, where, projection(self._context, kpi, kpi.grain, where))

        return str(self._once(["so far", f"{self.catalogue.today(self._context.now)}"], kpi, where, found))

    def _once(self, what: list[str], kpi: KpiCommon, where: Where, find: Callable[[], Any]) -> Any:
        """A plain value that the generation, the KPI and what is asked decide alone: found out once."""
        dimensions = list(self.catalogue.dimensions_of(kpi))
        own = [self.catalogue.definition(kpi.name), kpi.model_dump_json(), dimensions, [asdict(item) for item in where]]
        zone = [self.catalogue.timezone, self.catalogue.week_start_days]
        key = hashlib.sha256(json.dumps([LAYOUT, *what, *own, *zone]).encode()).hexdigest()
        if key not in self.known and key not in self.found:
            self.found[key] = find()
        return self.found[key] if key in self.found else self.known[key]


def _by_period(series: Series) -> Values:
    frame = series.frame
    return {p: None if pd.isna(v) else float(v) for p, v in zip(frame["period"], frame["value"], strict=True)}
