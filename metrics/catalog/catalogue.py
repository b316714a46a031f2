"""The catalogue: all datasets, KPIs and launches of a project folder, with every problem of every file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from connectors.errors import DefinitionError, Problem, require
from metrics.catalog.document import Document
from metrics.catalog.former_names import former_names
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon, Measure
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.plan import Plan
from metrics.catalog.models.snapshot import Snapshot, default_snapshot
from metrics.transforms import Transform

ENGINE_VERSION = 2  # raise it when the engine's answer to the same definition changes
GENERATIONS_KNOWN = 3
# Keys that change no number, so they are outside the definition hash.
WORDS = {
    "formerly",
    "label",
    "description",
    "area",
    "direction",
    "format",
    "delta",
    "thresholds",
    "targets",
    "alerts",
    "drivers",
    "checks",
    "owner",
    "status",
    "overview",
    "changes",
    "tags",
    "holidays",
    "synonyms",
    "meta",
    "grains",
    "dimensions",
    "stale_after",
    "settled_after",  # which of the same rows are counted again
    "classes",
}


@dataclass(frozen=True)
class Catalogue:
    """What a project folder defines. `kpis` and `datasets` hold the valid ones; `broken` says why others are not.

    held: "kpi:name" or "dataset:name" → why its file is wrong, where the version published last is used in its place.
    uncomputed: KPI → why nobody is shown a value of it (engine/uncomputed.py); set where pages and jobs ask.
    withheld: KPI → why whoever asks is shown no value of it, and min_people: of how many people the values that they
    are shown must be (catalog/restriction.py).
    """

    timezone: str = "UTC"
    week_start_days: int = 0
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    kpis: Mapping[str, KpiCommon] = field(default_factory=dict)
    launches: tuple[Launch, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)  # "kpi:name", "dataset:name"
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    held: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    snapshots: tuple[Snapshot, ...] = ()
    broken_snapshots: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    uncomputed: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    min_people: int = 0
    plans: tuple[Plan, ...] = ()
    drafts: tuple[Launch, ...] = ()  # launches that no person has looked at: nothing is drawn, read or told of them

    def today(self, now: datetime) -> date:
        """The date where the project is: east of Greenwich a launch's day begins before UTC's."""
        return now.astimezone(ZoneInfo(self.timezone)).date()

    def launch(self, name: str) -> Launch:
        """The launch or other mark. Raises UnknownName, DefinitionError for a draft."""
        if name in {item.name for item in self.drafts}:
            hint = "Choose its KPIs, then take `draft: true` out."
            raise DefinitionError(f"{name} is a draft", where=f"launches/{name}.yml", hint=hint)
        require(name, sorted(item.name for item in self.launches), kind="launch")
        return next(item for item in self.launches if item.name == name)

    def snapshot(self, name: str = "") -> Snapshot:
        """The snapshot's definition; the first where no name is given, the default where there is no file.

        Raises UnknownName, or DefinitionError if its file is wrong.
        """
        wrong = name if name in self.broken_snapshots else next(iter(self.broken_snapshots), "")
        if name in self.broken_snapshots or (wrong and not name and not self.snapshots):
            problems = self.broken_snapshots[wrong]
            words = f"the definition of snapshot '{wrong}' is wrong"
            raise DefinitionError(words, hint="\n".join(map(str, problems)), problems=problems)
        known = {item.name: item for item in self.snapshots or (default_snapshot(),)}
        chosen = name or next(iter(known))
        require(chosen, list(known), kind="snapshot")
        return known[chosen]

    @cached_property
    def of_any_number(self) -> Catalogue:
        """The same to whoever then masks values of few people."""
        return replace(self, min_people=0)

    def known(self, generation: str) -> dict[Any, Any]:
        """What was worked out of these definitions and a generation, for whoever asks next: of the last few."""
        if generation not in self._known and len(self._known) >= GENERATIONS_KNOWN:
            self._known.clear()
        return self._known.setdefault(generation, {})

    @cached_property
    def _known(self) -> dict[str, dict[Any, Any]]:
        return {}

    @cached_property
    def measured(self) -> frozenset[str]:
        """Names of KPIs that launches are measured by."""
        return frozenset(name for item in self.launches for name in item.measured)

    @cached_property
    def formerly(self) -> Mapping[str, str]:
        """Name that a KPI had before → its name of today."""
        return former_names(self.kpis)

    def launch_of(self, name: str) -> Launch | None:
        """The launch that a KPI belongs to: the first that names it as a success or guardrail; None = no one does."""
        return next((item for item in self.launches if name in item.judged_by), None)

    def held_problems(self, name: str) -> tuple[Problem, ...]:
        """What is wrong with the files of a KPI that is shown by its last good version; empty if nothing is."""
        kpi = self.kpi(name)
        keys = [f"kpi:{name}", *(f"kpi:{r}" for r in self.references(kpi))]
        keys += [f"dataset:{d}" for d in self.datasets_of(kpi)]
        return tuple(problem for key in keys for problem in self.held.get(key, ()))

    def texts(self) -> dict[str, str]:
        """Text of each valid definition: what is published with the values it makes."""
        keys = [*(f"kpi:{name}" for name in self.kpis), *(f"dataset:{name}" for name in self.datasets)]
        return {key: self.documents[key].text for key in keys}

    def kpi(self, name: str) -> KpiCommon:
        """The KPI. Raises UnknownName, or DefinitionError if its definition is wrong."""
        if name in self.broken:
            problems = self.broken[name]
            raise DefinitionError(
                f"the definition of '{name}' is wrong", hint="\n".join(map(str, problems)), problems=problems
            )
        require(name, sorted(self.kpis), kind="KPI", renamed=self.formerly)
        return self.kpis[name]

    def references(self, kpi: KpiCommon) -> tuple[str, ...]:
        """Names of the KPIs that this one is made of, directly."""
        return tuple(dict.fromkeys(name for _, name in kpi.references))

    def datasets_of(self, kpi: KpiCommon) -> tuple[str, ...]:
        """Names of all datasets behind a KPI, its own first."""
        found = [kpi.dataset] if kpi.dataset else []
        found += [part.dataset for part in kpi.parts.values() if isinstance(part, Measure)]
        found = [condition.dataset for condition in kpi.conditions.values()] or found
        found += kpi.reads(self.datasets)
        for name in self.references(kpi):
            found += self.datasets_of(self.kpi(name))
        return tuple(dict.fromkeys(found))

    def dimensions_of(self, kpi: KpiCommon) -> tuple[str, ...]:
        """Dimensions that a KPI can be broken down by and filtered on: those that all its parts have.

        Who is followed from one condition to others has the dimensions of the first one's rows.
        """
        if kpi.conditions:
            sets = [tuple(self.datasets[next(iter(kpi.conditions.values())).dataset].dimensions)]
        elif kpi.parts:
            sets = [
                self.dimensions_of(self.kpi(part))
                if isinstance(part, str)
                else tuple(self.datasets[part.dataset].dimensions)
                for part in kpi.parts.values()
            ]
        elif names := self.references(kpi):
            sets = [self.dimensions_of(self.kpi(name)) for name in names]
        else:
            sets = [kpi.own_dimensions(self.datasets[kpi.dataset])] if kpi.dataset else [()]
        shared = [d for d in sets[0] if all(d in other for other in sets[1:])]
        return tuple(shared if kpi.dimensions is None else [d for d in shared if d in kpi.dimensions])

    def joined_with(self, kpi: KpiCommon) -> dict[str, Dataset]:
        """Name → dataset behind a KPI, or one that those borrow dimensions of; by name."""
        own = {name: self.datasets[name] for name in self.datasets_of(kpi)}
        found = {name: other for item in own.values() for name, other in item.lenders().items()}
        return dict(sorted({**found, **own}.items()))

    @cached_property
    def _definitions(self) -> dict[str, str]:
        return {}

    def definition(self, name: str) -> str:
        """Hash over everything that changes this KPI's numbers; 12 hex digits."""
        if name not in self._definitions:
            kpi = self.kpi(name)
            closure = {
                "engine": ENGINE_VERSION,
                "zone": self.timezone,
                "week": self.week_start_days,
                "kpi": kpi.model_dump(mode="json", exclude=WORDS),
                "datasets": {name: _numbers_of(item) for name, item in self.joined_with(kpi).items()},
                "kpis": {r: self.definition(r) for r in self.references(kpi)},
                "transforms": [self.transforms[step].code for step in kpi.transform_names],
            }
            text = json.dumps(closure, sort_keys=True)
            self._definitions[name] = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self._definitions[name]

    def definition_text(self, name: str) -> str:
        """The files that define a KPI, as they are, for the archive: named as in the project, wherever that lies."""
        kpi = self.kpi(name)
        keys = [f"kpi:{name}", *(f"kpi:{r}" for r in self.references(kpi))]
        keys += [f"dataset:{d}" for d in self.joined_with(kpi)]
        files = {key: f"{kind}s/{stem}.yml" for key in keys for kind, _, stem in [key.partition(":")]}
        return "\n".join(f"# {files[k]}\n{self.documents[k].text}" for k in keys if k in self.documents)


def _numbers_of(dataset: Dataset) -> dict[str, Any]:
    """What of a dataset changes numbers. A dimension that is a column of its own name changes none by being listed."""
    computed = {name: text for name, text in dataset.dimensions.items() if text.strip('"') != name}
    found = {**dataset.model_dump(mode="json", exclude=WORDS), "dimensions": computed}
    if dataset.only or dataset.closed:  # nothing that was kept of all rows stands for these
        found |= {"only": dataset.only, "closed": dataset.closed}
    if dataset.identity:
        return {**found, "id": dataset.id}
    return {key: value for key, value in found.items() if key != "identity"}  # hashes are of before there was one
