"""The project as somebody sees it: to whoever gets this one, nothing else is there."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.warehouse.contract import Reader, Warehouse
from connectors.warehouse.rows_only import RowsOnly
from jobs.access.rights import Rights
from jobs.project.catalogue_cache import CatalogueCache
from jobs.project.project import Project
from jobs.project.sync_log import SyncLog
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.restriction import WHOLE, restricted

if TYPE_CHECKING:
    from connectors.state.store import StateStore
    from jobs.project.sources_file import SourcesFile
    from metrics.engine.data_context import DataContext

KEPT = 4  # catalogues of one restriction: of the generations and files that were shown last


def seen_by(project: Project, rights: Rights) -> Project:
    """The project as whoever has these rights sees it; itself where that is all of it."""
    return project if rights.restriction == WHOLE else SeenProject(project, rights)


class SeenProject(Project):
    """A project of which only what a role sees is there. Files, data and state store are those of the whole."""

    def __init__(self, whole: Project, rights: Rights) -> None:
        super().__init__(whole.folder, whole.data, whole.settings, whole.settings_problems, whole.hold)
        self._whole, self.rights, self.restriction = whole, rights, rights.restriction
        self._seen_lock = threading.RLock()
        self._seen: OrderedDict[int, tuple[Catalogue, Catalogue]] = OrderedDict()

    @cached_property
    def sources(self) -> SourcesFile:
        """As they are."""
        return self._whole.sources

    @cached_property
    def sync_log(self) -> SyncLog:
        """As it is."""
        return self._whole.sync_log

    @cached_property
    def definitions(self) -> CatalogueCache:
        """The files: `catalogue` is what of them is seen."""
        return self._whole.definitions

    @cached_property
    def state(self) -> StateStore:
        """As it is: who tells what was noted in it asks `shows` first."""
        return self._whole.state

    @cached_property
    def warehouse(self) -> Warehouse:
        """As it is."""
        return self._whole.warehouse

    def companion(self, generation: str, of: str = "impacts") -> Path:
        """That of the whole; where rows are chosen, one of this role's own: it is of all rows."""
        if self.restriction.of_all_rows:
            return self._whole.companion(generation, of)
        path = self._whole.companion(generation, of)
        return path.with_name(f"{path.name}.{self.rights.key[:16]}")

    @property
    def whole(self) -> Project:
        """The project of which this is a part."""
        return self._whole

    @property
    def role(self) -> str:
        """Of whoever sees it."""
        return self.rights.role

    @property
    def sees_all(self) -> bool:
        """Whether every KPI is there, of all rows, by every dimension that it has."""
        if replace(self.restriction, classes=WHOLE.classes) != WHOLE:
            return False
        mine, every = self.catalogue().datasets, self._whole.catalogue().datasets
        return all(mine[name].dimensions.keys() == every[name].dimensions.keys() for name in every)

    @property
    def audience(self) -> str:
        """Its role and what that sees; another one once the role was narrowed or widened."""
        return f"{self.rights.role} {self.rights.key[:16]}"

    def shows(self, kpi: str, segments: Mapping[str, str] | None = None) -> bool:
        """Of KPIs whose values are seen; where rows are chosen, of segments that lie within them."""
        catalogue = self.catalogue()
        if not kpi:
            return self.sees_all
        if kpi not in catalogue.kpis or kpi in catalogue.withheld:
            return False
        if self.hides_dimensions(kpi) and (
            segments is None or not {*segments} <= {*catalogue.dimensions_of(catalogue.kpis[kpi])}
        ):
            return False
        return self.restriction.of_all_rows or (segments is not None and self.restriction.admits(segments))

    def hides_dimensions(self, kpi: str) -> bool:
        """Whether a KPI has dimensions that are not seen."""
        mine, every = self.catalogue(), self._whole.catalogue()
        return kpi in mine.kpis and mine.dimensions_of(mine.kpis[kpi]) != every.dimensions_of(every.kpis[kpi])

    def has_data(self) -> bool:
        """Whether anything was published."""
        return self._whole.has_data()

    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the data folder."""
        return self._whole.warnings()

    def stood_in(self) -> tuple[str, ...]:
        """What is wrong with the live generation."""
        return self._whole.stood_in()

    def close(self) -> None:
        """The whole is closed by whoever opened it."""

    def reader(self) -> Reader:
        """The reader of the whole; where rows are chosen, without what was kept of all of them."""
        reader = self._whole.reader()
        return reader if self.restriction.of_all_rows else RowsOnly(reader)

    @contextmanager
    def bound(self, reader: Reader | None) -> Iterator[None]:
        """As of the whole."""
        with self._whole.bound(reader):
            yield

    def catalogue(self, reader: Reader | None = None) -> Catalogue:
        """The definitions that are seen."""
        return self._of(self._whole.catalogue(reader))

    def part_of(self, catalogue: Catalogue) -> Catalogue:
        """What of other definitions is seen."""
        return restricted(catalogue, self.restriction)

    def catalogue_of(self, kpi: str, reader: Reader) -> Catalogue:  # noqa: ARG002 (the project's)
        """All that are seen: one alone does not tell what it is made of."""
        return self.catalogue(reader)

    def context(self, now: datetime) -> DataContext:
        """What view models read. Raises NoData."""
        found = self._whole.context(now)
        reader = found.reader if self.restriction.of_all_rows else RowsOnly(found.reader)
        return replace(found, catalogue=self._of(found.catalogue), reader=reader, warnings=())

    def _of(self, catalogue: Catalogue) -> Catalogue:
        """What is seen of a catalogue, the same one each time: much is remembered of it."""
        with self._seen_lock:
            known = self._seen.get(id(catalogue))
            if known is None or known[0] is not catalogue:
                known = (catalogue, restricted(catalogue, self.restriction))
                self._seen[id(catalogue)] = known
            self._seen.move_to_end(id(catalogue))
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
            return known[1]
