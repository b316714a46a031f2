"""The composition root: opens settings, sources, catalogue and reader of a project folder, for everyone."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.clock import set_clock as set_clock
from connectors.clock import timestamp as timestamp
from connectors.clock import utc_now as utc_now
from connectors.errors import Problem, ProjectError, SettingsError, UnknownName
from connectors.settings import Settings, environment, expand_secrets
from connectors.sources.contract import Source, source_type
from connectors.warehouse.contract import Reader, SourceRun
from connectors.warehouse.duckdb.generations import Generations
from connectors.warehouse.duckdb.reader import DuckReader
from metrics.catalog import loading
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.document import Document, read_document, validated

if TYPE_CHECKING:  # loaded when first used: one question from a shell needs none of them
    from connectors.state.store import StateStore
    from connectors.warehouse.duckdb.staging import DuckStaging
    from metrics.engine.data_context import World

PASSWORD = re.compile(r"://[^/@\s]*:(?!\$\{)[^@\s]+@")  # one that is written out
PARTS = ("datasets", "kpis", "launches", "snapshots", "transforms")  # folders of definitions
EVERY = {"1d": "day", "1h": "hour", "1 d": "day", "1 h": "hour"}
REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = REPOSITORY / "metrics" / "definitions"


@dataclass
class Project:
    """One project folder. Readers and the catalogue are opened on first use and when a sync published."""

    folder: Path
    data: Path
    settings: Settings
    settings_problems: tuple[Problem, ...] = ()
    hold: bool = True  # whether the version published last stands in for a file that is wrong
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, init=False)
    _reader: DuckReader | None = field(default=None, repr=False, init=False)
    _fed: tuple[int, dict[str, str]] | None = field(default=None, repr=False, init=False)
    _retired: DuckReader | None = field(default=None, repr=False, init=False)
    _catalogue: tuple[Any, Catalogue] | None = field(default=None, repr=False, init=False)
    _merged: tuple[tuple[int, ...], Catalogue] | None = field(default=None, repr=False, init=False)

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

    @property
    def generations(self) -> Generations:
        """The published generations."""
        return Generations(self.data)

    def reader(self) -> Reader:
        """A reader of the live generation. Raises NoData before the first sync."""
        with self._lock:
            live = self.generations.require_live()
            if self._reader is None or self._reader.path != live:
                # Another thread may be in the middle of a query on the old reader: the one before it goes.
                if self._retired is not None:
                    self._retired.close()
                self._retired = self._reader
                self._reader = DuckReader(live, memory_limit=self.settings.memory_limit, threads=self.settings.threads)
            return self._reader

    @cached_property
    def state(self) -> StateStore:
        """Incidents, silences and messages; connects on first use."""
        from connectors.state.store import StateStore

        return StateStore(self.settings.state or f"sqlite:///{self.data / 'state.sqlite'}")

    def state_mark(self) -> tuple[int, ...]:
        """Changes when an SQLite state store is written to; a server's is looked at anew each minute."""
        path = self.state.path
        if path is None:
            return (int(utc_now().timestamp() // 60),)
        found = [Path(f"{path}{end}") for end in ("", "-wal")]
        return tuple(p.stat().st_mtime_ns for p in found if p.exists())

    def has_data(self) -> bool:
        """Whether anything was published."""
        return self.generations.live() is not None

    def catalogue(self, reader: Reader | None = None) -> Catalogue:
        """All definitions, checked against what is loaded; read again when a file or the generation changed."""
        reader = reader or (self.reader() if self.has_data() else None)
        key = (reader.generation.id if reader else "", self.marks())
        with self._lock:
            if self._catalogue is None or self._catalogue[0] != key:
                self._catalogue, self._merged = (key, self._load(reader)), None
            return self._with_kept_launches(self._catalogue[1])

    def _with_kept_launches(self, catalogue: Catalogue) -> Catalogue:
        """With the launches of the state store, which were made on a page; a file of the same name wins."""
        if not self.state.exists():
            return catalogue
        mark = self.state_mark()
        if self._merged is None or self._merged[0] != mark:
            from jobs.launches.registry import merged

            self._merged = (mark, merged(self, catalogue))
        return self._merged[1]

    def catalogue_of(self, kpi: str, reader: Reader) -> Catalogue:
        """The definitions that one KPI is made of, for one question; all of them if it does not exist or is wrong."""
        found = self._load(reader, only=kpi)
        return found if kpi in found.kpis else self.catalogue(reader)

    def _load(self, reader: Reader | None, *, only: str = "") -> Catalogue:
        return loading.load(
            self.folder,
            timezone=self.settings.timezone,
            week_start_days=self.settings.week_start_days,
            tables=reader.tables() if reader else None,
            describe=reader.columns if reader else None,
            shown_as=self.shown_as,
            currency=self.settings.currency,
            only=only,
            published=reader.published_files() if reader and self.hold else None,
        )

    def sources(self) -> dict[str, Source]:
        """Every configured source by name. Raises SettingsError with all problems of sources.yml."""
        sources, problems = self.read_sources()
        errors = [problem for problem in problems if problem.level == "error"]
        if errors:
            raise SettingsError("sources.yml cannot be used", hint="\n".join(map(str, errors)))
        return sources

    def read_sources(self) -> tuple[dict[str, Source], list[Problem]]:
        """Sources that are well-formed, and every problem of sources.yml."""
        path = self.folder / "sources.yml"
        if not path.exists():
            return {}, []
        document, problems = read_document(path, shown_as=f"{self.shown_as}sources.yml")
        if problems:
            return {}, problems
        if document.data is not None and not isinstance(document.data, list):
            return {}, [document.problem((), "shape", "must be a list of sources", "Start each with `- name:`.")]
        found: dict[str, Source] = {}
        fed: dict[str, str] = {}
        for index, item in enumerate(document.data or []):
            source, bad = self._source(document, index, item)
            if source is not None:
                name, table = source.options.name, source.options.table
                if name in found:
                    bad.append(document.problem((index, "name"), "twice", f"source '{name}' is there twice"))
                elif table in fed:
                    text = f"table '{table}' is already fed by source '{fed[table]}'"
                    bad.append(document.problem((index, "table"), "twice", text, "Give each source its own table."))
                else:
                    found[name], fed[table] = source, name
            problems += bad
        return found, problems

    def _source(self, document: Document, index: int, item: Any) -> tuple[Source | None, list[Problem]]:
        if not isinstance(item, Mapping) or "type" not in item:
            hint = "Write `- {name: …, type: files, table: …, path: …}`."
            return None, [document.problem((index,), "missing_key", "a source needs a `type`", hint)]
        try:
            kind = source_type(str(item["type"]))
            plain = expand_secrets(
                item, environment(KPI_DATA=str(self.data)), where=f"{document.file}:{document.line((index,))}"
            )
        except SettingsError as error:
            return None, [document.problem((index,), error.code, error.message, error.hint)]
        except UnknownName as error:
            return None, [document.problem((index, "type"), "not_allowed", error.message, error.hint)]
        options, bad = validated(document, kind.Options, at=(index,), data=plain)
        if PASSWORD.search(str(item.get("url", ""))):
            hint = "Write it as ${NAME} and set that in the environment: files are read, copied and committed."
            bad.append(document.problem((index, "url"), "secret", "the address holds a password", hint, "warning"))
        return (kind(options, folder=self.folder), bad) if options is not None else (None, bad)

    def table_sources(self) -> dict[str, str]:
        """Table → the source that feeds it; sources.yml is read again when it changed."""
        path = self.folder / "sources.yml"
        mark = path.stat().st_mtime_ns if path.exists() else 0
        if self._fed is None or self._fed[0] != mark:
            self._fed = (mark, {source.options.table: name for name, source in self.read_sources()[0].items()})
        return self._fed[1]

    def world(self, now: datetime) -> World:
        """What view models read, of the live generation. Raises NoData."""
        from metrics.engine.data_context import World

        reader = self.reader()
        odd = tuple(Problem(**problem) for problem in self.last_sync().get("warnings", []))
        return World(
            self.catalogue(reader),
            reader,
            self.source_runs(),
            self.table_sources(),
            now,
            self.sync_overdue(now),
            odd,
            self.settings.holidays,
        )

    def last_sync(self) -> dict[str, Any]:
        """What the last sync reported: finished_at, sources. Empty before the first."""
        path = self.data / "last_sync.json"
        try:
            return dict(json.loads(path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def source_runs(self) -> dict[str, SourceRun]:
        """Each source's last run."""
        known = set(SourceRun.__dataclass_fields__)
        rows = self.last_sync().get("sources", [])
        return {r["name"]: SourceRun(**{k: v for k, v in r.items() if k in known}) for r in rows}

    def sync_overdue(self, now: datetime) -> str:
        """The heartbeat: one sentence if no sync finished when one was due; empty otherwise."""
        due, last = self.settings.sync_due, self.last_sync().get("finished_at")
        if due is None or not last:
            return ""
        finished = datetime.fromisoformat(last)
        if now - finished <= 1.5 * due:
            return ""
        return (
            f"No sync since {finished.astimezone(ZoneInfo(self.settings.timezone)):%-d %b %H:%M}; "
            f"one is due every {EVERY.get(self.settings.sync_every, self.settings.sync_every)}."
        )

    def write_last_sync(
        self, runs: Mapping[str, SourceRun], finished_at: datetime, odd: Sequence[Problem] | None
    ) -> None:
        """Record in one step how the sources fared, and what looked odd (None = as before: nothing was published)."""
        rows = [{**run.__dict__, "cursor": dict(run.cursor)} for run in runs.values()]
        warnings = self.last_sync().get("warnings", []) if odd is None else [problem.__dict__ for problem in odd]
        fresh = self.data / ".last_sync.json"
        told = {"finished_at": finished_at.isoformat(), "sources": rows, "warnings": warnings}
        fresh.write_text(json.dumps(told, indent=1))
        os.replace(fresh, self.data / "last_sync.json")

    @contextmanager
    def staging(self, now: datetime) -> Iterator[DuckStaging]:
        """A generation in the making, under the sync lock. Not published unless the caller does."""
        from connectors.warehouse.duckdb.staging import DuckStaging

        generations = self.generations
        with generations.lock():
            generations.collect()
            path = generations.stage(now)
            staging = DuckStaging(path, now=now, memory_limit=self.settings.memory_limit, threads=self.settings.threads)
            try:
                with staging.told():
                    yield staging
            finally:
                staging.close()
                generations.discard(path)  # nothing there any more if it was published
                generations.collect()

    def marks(self) -> tuple[tuple[str, int, int], ...]:
        """Name, time and size of every definition file: changes when one does."""
        found = [p for part in PARTS for p in (self.folder / part).glob("*.*")]
        stats = [(str(p), p.stat()) for p in sorted(found)]
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


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
    if problems and not lenient:
        raise SettingsError("settings.yml cannot be used", hint="\n".join(map(str, problems)))
    return Project(path, data, settings, tuple(problems))


def read_settings(path: Path, shown_as: str) -> tuple[Settings, list[Problem]]:
    """settings.yml, or default settings and every problem it has."""
    if not path.exists():
        return Settings(), []
    document, problems = read_document(path, shown_as=shown_as)
    if problems or document.data is None:
        return Settings(), problems
    try:
        # Addresses of contact points are filled in when something is sent: who writes a KPI need not know their keys.
        plain = dict(document.data) if isinstance(document.data, Mapping) else {}
        kept = {key: plain.pop(key) for key in ("contact_points",) if key in plain}
        plain = {**expand_secrets(plain, environment(), where=shown_as), **kept} if plain or kept else document.data
    except SettingsError as error:
        return Settings(), [document.problem((), error.code, error.message, error.hint)]
    settings, problems = validated(document, Settings, data=plain)
    return settings or Settings(), problems
