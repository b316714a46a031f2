"""What a refresh read and what that took: the scans that KPIs shared, and the statements that each asked for alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from metrics.engine.dirty_ranges import FAR, DirtyRanges
from metrics.engine.query import Cost, Shared
from metrics.engine.rollups import RefreshedRollup
from metrics.engine.sql.shared_people import PeopleScan
from metrics.engine.sql.shared_scans import Scan


@dataclass(frozen=True)
class ScanCost:
    """One scan for several KPIs. start, end: its days, as dates; counts: of aggregates; seconds: of the engine."""

    dataset: str
    what: str  # sums | hourly sums | people
    start: str
    end: str
    dimensions: tuple[str, ...]
    counts: int
    kpis: tuple[str, ...]
    statements: int
    seconds: float


@dataclass(frozen=True)
class KpiCost:
    """What one KPI asked for alone. touched: the days that were counted anew, as dates; empty = all of them."""

    kpi: str
    touched: tuple[tuple[str, str], ...]
    statements: int
    seconds: float


@dataclass(frozen=True)
class RollupCost:
    """One roll-up. start, end: its days that were counted anew, as dates; of one that is new all, and both are empty.

    state: new, renewed, held (nothing of it was touched) or none (of nearly as many rows as it stands for).
    """

    dataset: str
    what: str  # people | sums | values
    state: str
    start: str
    end: str
    dimensions: tuple[str, ...]
    counts: int
    kpis: tuple[str, ...]
    seconds: float


@dataclass
class Explained:
    """Filled by a refresh that is asked to explain itself."""

    scans: list[ScanCost] = field(default_factory=list)
    kpis: list[KpiCost] = field(default_factory=list)
    rollups: list[RollupCost] = field(default_factory=list)

    def tell(self, shared: Shared, work: Mapping[str, DirtyRanges | None], rollups: Iterable[RefreshedRollup]) -> None:
        """Keep what a refresh did."""
        self.rollups = [_rollup_cost(one) for one in rollups]
        scans = shared.scans
        if scans is not None:
            sums = [_scan_cost(scan, shared.costs.get(scan.called, Cost())) for scan in scans.scans]
            people = [_people_cost(scan, shared.costs.get(scan.called, Cost())) for scan in scans.of_people.scans]
            self.scans = [*sums, *people]
        for name, changed in work.items():
            cost = shared.costs.get(name, Cost())
            days = tuple((_day(a), "" if b >= FAR else _day(b)) for a, b in changed or ())
            self.kpis.append(KpiCost(name, days, cost.statements, cost.seconds))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {part: [_plain(one) for one in getattr(self, part)] for part in ("scans", "kpis", "rollups")}


def _plain(one: ScanCost | KpiCost | RollupCost) -> dict[str, Any]:
    return {**asdict(one), "seconds": round(one.seconds, 3)}


def _scan_cost(scan: Scan, cost: Cost) -> ScanCost:
    named = tuple(name for name in scan.dimensions if name)
    what = "sums" if scan.grain == "day" else "hourly sums"
    days = _day(scan.start), _day(scan.end)
    return ScanCost(scan.dataset, what, *days, named, len(scan.sums), tuple(scan.kpis), cost.statements, cost.seconds)


def _people_cost(scan: PeopleScan, cost: Cost) -> ScanCost:
    named = tuple(name for name in scan.dimensions if name)
    spans = [span for found in scan.spans.values() for span in found]
    days = _day(min(a for a, _ in spans)), _day(max(b for _, b in spans))
    dataset, counts = scan.people.dataset, len(scan.conditions)
    return ScanCost(dataset, "people", *days, named, counts, tuple(scan.kpis), cost.statements, cost.seconds)


def _rollup_cost(one: RefreshedRollup) -> RollupCost:
    about, wanted = one.about, one.wanted
    days = ("", "") if one.span is None else (_day(one.span[0]), "" if one.span[1] >= FAR else _day(one.span[1]))
    named, kpis = about.dimensions, tuple(wanted.kpis)
    return RollupCost(about.dataset, about.kind, one.state, *days, named, len(about.counts), kpis, one.seconds)


def _day(at: pd.Timestamp) -> str:
    return f"{at:%Y-%m-%d}"
