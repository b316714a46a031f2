"""The composition root: opens settings, sources, catalogue, reader and state of a project folder, for everyone."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.cage.cage import cage
from connectors.errors import Problem, ProjectError, SettingsError
from connectors.settings import Settings
from connectors.state.unopened import may_hold_launches
from connectors.warehouse.contract import Reader, Warehouse
from connectors.warehouse.open import open_warehouse
from connectors.warehouse.remembering import RememberingReader
from jobs.project.catalogue_cache import CatalogueCache, keep_newest
from jobs.project.health import require_no_history, warnings
from jobs.project.settings_file import read_settings
from jobs.project.sync_log import SyncLog
from metrics.catalog.catalogue import Catalogue
from metrics.presentation.links import Links, links_to

if TYPE_CHECKING:  # loaded when first used: one question from a shell needs none of them
    from connectors.state.store import StateStore
    from connectors.warehouse.engines.terms import Terms
    from jobs.project.sources_file import SourcesFile
    from metrics.engine.data_context import DataContext

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = REPOSITORY / "metrics" / "definitions"
RETIRED = 2  # readers of generations that were live before; the older ones are closed


@dataclass
class Project:
    """One project folder: where its parts are, each opened on first use."""

    folder: Path
    data: Path
    settings: Settings
    settings_problems: tuple[Problem, ...] = ()
    hold: bool = True  # whether the version published last stands in for a file that is wrong
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, init=False)
    _reader: RememberingReader | None = field(default=None, repr=False, init=False)
    _marked: dict[str, tuple[Catalogue, Catalogue]] = field(default_factory=dict, repr=False, init=False)
    _retired: list[RememberingReader] = field(default_factory=list, repr=False, init=False)
    _bound: threading.local = field(default_factory=threading.local, repr=False, init=False)

    @property
    def name(self) -> str:
        """What the header shows."""
        return self.settings.name or self.folder.name.replace("_", " ").capitalize()

    @property
    def shown_as(self) -> str:
        """Prefix of file names in problems: as the user typed the folder."""
        try:
            return f"{self.folder.relative_to(Path.cwd())}/"
        except ValueError:
            return f"{self.folder}/"

    @cached_property
    def sources(self) -> SourcesFile:
        """The configured sources."""
        from jobs.project.sources_file import SourcesFile

        settings = self.settings
        return SourcesFile(
            self.folder, self.data, self.shown_as, elsewhere=settings.reads_tables, allow=settings.outbound_hosts
        )

    def table_sources(self, catalogue: Catalogue) -> Mapping[str, str]:
        """Table → the source that feeds it; of an engine's tables, and of SELECTs over them (an empty text), ENGINE.

        So it is of a lake's tables whose engine was lost by the last sync: what sources brought then is not there.
        """
        if self.settings.engine:
            from jobs.project.engine import ENGINE

            if self.settings.reads_tables or ENGINE in self.sync_log.runs():
                return {dataset.source: ENGINE for dataset in catalogue.datasets.values()}
        return self.sources.by_table()

    @cached_property
    def sync_log(self) -> SyncLog:
        """How the last sync went."""
        return SyncLog(self.data, self.settings)

    @cached_property
    def definitions(self) -> CatalogueCache:
        """The definition files."""
        return CatalogueCache(self.folder, self.settings, self.shown_as, hold=self.hold)

    @cached_property
    def state(self) -> StateStore:
        """Incidents, silences and messages; connects on first use."""
        from connectors.state.audit_keys import AuditKeys
        from connectors.state.store import StateStore

        of = "" if self.data.name == "data" else self.data.name  # folders of several projects may lie side by side
        return StateStore(self._state_url, AuditKeys([self.data.parent, self.data], of))

    @property
    def _state_url(self) -> str:
        return self.settings.state or f"sqlite:///{self.data / 'state.sqlite'}"

    @cached_property
    def warehouse(self) -> Warehouse:
        """The published generations, and where the next one is made."""
        s = self.settings
        return open_warehouse(
            *(s.warehouse, self.data),
            memory_limit=s.memory_limit,
            threads=s.threads,
            limits=s.limits,
            shared_from=s.share_from_bytes,
            terms=self._terms() if s.engine else None,
        )

    def _terms(self) -> Terms:
        """On what terms the project's engine is asked."""
        from connectors.warehouse.engines.guarded import Guard
        from connectors.warehouse.engines.terms import Terms
        from connectors.warehouse.lake.opening import is_bucket
        from metrics.engine.sql.dialects import SESSION, translated  # SQL, which few starts need

        s = self.settings
        guard = Guard(s.limits.seconds, s.query_rows, s.query_most_bytes)
        lake = s.lake if not s.lake or is_bucket(s.lake) else str(self.folder / s.lake)
        return Terms(SESSION, translated, guard, lake, s.lake_access, self._times)

    def _times(self) -> Mapping[str, str]:
        """Table → the column of its rows' time, of datasets that are a table."""
        datasets = self.definitions.load(None).datasets.values()
        return {dataset.source: dataset.time_dimension for dataset in datasets if dataset.source}

    def warm(self) -> None:
        """Start the processes that compute definitions, so that no page waits for one."""
        cage(self.settings.limits).warm()

    def has_data(self) -> bool:
        """Whether anything was published. Raises DamagedData if something was, and none of it can be read."""
        if self.warehouse.live() is not None:
            return True
        require_no_history(self)
        return False

    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the data folder, in sentences, for every page and verb."""
        return warnings(self)

    def reader(self) -> Reader:
        """A reader of the live generation, or of the one that this thread is bound to. Raises NoData, DamagedData."""
        bound: Reader | None = getattr(self._bound, "reader", None)
        if bound is not None:
            return bound
        with self._lock:
            live = self.warehouse.live()
            if live is None:
                require_no_history(self)
            if self._reader is None or self._reader.generation.id != live:
                fresh = self.warehouse.reader()
                # Another thread may be in the middle of a query on the old reader, or bound to it.
                if self._reader is not None:
                    self._retired.append(self._reader)
                while len(self._retired) > RETIRED:
                    self._retired.pop(0).close()
                self._reader = RememberingReader(fresh)
            return self._reader

    def close(self) -> None:
        """Let go of the generation that is read; who asks next reads it anew."""
        with self._lock:
            for reader in (*self._retired, *([self._reader] if self._reader is not None else [])):
                reader.close()
            self._retired, self._reader = [], None

    @contextmanager
    def bound(self, reader: Reader | None) -> Iterator[None]:
        """In this thread, what is asked meanwhile is asked of this reader, although another generation may be live."""
        before: Reader | None = getattr(self._bound, "reader", None)
        self._bound.reader = reader
        try:
            yield
        finally:
            self._bound.reader = before

    def companion(self, generation: str, of: str = "impacts") -> Path:
        """A file beside a published generation, for what is computed from it (Warehouse.companion)."""
        return self.warehouse.companion(generation, of)

    @property
    def whole(self) -> Project:
        """The project with all that is in it; of one that a role sees a part of, that of which it is a part."""
        return self

    @property
    def role(self) -> str:
        """The role that sees it; empty of the whole."""
        return ""

    @property
    def audience(self) -> str:
        """For whom what is made of it now is; empty of the whole."""
        return ""

    def hides_dimensions(self, kpi: str) -> bool:  # noqa: ARG002 (a part asks)
        """Whether a KPI has dimensions that are not there."""
        return False

    @property
    def sees_all(self) -> bool:
        """Whether every KPI is there, of all rows: so what people wrote about them may be read."""
        return True

    def part_of(self, catalogue: Catalogue) -> Catalogue:
        """What of other definitions than those of now is there: all."""
        return catalogue

    def shows(self, kpi: str, segments: Mapping[str, str] | None = None) -> bool:  # noqa: ARG002 (a part asks)
        """Whether what was noted of a KPI may be told, such as an alert. segments: of which part; None = unknown.

        kpi: empty = it is of data, not of a KPI.
        """
        return True

    def stood_in(self) -> tuple[str, ...]:
        """What is wrong with the live generation, if this process has read it: then another one stood in."""
        return tuple(self.warehouse.damage()) if self._reader is not None else ()

    def catalogue(self, reader: Reader | None = None) -> Catalogue:
        """All definitions, checked against what is loaded; read again when a file or the generation changed."""
        state = self.state if "state" in self.__dict__ or may_hold_launches(self._state_url) else None
        return self.definitions.catalogue(reader or (self.reader() if self.has_data() else None), state)

    def catalogue_of(self, kpi: str, reader: Reader) -> Catalogue:
        """The definitions that one KPI is made of, for one question; all of them if it does not exist or is wrong."""
        alone = self.definitions.load(reader, only=kpi)
        return alone if kpi in alone.kpis else self.catalogue(reader)

    @property
    def links(self) -> Links:
        """Links to the dashboard in what leaves it."""
        return links_to(self.settings.url)

    def renamed(self, kpi: str) -> str:
        """The name of today of a KPI that had this one before; empty if none had. A file of the name is a KPI's own."""
        if any(path.stem == kpi for path in (self.folder / "kpis").glob("*.yml")):
            return ""
        return self.catalogue().formerly.get(kpi, "")

    def names_of(self, kpi: str) -> tuple[str, ...]:
        """Its name of today and those that it had before: incidents keep the name that they were opened under."""
        found = self.catalogue().kpis.get(kpi)
        return (kpi, *(found.formerly if found is not None else ()))

    def _shown(self, reader: Reader) -> Catalogue:
        """All definitions; those that no sync has computed are marked: one reading of them each, and generation."""
        from metrics.engine.uncomputed import uncomputed

        catalogue = self.catalogue(reader)
        with self._lock:
            known = self._marked.get(reader.generation.id)
            if known is None or known[0] is not catalogue:
                waiting = uncomputed(catalogue, reader)
                shown = dataclasses.replace(catalogue, uncomputed=waiting) if waiting else catalogue
                keep_newest(self._marked, reader.generation.id, known := (catalogue, shown))
            return known[1]

    def context(self, now: datetime) -> DataContext:
        """What view models read, of the live generation. Raises NoData."""
        from metrics.engine.data_context import DataContext

        reader = self.reader()
        catalogue = self._shown(reader)
        return DataContext(
            catalogue,
            reader,
            self.sync_log.runs(),
            self.table_sources(catalogue),
            now,
            self.sync_log.overdue(now),
            self.sync_log.warnings(),
            self.settings.holidays,
        )


def open_project(folder: str | Path | None = None, *, lenient: bool = False) -> Project:
    """The project at `folder`, KPI_PROJECT, or the repository's own. Raises ProjectError, SettingsError.

    lenient: a wrong settings.yml gives default settings and `settings_problems` instead of an error.
    """
    chosen = folder or os.environ.get("KPI_PROJECT") or DEFAULT_FOLDER
    path = Path(chosen).expanduser().resolve()
    if not path.is_dir():
        raise ProjectError(f"no folder {chosen}", hint=f"`kpi init {chosen}` makes a new project.")
    if not any((path / name).exists() for name in ("settings.yml", "sources.yml", "kpis")):
        raise ProjectError(
            f"{chosen} is no project: it has no settings.yml, sources.yml or kpis/",
            hint=f"`kpi init {chosen}` makes one.",
        )
    data = REPOSITORY / "data" if path == DEFAULT_FOLDER else path / "data"
    data = Path(os.environ.get("KPI_DATA_DIR") or data)
    settings, problems = read_settings(path / "settings.yml", f"{chosen}/settings.yml")
    if any(problem.level == "error" for problem in problems) and not lenient:
        raise SettingsError("settings.yml cannot be used", hint="\n".join(map(str, problems)))
    return Project(path, data, settings, tuple(problems))
