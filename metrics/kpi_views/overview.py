"""The overview: one sentence, one data line, cards worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors.errors import counted
from connectors.warehouse.contract import NO_DIMENSION
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter
from metrics.kpi_views.card import Card, card
from metrics.kpi_views.consequence import standing
from metrics.kpi_views.status import ORDER, Status
from metrics.presentation import format as fmt


@dataclass(frozen=True)
class Freshness:
    """How fresh what is shown is. data_to: the last day, in words; loaded_at: when this generation was published."""

    data_to: str
    loaded_at: datetime
    kpis: int
    failed_sources: int

    def line(self, now: datetime) -> str:
        """`Data to Sun 22 Nov 2026 · loaded 3 min ago · 14 KPIs`: never left out."""
        parts = [f"Data to {self.data_to}" if self.data_to else "No data yet"]
        parts.append(f"loaded {fmt.age_text(self.loaded_at, now)}")
        parts.append(counted(self.kpis, "KPI"))
        if self.failed_sources:
            parts.append(f"{counted(self.failed_sources, 'source')} failed")
        return " · ".join(parts)


@dataclass(frozen=True)
class Overview:
    """What the page shows. left_out: labels of KPIs that lack the filtered dimension.

    overdue: that no sync is heard of. held: labels of KPIs shown by their last good definition.
    behind: labels of KPIs whose values are those of an earlier sync.
    """

    headline: str
    freshness: Freshness
    counts: dict[str, int]
    cards: tuple[Card, ...]
    areas: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    overdue: str = ""
    held: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


def overview(context: DataContext, *, area: str = "", where: tuple[Filter, ...] = ()) -> Overview:
    """The overview of all KPIs (of one area), limited to a segment if `where` names one."""
    catalogue = context.catalogue
    names = [n for n in sorted({*catalogue.kpis, *catalogue.broken}) if _shown(context, n)]
    having: list[str] = []
    left_out: list[str] = []
    for name in names:
        kpi = catalogue.kpis.get(name)
        lacks = kpi is not None and any(f.dimension not in catalogue.dimensions_of(kpi) for f in where)
        (left_out if lacks else having).append(name)
    dimension = where[0].dimension if where else NO_DIMENSION
    wanted = [(name, catalogue.kpis[name].grain, dimension) for name in having if name in catalogue.kpis]
    context.reader.read_ahead(wanted, context.reader.generation.sequence)
    everything = [card(context, name, where) for name in having]
    areas = tuple(sorted({c.area for c in everything if c.area}))
    cards = sorted((c for c in everything if not area or c.area == area), key=rank)
    titles = tuple(catalogue.kpis[n].title for n in left_out if not area or catalogue.kpis[n].area == area)
    counts = Counter(c.status.slug for c in cards)
    return Overview(
        headline(cards),
        freshness(context, len(cards)),
        {s: counts[s] for s in ORDER if counts[s]},
        tuple(cards),
        areas,
        titles,
        context.overdue,
        tuple(c.label for c in cards if c.name in catalogue.kpis and catalogue.held_problems(c.name)),
        tuple(c.label for c in cards if c.behind),
    )


UNJUDGED = ("no_target", "waiting_for_data", "definition_error", "withheld")


class Ranked(Protocol):
    """What the sentence needs of a card."""

    @property
    def label(self) -> str:
        """Display name."""

    @property
    def gap(self) -> str:
        """How far it is from its target; empty without."""

    @property
    def status(self) -> Status:
        """How it stands."""

    @property
    def worse(self) -> bool:
        """Whether it went the wrong way since the period that it is held against."""


def headline(cards: Sequence[Ranked], alerts: Sequence[str] = ()) -> str:
    """One sentence that says how things are. `cards` as by `rank`. alerts: titles of open critical ones."""
    total, worst = len(cards), cards[0] if cards else None
    if worst is None:
        return "No KPIs yet"
    off = [c for c in cards if c.status.slug == "off_track"]
    risk = [c for c in cards if c.status.slug == "at_risk"]
    waiting = [c for c in cards if c.status.slug in ("waiting_for_data", "definition_error")]
    judged = [c for c in cards if c.status.slug not in UNJUDGED]
    if off or (risk and (risk[0].worse or not alerts)):
        return _worst(off or risk, total)
    if alerts:
        more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
        return (
            f"{f'{len(risk)} of {total} at risk' if risk else 'Nothing off track'}; critical alert on {alerts[0]}{more}"
        )
    wrong = [c for c in cards if c.status.slug == "definition_error"]
    if not judged and wrong:
        return f"{len(wrong)} of {total} with a definition error; {wrong[0].label}"
    if not judged:
        return (
            f"{counted(total, 'KPI')}, none with a target yet"
            if not waiting
            else f"{len(waiting)} of {total} waiting for data"
        )
    tail = f"; {len(waiting)} waiting for data" if waiting else ""
    return f"All {len(judged)} with a target on track{tail}"


def _worst(some: Sequence[Ranked], total: int) -> str:
    """`3 of 14 off track, 2 of them worsening; worst Error-free sessions, 0.8 points under target`."""
    first, worse = some[0], sum(card.worse for card in some)
    gap = first.gap or first.status.why.rstrip(".")
    told = ""
    if worse:
        count = str(worse) if worse < len(some) else "both" if worse == 2 else "all"
        told = " and worsening" if len(some) == 1 else f", {count} of them worsening"
    lead = "worst " if len(some) > 1 else ""
    return f"{len(some)} of {total} {first.status.label.lower()}{told}; {lead}{first.label}, {gap}"


def freshness(context: DataContext, kpis: int) -> Freshness:
    """Of the live generation."""
    states = context.reader.dataset_states(context.reader.generation.sequence)
    marks = [s.watermark for s in states.values() if s.watermark is not None]
    failed = sum(run.status == "failed" for run in context.runs.values())
    return Freshness(fmt.day_text(max(marks)) if marks else "", context.reader.generation.published_at, kpis, failed)


def _shown(context: DataContext, name: str) -> bool:
    kpi = context.catalogue.kpis.get(name)
    return kpi is None or (kpi.overview and kpi.status == "live")


def rank(item: Ranked) -> tuple[int, bool, float, str]:
    """Sorts worst first: by status, what is worsening, and how far it is."""
    slug = item.status.slug
    asks = standing(slug, worse=True) is not None
    return ORDER.index(slug), not (asks and item.worse), -item.status.depth, item.label
