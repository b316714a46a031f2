"""Where the change sits, as the KPI page shows it: the change that matters, by the dimensions that say most of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics.alerts.compared import Comparison, Opened, change_of, of_incident, without_incident
from metrics.alerts.place import Place, cancels, place_in, share_words, splits_of, whole_of
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import drivers
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter
from metrics.presentation import format as fmt

MOST_DIMENSIONS = 2
SHOWN = 6  # segments of a dimension; the others are pooled
SMALL, SLIGHT = 0.02, 0.05  # a segment below the first share of the whole and the second of all ups and downs is small
ENOUGH = 0.8  # of the change, after which no more segments are named
FAINT = 0.05  # of a segment's part: below, it is not told how much of it is its share of the whole
TINY = 1e-12
USUAL = "It is within the usual range."
UNTOLD = "Too little is known yet to say whether that is usual."


@dataclass(frozen=True)
class ChangePart:
    """One segment. change: signed, in the KPI's unit; share: of the change, in words, empty where it says nothing.

    width: of its bar, 0..1, to the right where it rose; good: whether it went the way the KPI should.
    sampling: what chance alone may do to it; empty where it is not known, or `detail` says so.
    """

    segment: str
    levels: str
    change: str
    share: str
    n: str
    detail: str
    width: float
    rose: bool
    good: bool | None
    sampling: str = ""


@dataclass(frozen=True)
class ChangeBlock:
    """One dimension. line: what its first segments account for; parts add up to the change."""

    dimension: str
    line: str
    parts: tuple[ChangePart, ...]


@dataclass(frozen=True)
class Change:
    """heading: what is compared. told: the change itself. note: that it is an ordinary one, which is folded then."""

    heading: str
    told: str
    note: str
    blocks: tuple[ChangeBlock, ...]
    place: Place | None = None

    @property
    def sentence(self) -> str:
        """The change and, where it is known, its place."""
        return " ".join(filter(None, (f"{self.heading}: {self.told}", self.place.words if self.place else self.note)))

    @property
    def folded(self) -> bool:
        """Whether it is worth looking at only for who asks."""
        return bool(self.note)


def where_it_sits(
    context: DataContext, name: str, where: tuple[Filter, ...] = (), incident: Opened | None = None
) -> Change | None:
    """Where the change of an open incident of the home grain sits, else the last one outside of the expected range,
    else the newest.

    None where nothing is compared or nothing adds up: medians, people. Raises KpiError.
    """
    kpi = context.catalogue.kpi(name)
    whole = whole_of(kpi, context.catalogue, context.reader, where, kpi.grain)
    compared = of_incident(whole, kpi, kpi.grain, incident) if incident is not None else None
    compared = compared or without_incident(whole, kpi, context.catalogue, context.country)
    if compared is None:
        return None
    splits = splits_of(kpi, context.catalogue, context.reader, whole, compared, where)
    splits = [split for split in splits if len(split.parts) > 1 and abs(split.change) > TINY]
    change = change_of(whole, kpi, compared)
    if not splits or change is None:
        return None
    place = None if compared.incident and compared.usual else place_in(kpi, splits)
    splits.sort(key=lambda split: (place is None or split.dimension != place.dimension, -_excess(split)))
    blocks = tuple(_block(kpi, split, place) for split in splits[:MOST_DIMENSIONS])
    before, after = fmt.value_texts((change.parts[0].before, change.parts[0].after), kpi)
    told = f"{fmt.difference_text(change.change, kpi)}: {before} → {after}."
    return Change(compared.words(context.now.year), told, _note(compared), blocks, place)


def _note(compared: Comparison) -> str:
    return UNTOLD if compared.usual is None else USUAL if compared.usual else ""


def _excess(split: drivers.Split) -> float:
    """How much more of the change the first segments hold than of the whole."""
    return split.held - sum(part.weight for part in split.parts[: drivers.TOP])


def _block(kpi: KpiCommon, split: drivers.Split, place: Place | None) -> ChangeBlock:
    line = place.words if place is not None and place.dimension == split.dimension else _line(split)
    shown, small = pooled(split)
    largest = max(abs(part.change) for part in (*shown, *([small[0]] if small else ()))) or 1.0
    clear = not cancels(split)
    rows = [_part(kpi, split, part, largest, clear=clear) for part in shown]
    rows += [_part(kpi, split, small[0], largest, clear=clear, levels=False)] if small else []
    return ChangeBlock(split.dimension.replace("_", " "), line, tuple(rows))


def pooled(split: drivers.Split) -> tuple[list[drivers.Part], tuple[drivers.Part, ...]]:
    """Segments that are shown, and one for all others where there are several: small ones, and those after SHOWN."""
    whole = sum(abs(part.change) for part in split.parts) or 1.0
    small = {p.segment for p in split.parts if p.weight < SMALL and abs(p.change) < SLIGHT * whole}
    shown = [part for part in split.parts if part.segment not in small][:SHOWN]
    rest = [part for part in split.parts if part not in shown]
    if len(rest) < 2:
        return [*shown, *rest], ()
    change, rate, mix, weight = (sum(getattr(p, key) for p in rest) for key in ("change", "rate", "mix", "weight"))
    name = f"Other ({len(rest)} {'small ' if all(p.segment in small for p in rest) else ''}segments)"
    return shown, (drivers.Part(name, np.nan, np.nan, change, rate, mix, weight, n=sum(p.n for p in rest)),)


def _line(split: drivers.Split) -> str:
    """What the first segments that went along account for, beside what they are of the whole."""
    if split.parts and all(part.by_chance for part in split.parts):
        return "No segment moved by more than sampling alone gives."
    if cancels(split):
        return "Segments moved both ways, and most of it cancels out."
    along = list[drivers.Part]()
    for part in (p for p in split.parts if p.change * split.change > 0):
        if len(along) < drivers.TOP and sum(p.change for p in along) / split.change < ENOUGH:
            along.append(part)
    names, share = _listed([part.segment for part in along]), sum(part.change for part in along) / split.change
    weight = sum(part.weight for part in along)
    verb, are = ("accounts", "is") if len(along) == 1 else ("account", "are")
    tail = ", within what sampling alone gives" if all(part.by_chance for part in along) else ""
    return f"{names} {verb} for {share_words(share)} of the change and {are} {weight:.0%} of the whole{tail}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _part(
    kpi: KpiCommon, split: drivers.Split, part: drivers.Part, largest: float, *, clear: bool, levels: bool = True
) -> ChangePart:
    shown = _levels(kpi, part) if levels else ""
    good = None
    if kpi.direction != "neutral" and abs(part.change) > TINY:
        good = (part.change > 0) == (kpi.direction == "up_is_good")
    share = drivers.share_of_change(split, part)
    told = f"offsets {-share:.0%} of it" if round(share, 2) < 0 else f"{abs(share):.0%} of the change"
    return ChangePart(
        part.segment,
        shown,
        fmt.difference_text(part.change, kpi),
        told if clear else "",
        f"n {part.n:,}" if part.n else "",
        _detail(kpi, split, part) if levels else "",
        abs(part.change) / largest,
        part.change > 0,
        good,
        "" if part.by_chance else _chance(kpi, part, "sampling alone "),
    )


def _levels(kpi: KpiCommon, part: drivers.Part) -> str:
    """`95.2% → 97.1%`; of a rate that one side does not know, that one's alone."""
    before, after = fmt.value_texts((part.before, part.after), kpi)
    if part.mix and not all(part.shares):
        return f"gone, {before} before" if part.shares[0] else f"new, {after}"
    return f"{before} → {after}"


def _detail(kpi: KpiCommon, split: drivers.Split, part: drivers.Part) -> str:
    """How much of a part is the segment's share of the whole; empty where that is faint, or the part is.

    Of one that sampling alone may give: that.
    """
    if part.by_chance:
        return f"{_chance(kpi, part, 'within ')}, which sampling alone gives"
    gross = sum(abs(other.change) for other in split.parts)
    if abs(part.change) < SLIGHT * gross or abs(part.mix) <= max(TINY, FAINT * abs(part.change)):
        return ""
    if abs(part.mix) > abs(part.rate):
        was, now = (f"{share:.0%}" for share in part.shares)
        return f"mostly by its share of the whole, {was} → {now}"
    rate, mix = fmt.difference_texts((part.rate, part.mix), kpi)
    return f"{rate} by its own rate, {mix} by its share"


def _chance(kpi: KpiCommon, part: drivers.Part, before: str) -> str:
    """`sampling alone ±0.4 points`; empty where it is not known."""
    return "" if not part.sampling else f"{before}±{fmt.difference_text(part.sampling, kpi).lstrip('+')}"
