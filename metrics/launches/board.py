"""All launches at a glance: running with day and lights, planned, read; and the time line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.launch import READINGS, Launch
from metrics.launches import words
from metrics.launches.readiness import stated
from metrics.launches.reading import is_good
from metrics.launches.scorecard import Scorecard
from metrics.presentation import format as fmt

AHEAD = timedelta(days=45)
BACK = timedelta(days=120)


@dataclass(frozen=True)
class Light:
    """One guardrail. slug: good, bad or quiet."""

    title: str
    slug: str


@dataclass(frozen=True)
class LaunchItem:
    """One launch in the list. verdicts: (words, slug). decision: empty = none taken yet."""

    name: str
    title: str
    phase: str
    when: str
    owner: str
    adoption: str
    lights: tuple[Light, ...]
    verdicts: tuple[tuple[str, str], ...]
    decision: str


@dataclass(frozen=True)
class DraftItem:
    """A launch that no person has looked at. link: of its release or flag. lacks: what is missing."""

    name: str
    title: str
    when: str
    of: str
    link: str
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """One launch or mark of the time line; readings: the days of verdicts."""

    name: str
    title: str
    kind: str
    start: date
    end: date
    readings: tuple[date, ...]


@dataclass(frozen=True)
class LaunchBoard:
    """Everything the page shows."""

    headline: str
    running: tuple[LaunchItem, ...]
    planned: tuple[LaunchItem, ...]
    read: tuple[LaunchItem, ...]
    bars: tuple[Bar, ...]
    today: date
    marks: tuple[tuple[str, str, str, str], ...]  # day, title, kind, where drawn
    drafts: tuple[DraftItem, ...] = ()

    @property
    def drafts_line(self) -> str:
        """How many drafts wait, and what to do with them."""
        count = "One draft waits" if len(self.drafts) == 1 else f"{len(self.drafts)} drafts wait"
        return (
            f"{count} for a person: choose KPIs in the file and take `draft: true` out, or delete it. A draft is "
            "neither drawn nor read."
        )


def launch_board(cards: Sequence[Scorecard], catalogue: Catalogue, decided: dict[str, str], today: date) -> LaunchBoard:
    """decided: launch → the last decision."""
    launches = catalogue.launches
    items = [_item(card, decided.get(card.launch.name, ""), today) for card in cards]
    running, planned, read = (tuple(i for i in items if i.phase == phase) for phase in ("running", "planned", "read"))
    broken = sum(any(light.slug == "bad" for light in item.lights) for item in running)
    undecided = sum(bool(i.verdicts) and not i.decision for i in (*running, *read))
    parts = [f"{len(running)} running", f"{len(planned)} planned", f"{len(read)} completed"]
    headline = ", ".join(parts) + "."
    if broken:
        headline += f" {broken} with a guardrail breached."
    if undecided:
        headline += f" {undecided} with a verdict and no decision."
    marks = tuple(
        (f"{x.starts_on:%-d %b %Y}", x.title, x.kind, _drawn_on(x, catalogue))
        for x in sorted(launches, key=lambda x: x.starts_on, reverse=True)
        if x.kind != "launch"
    )
    drafts = tuple(_draft(item, catalogue) for item in reversed(catalogue.drafts))
    return LaunchBoard(headline, running, planned, read, _bars(launches, today), today, marks, drafts)


def _drawn_on(mark: Launch, catalogue: Catalogue) -> str:
    titles = [catalogue.kpi(name).title if name in catalogue.kpis else name for name in mark.kpis]
    return ", ".join((*titles, *filter(None, [mark.area]))) or "all KPIs"


def _item(card: Scorecard, decision: str, today: date) -> LaunchItem:
    launch = card.launch
    used = card.adoption
    lights = tuple(
        Light(score.kpi.title, "quiet" if score.guard.holds is None else "good" if score.guard.holds else "bad")
        for score in card.scores
        if score.guard is not None
    )
    verdicts = []
    for score in card.scores:
        kept = score.latest
        if score.role == "success" and kept is not None and kept.reading.verdict:
            text = f"{score.kpi.title} {words.verdict(score.kpi, kept.reading)}, D+{kept.reading.days}"
            verdicts.append((text, words.SPOKEN[is_good(score.kpi, kept.reading)]))
    return LaunchItem(
        launch.name,
        launch.title,
        card.phase,
        _when(card, today),
        launch.owner,
        f"{fmt.share_text(used.share, 1)} of {used.audience:,} use it" if used and used.share is not None else "",
        lights,
        tuple(verdicts),
        decision,
    )


def _draft(launch: Launch, catalogue: Catalogue) -> DraftItem:
    steps = [f"{step.on:%-d %b} {fmt.share_text(step.share)}" for step in launch.rollout]
    when = " → ".join(steps) or f"{launch.starts_on:%-d %b %Y}"
    when += f", off since {launch.until:%-d %b}" if launch.until and launch.rollout else ""
    lacks = tuple(check.words for check in stated(launch, catalogue))
    of = launch.origin.of or launch.origin.source if launch.origin else ""
    return DraftItem(launch.name, launch.title, when, of, next(iter(launch.links.values()), ""), lacks)


def _when(card: Scorecard, today: date) -> str:
    start = card.launch.starts_on
    if card.phase == "planned":
        return f"{start:%-d %b %Y}, in {counted((start - today).days, 'day')}"
    since = f"since {start:%-d %b %Y}"
    upcoming = next((card.launch.reading_on(d) for d in READINGS if card.launch.reading_on(d) > today), None)
    tail = f", next read-out {upcoming:%-d %b}" if upcoming else ""
    return f"Day {max(0, (today - start).days)}, {since}{tail}"


def _bars(launches: Sequence[Launch], today: date) -> tuple[Bar, ...]:
    found = []
    for item in launches:
        end = item.until or (item.reading_on(READINGS[-1]) if item.kind == "launch" else item.starts_on)
        if end >= today - BACK and item.starts_on <= today + AHEAD:
            days = tuple(item.reading_on(d) for d in READINGS) if item.kind == "launch" else ()
            found.append(Bar(item.name, item.title, item.kind, item.starts_on, end, days))
    return tuple(sorted(found, key=lambda bar: bar.start))
