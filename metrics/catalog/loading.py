"""From a project folder to a Catalogue: read, validate, check, drop what refers to nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from connectors.cage.limits import USUAL, Limits
from connectors.errors import Problem, did_you_mean
from connectors.warehouse.contract import Columns
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.checks import dataset as check_dataset
from metrics.catalog.checks import fields
from metrics.catalog.checks import joins as check_joins
from metrics.catalog.checks import kpi as check
from metrics.catalog.checks.joins import borrows, lenders_first
from metrics.catalog.checks.launch import launch_problems
from metrics.catalog.checks.plan import plan_problems
from metrics.catalog.checks.snapshot import snapshot_problems
from metrics.catalog.document import Document, Model, half_read, parse_document, read_document, validated
from metrics.catalog.former_names import former_names, former_problems, owners_of
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon, Measure
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.plan import Plan
from metrics.catalog.models.snapshot import Snapshot
from metrics.catalog.sql import SqlProblem
from metrics.catalog.types import kpi_type, type_names
from metrics.transforms import Transform, known_transforms

Parsed = tuple[KpiCommon | None, Document, list[Problem]]


def load(  # noqa: PLR0913 (what a catalogue may be checked against, by name)
    folder: Path,
    *,
    timezone: str = "UTC",
    week_start_days: int = 0,
    tables: Mapping[str, Columns] | None = None,
    describe: Callable[[str], Columns] | None = None,
    shown_as: str = "",
    currency: str = "USD",
    only: str = "",
    published: Mapping[str, str] | None = None,
    limits: Limits = USUAL,
) -> Catalogue:
    """Read datasets/, kpis/, launches/, snapshots/, plans/ and transforms/ of a folder; never raises for a bad file.

    tables: what is loaded, with types; None before the first sync, then column names go unchecked.
    describe: columns of a SELECT (datasets written as SQL). shown_as: prefix of file names in problems.
    currency: of KPIs whose format says `currency` and no more.
    published: "kpi:name" or "dataset:name" → text that was valid at the last sync; it stands in for a file that is
    not. only: a KPI; its files and those it is made of are read and no others (one question from a shell).
    limits: of the project's own transforms.
    """
    reading = _Reading(folder, tables, describe, shown_as, currency, published or {}, limits)
    kpis, datasets = reading.closure(only) if only else (None, None)
    reading.read_datasets(datasets)
    reading.read_kpis(kpis)
    launches = reading.read_launches() if not only else ()
    plain = Catalogue(
        timezone,
        week_start_days,
        reading.datasets,
        reading.kpis,
        tuple(item for item in launches if not item.draft),
        (),
        {n: tuple(p) for n, p in reading.broken.items()},
        reading.documents,
        reading.transforms,
        {n: tuple(p) for n, p in reading.held.items()},
    )
    snapshots = reading.read_snapshots(plain) if not only else ()
    plans = reading.read_plans() if not only else ()
    wrong = {name: tuple(found) for name, found in reading.broken_snapshots.items()}
    problems = tuple(sorted(set(reading.problems)))
    drafts = tuple(item for item in launches if item.draft)
    return replace(plain, snapshots=snapshots, broken_snapshots=wrong, plans=plans, problems=problems, drafts=drafts)


class _Reading:
    """One reading of a folder: what was found so far."""

    def __init__(
        self,
        folder: Path,
        tables: Mapping[str, Columns] | None,
        describe: Callable[[str], Columns] | None,
        shown_as: str,
        currency: str,
        published: Mapping[str, str],
        limits: Limits,
    ) -> None:
        self.folder, self.tables, self.describe, self.shown_as = folder, tables, describe, shown_as
        self.currency, self.published = currency, published
        self.held: dict[str, list[Problem]] = {}
        self.problems: list[Problem] = []
        self.documents: dict[str, Document] = {}
        self.datasets: dict[str, Dataset] = {}
        self.kpis: dict[str, KpiCommon] = {}
        self.broken: dict[str, list[Problem]] = {}
        self.broken_snapshots: dict[str, list[Problem]] = {}
        self._columns: dict[str, Columns | None] = {}
        self._bad_datasets: set[str] = set()
        self._parsed: dict[str, Parsed] = {}
        self._halves: dict[str, KpiCommon] = {}
        self.transforms: dict[str, Transform]
        self.transforms, found = known_transforms(folder / "transforms", shown_as=shown_as, limits=limits)
        self.problems += found

    def closure(self, name: str) -> tuple[set[str] | None, set[str] | None]:
        """KPIs and datasets that a KPI is made of; None, None if only a full reading can tell what is wrong."""
        kpis: set[str] = set()
        datasets: set[str] = set()
        todo, known = [name], {path.stem for path in (self.folder / "datasets").glob("*.yml")}
        while todo:
            current = todo.pop()
            kpi = self._parse(current)[0] if (self.folder / "kpis" / f"{current}.yml").exists() else None
            if kpi is None:
                return None, None
            kpis.add(current)
            try:
                todo += [target for _, target in kpi.references if target not in kpis]
                datasets |= {kpi.dataset, *kpi.reads(known)} - {""}
            except SqlProblem:
                return None, None
            datasets |= {part.dataset for part in kpi.parts.values() if isinstance(part, Measure)}
            datasets |= {condition.dataset for condition in kpi.conditions.values()}
        return kpis, self._with_joined(datasets)

    def _with_joined(self, names: set[str]) -> set[str]:
        """Datasets, and those that they borrow dimensions of, as far as their files can be read."""
        found, todo = set(names), sorted(names)
        while todo:
            path = self.folder / "datasets" / f"{todo.pop()}.yml"
            if path.exists():
                document, wrong = read_document(path, shown_as=path.name, within=self.folder)
                dataset = None if wrong else validated(document, Dataset)[0]
                more = {join.dataset for join in dataset.join} - found if dataset else set()
                found |= more
                todo += sorted(more)
        return found

    def read_datasets(self, only: set[str] | None) -> None:
        """Read and check datasets/."""
        for path in self._files("datasets", only):
            document, found = read_document(path, shown_as=f"{self.shown_as}datasets/{path.name}", within=self.folder)
            dataset, found = self._dataset(path.stem, document, found)
            self.documents[f"dataset:{path.stem}"] = document
            self.problems += found
            if dataset is None and (old := self._published("dataset", path.stem)) is not None:
                dataset, wrong = self._dataset(path.stem, old, [])
                if dataset is not None and not _errors(wrong):
                    self.held[f"dataset:{path.stem}"] = _errors(found)
                    self.documents[f"dataset:{path.stem}"] = old
            if dataset is not None:
                self.datasets[dataset.name] = dataset
            else:
                self._bad_datasets.add(path.stem)
        self._join_datasets()

    def _join_datasets(self) -> None:
        """Bring borrowed dimensions to the datasets that borrow them; one whose join is wrong is wrong.

        A dataset lends what it borrows itself, but nothing to one that it borrows of.
        """
        alone = dict(self.datasets)
        for name in lenders_first(alone):
            dataset, document = alone[name], self.documents[f"dataset:{name}"]
            near = [join.dataset for join in dataset.join if join.dataset in self.datasets]
            lending = {**alone, **{n: self.datasets[n] for n in near if not borrows(alone, n, name)}}
            found = check_joins.joins(dataset, document, lending, self._bad_datasets, self._columns)
            self.problems += found
            if _errors(found):
                del self.datasets[name]
                self._bad_datasets.add(name)
            elif dataset.join:
                own = self._columns.get(name)
                joined = self.datasets[name] = dataset.joined(lending, own or ())
                if own is not None:
                    self._columns[name] = {**own, **dict.fromkeys(joined.borrowed(), "VARCHAR")}

    def _dataset(self, stem: str, document: Document, found: list[Problem]) -> tuple[Dataset | None, list[Problem]]:
        """A dataset with no error, else None; and all its problems."""
        if found:
            return None, found
        dataset, found = validated(document, Dataset)
        found += _stem(stem, document)
        half = half_read(document, Dataset) if dataset is None and isinstance(document.data, Mapping) else None
        if dataset is not None:
            self._columns[stem], more = check_dataset.dataset(dataset, document, self.tables, self.describe)
            found += more
        elif half is not None:
            found += check.only_names(check_dataset.dataset(half, document, self.tables, self.describe)[1])
        return (dataset.identified() if dataset is not None and not _errors(found) else None), found

    def read_kpis(self, only: set[str] | None) -> None:
        """Read and check kpis/, after the datasets. A file that is wrong is stood in for by what was published."""
        launches = sorted(path.stem for path in (self.folder / "launches").glob("*.yml"))
        known = fields.Known(self.datasets, self._bad_datasets, self._columns, self.transforms, self.tables, launches)
        paths = self._files("kpis", only)
        stems = {path.stem for path in (self.folder / "kpis").glob("*.yml")}
        owners = owners_of(kpi for path in paths for kpi in (self._parse(path.stem)[0],) if kpi is not None)
        for path in paths:
            kpi, document, found = self._parse(path.stem)
            self.documents[f"kpi:{path.stem}"] = document
            if kpi is not None:
                found = found + check.kpi(kpi, document, known) + former_problems(kpi, document, stems, owners)
            elif (half := _half_kpi(document)) is not None:
                found = found + check.names(half, document, known)
                self._halves[path.stem] = half
            self.problems += found
            if kpi is not None and not _errors(found):
                self.kpis[kpi.name] = self._shown(kpi)
            else:
                self.broken[path.stem] = _errors(found)
        for _ in range(2):  # those that are wrong themselves, then those that refer to what is gone
            for name in list(self.broken):
                self._hold(name, known)
            self.problems += _drop_dangling(self.kpis, self.broken, self.documents)
        for name in self.broken:
            self.held.pop(f"kpi:{name}", None)
        self._look_up_halves()

    def _look_up_halves(self) -> None:
        """KPIs that do not exist, named by those of which only half could be read."""
        for name, half in self._halves.items():
            with contextlib.suppress(ValueError, SqlProblem):
                document = self.documents[f"kpi:{name}"]
                there = self.kpis, self.broken
                told = [check.reference(name, other, *there, document, at) for at, other in half.references]
                self.problems += check.only_names(filter(None, told) if name in self.broken else ())

    def _hold(self, name: str, known: fields.Known) -> None:
        """Take a KPI's published version in place of its file, if that is still valid on what is loaded."""
        old = self._published("kpi", name)
        if old is None:
            return
        kpi, document, found = _kpi(name, old)
        if kpi is None or _errors(found + check.kpi(kpi, document, known)):
            return
        self.held[f"kpi:{name}"] = self.broken.pop(name)
        self.documents[f"kpi:{name}"] = document
        self.kpis[name] = self._shown(kpi)

    def _published(self, kind: str, name: str) -> Document | None:
        text = self.published.get(f"{kind}:{name}")
        if text is None:
            return None
        document, problems = parse_document(text, shown_as=f"{self.shown_as}{kind}s/{name}.yml as published")
        return None if problems else document

    def _shown(self, kpi: KpiCommon) -> KpiCommon:
        shown = f"currency {self.currency}" if kpi.format == "currency" else kpi.format
        return kpi.model_copy(update={"format": shown})

    def read_launches(self) -> tuple[Launch, ...]:
        """Read and check launches/, after the KPIs; in the order of their days."""
        launches = []
        known, renamed = [*self.kpis, *self.broken], former_names(self.kpis)
        for path in self._files("launches", None):
            launch, document, found = self._one(path, Launch)
            if launch is not None:
                found += launch_problems(launch, document, known, self.datasets, renamed, self._columns)
            elif isinstance(document.data, Mapping) and (half := half_read(document, Launch)) is not None:
                found += check.only_names(launch_problems(half, document, known, self.datasets, renamed, self._columns))
            self.problems += found
            if launch is not None and not _errors(found):
                launches.append(launch)
        return tuple(sorted(launches, key=lambda x: x.starts_on))

    def read_snapshots(self, catalogue: Catalogue) -> tuple[Snapshot, ...]:
        """Read and check snapshots/, after everything they show; by name."""
        snapshots = []
        for path in self._files("snapshots", None):
            snapshot, document, found = self._one(path, Snapshot)
            if snapshot is not None:
                found += snapshot_problems(snapshot, document, catalogue)
                self.documents[f"snapshot:{path.stem}"] = document
            elif isinstance(document.data, Mapping) and (half := half_read(document, Snapshot)) is not None:
                found += check.only_names(snapshot_problems(half, document, catalogue))
            self.problems += found
            if snapshot is not None and not _errors(found):
                snapshots.append(snapshot)
            else:
                self.broken_snapshots[path.stem] = _errors(found)
        return tuple(snapshots)

    def read_plans(self) -> tuple[Plan, ...]:
        """Read and check plans/, after the datasets; by name."""
        plans = []
        for path in self._files("plans", None):
            plan, document, found = self._one(path, Plan)
            if plan is not None:
                found += plan_problems(plan, document, {*self.datasets, *self._bad_datasets}, self._columns)
                self.documents[f"plan:{path.stem}"] = document
            self.problems += found
            if plan is not None and not _errors(found) and plan.dataset in self.datasets:
                plans.append(plan)
        return tuple(plans)

    def _files(self, part: str, only: set[str] | None) -> list[Path]:
        folder = self.folder / part
        for path in sorted(folder.glob("*.yaml")) if only is None else ():
            place = f"{self.shown_as}{part}/{path.name}"
            hint = f"Rename it to {path.stem}.yml."
            self.problems.append(Problem(place, 0, "error", "file_name", "is not read", hint))
        found = []
        for path in sorted(folder.glob("*.yml")):
            if only is not None and path.stem not in only:
                continue
            if not _is_text(path.name):
                shown = path.name.encode(errors="surrogateescape").decode(errors="replace")
                place = f"{self.shown_as}{part}/{shown}"
                words = "has a name that is no text"
                self.problems.append(Problem(place, 0, "error", "file_name", words, "Rename it."))
                continue
            found.append(path)
        return found

    def _one(self, path: Path, model: type[Model]) -> tuple[Model | None, Document, list[Problem]]:
        document, found = read_document(
            path, shown_as=f"{self.shown_as}{path.parent.name}/{path.name}", within=self.folder
        )
        if found:
            return None, document, found
        value, found = validated(document, model)
        return value, document, found + _stem(path.stem, document)

    def _parse(self, name: str) -> Parsed:
        if name not in self._parsed:
            path = self.folder / "kpis" / f"{name}.yml"
            document, found = read_document(path, shown_as=f"{self.shown_as}kpis/{path.name}", within=self.folder)
            self._parsed[name] = (None, document, found) if found else _kpi(name, document)
        return self._parsed[name]


def _kpi(name: str, document: Document) -> Parsed:
    data = document.data if isinstance(document.data, Mapping) else {}
    kind = data.get("type", "simple")
    if kind not in (known := type_names()):
        hint = did_you_mean(str(kind), known)
        return None, document, [document.problem(("type",), "not_allowed", f"unknown type '{kind}'", hint)]
    value, found = validated(document, kpi_type(kind))
    found = [_of_other_types(problem, data) if problem.code == "unknown_key" else problem for problem in found]
    return value, document, found + _stem(name, document)


def _of_other_types(problem: Problem, data: Mapping[str, object]) -> Problem:
    """With the types that have a key which this one lacks."""
    key = problem.message.split("'")[1]
    types = [kind for kind in type_names() if key in _keys_of(kind)] if key in data else []
    return replace(problem, hint=f"It is a key of type {', '.join(types)}. {problem.hint}") if types else problem


def _keys_of(kind: str) -> set[str]:
    return {field.alias or name for name, field in kpi_type(kind).model_fields.items()}


def _half_kpi(document: Document) -> KpiCommon | None:
    data = document.data if isinstance(document.data, Mapping) else {}
    kind = data.get("type", "simple")
    return half_read(document, kpi_type(kind)) if data and kind in type_names() else None


def _errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.level == "error"]


def _stem(stem: str, document: Document) -> list[Problem]:
    name = document.data.get("name") if isinstance(document.data, Mapping) else None
    if name in (None, stem):
        return []
    return [
        document.problem(
            ("name",), "name", f"name '{name}' is not the file's stem", f"Write `name: {stem}` or rename the file."
        )
    ]


def _drop_dangling(
    kpis: dict[str, KpiCommon], broken: dict[str, list[Problem]], documents: Mapping[str, Document]
) -> list[Problem]:
    """Move KPIs whose references are missing, broken or circular from `kpis` to `broken`."""
    new: list[Problem] = []
    while True:
        bad: dict[str, list[Problem]] = {}
        for name, kpi in kpis.items():
            document = documents[f"kpi:{name}"]
            for place, target in kpi.references:
                problem = check.reference(name, target, kpis, broken, document, place)
                if problem is not None:
                    bad.setdefault(name, []).append(problem)
        if not bad:
            return new
        for name, problems in bad.items():
            del kpis[name]
            broken[name] = problems
            new += problems


def _is_text(name: str) -> bool:
    """Whether a file's name can be written down: a system's names are bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
