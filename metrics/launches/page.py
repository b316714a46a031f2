"""One launch as people read it: page, exports and the line in a list are made of this."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.launch import READINGS, Launch
from metrics.catalog.segments import segments
from metrics.kpi_views.chart import Mark, marks_on, ticks
from metrics.launches import words
from metrics.launches.adoption import Adoption, Share
from metrics.launches.forest import Light, Row, lights, rows
from metrics.launches.headline import headline, next_step
from metrics.launches.people.people_block import PeopleBlock, headlines, people_block
from metrics.launches.plan import Plan, in_words, plans
from metrics.launches.reading import Reading, is_good
from metrics.launches.scorecard import KpiScore, PublishedReading, Scorecard, Voice
from metrics.launches.segments_block import SegmentsBlock, segments_blocks
from metrics.presentation import format as fmt

SHOWN_BEFORE = {"day": 60, "week": 26 * 7}  # days of the chart before the launch
CAUSES = {
    "late data": "late data",
    "definition": "the definition changed",
    "history": "other launches or marks before it were added or changed",
    "launch": "the launch was edited",
    "method": "the method changed",
}


@dataclass(frozen=True)
class ReadingRow:
    """One reading date. state: read, restated, waiting or none."""

    day: str
    on: str
    words: str
    slug: str
    badges: tuple[str, ...]
    published: str
    restated: str = ""
    between: str = ""


@dataclass(frozen=True)
class Path:
    """The before/after chart, per period in the KPI's unit. ends: least and most, as texts."""

    periods: tuple[pd.Timestamp, ...]
    actual: tuple[float, ...]
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    texts: tuple[str, ...]
    tick_format: str
    tick_suffix: str
    start: pd.Timestamp
    ends: tuple[str, str]
    marks: tuple[Mark, ...] = ()  # of the KPI, but the launch itself


@dataclass(frozen=True)
class KpiBlock:
    """One KPI of the launch. slug: good, bad or quiet. links: its page."""

    name: str
    title: str
    role: str
    verdict: str
    slug: str
    level: str
    wish: str
    wish_met: str
    badges: tuple[str, ...]
    compared: str
    calibration: str
    visible: str
    today: str
    notes: tuple[str, ...]
    readings: tuple[ReadingRow, ...]
    path: Path | None
    guard: str = ""
    guard_slug: str = ""
    sampling: str = ""
    sentence: str = ""
    adopters: str = ""


@dataclass(frozen=True)
class AdoptionBlock:
    """share: the one number; line: of how many. Shares as texts, the curve as numbers.

    bridge: why other numbers that speak of adoption differ from it, a sentence each.
    """

    line: str
    within: tuple[tuple[str, str, str], ...]
    again: str
    curve: tuple[tuple[pd.Timestamp, float], ...]
    segments: tuple[tuple[str, tuple[tuple[str, str, float], ...]], ...]
    share: str = fmt.UNKNOWN
    bridge: tuple[str, ...] = ()


@dataclass(frozen=True)
class Remark:
    """One comment."""

    when: str
    score: str
    who: str
    words: str
    where: tuple[tuple[str, str], ...] = ()  # dimension, segment


@dataclass(frozen=True)
class VoiceBlock:
    """groups: whose answers, what they say, slug. words: (word, before, after, more or less)."""

    title: str
    groups: tuple[tuple[str, str, str], ...]
    comments: tuple[Remark, ...]
    words: tuple[tuple[str, int, int, bool], ...]
    line: str


@dataclass(frozen=True)
class LaunchPage:
    """Everything a page or an export shows."""

    name: str
    title: str
    phase: str
    headline: tuple[tuple[str, str], ...]  # sentences, each with its slug
    line: str
    hypothesis: str
    owner: str
    steps: tuple[str, ...]
    blocks: tuple[KpiBlock, ...]
    adoption: AdoptionBlock | None
    adoption_why: str
    voice: VoiceBlock | None
    voice_why: str
    readiness: tuple[tuple[str, str], ...]
    assumptions: tuple[str, ...]
    overlaps: tuple[str, ...]
    go_to_market: tuple[tuple[str, str, str, bool], ...]
    links: tuple[tuple[str, str], ...]
    decisions: tuple[tuple[str, str, str], ...]
    breaches: tuple[str, ...]
    data_line: str
    forest: tuple[Row, ...] = ()
    lights: tuple[Light, ...] = ()
    next_step: str = ""
    plans: tuple[Plan, ...] = ()
    people: PeopleBlock | None = None
    controls: tuple[str, ...] = ()  # that its file does not name
    segments: tuple[SegmentsBlock, ...] = ()

    @property
    def summary(self) -> str:
        """The headline as one text."""
        return " ".join(said for said, _ in self.headline)


def launch_page(
    card: Scorecard,
    catalogue: Catalogue,
    *,
    now: datetime,
    decisions: Sequence[tuple[str, str, str, datetime]] = (),
    breaches: Sequence[tuple[str, datetime, datetime | None]] = (),
    data_to: datetime | None = None,
) -> LaunchPage:
    """decisions: decision, why, by, at. breaches: KPI, since, until; the latest first."""
    launch, today = card.launch, catalogue.today(now)
    year = today.year
    blocks = tuple(_block(score, card, catalogue, year) for score in card.scores)
    assumed: tuple[str, ...] = words.ASSUMPTIONS
    if any(s.latest and s.latest.reading.control for s in card.scores) or launch.held_against:
        assumed = (*assumed, words.CONTROL)
    verdicts = {block.name: (block.sentence, block.slug) for block in blocks}
    wishes = [_asked(score) for score in card.scores]
    planned = plans(card, wishes)
    checks = _readiness(card, planned)
    could = [(in_words(plan), "quiet" if plan.works else "bad") for plan in planned]
    said = headline(card, verdicts, today, checks=checks, planned=could)
    people = people_block(card.people) if card.people else None
    said = (*headlines(people), *said)
    return LaunchPage(
        launch.name,
        launch.title,
        card.phase,
        said,
        _line(launch, today),
        launch.hypothesis,
        launch.owner,
        _steps(launch),
        blocks,
        _adoption(card.adoption, card, catalogue) if card.adoption else None,
        card.adoption_why,
        _voice(card.voice) if card.voice else None,
        card.voice_why,
        checks,
        assumed,
        card.overlaps or ("Nothing else is known to have touched its KPIs in these days.",),
        tuple((g.audience, g.message, g.channel, g.done) for g in launch.go_to_market),
        tuple(launch.links.items()),
        tuple((what.capitalize(), why, f"{by}, {fmt.moment_text(at)}") for what, why, by, at in decisions),
        tuple(_breach(catalogue, *breach) for breach in breaches if breach[0] in catalogue.kpis),
        f"Data to {fmt.day_text(data_to)}.",
        rows(card.scores, wishes, [block.wish for block in blocks]),
        lights(card.scores, [block.guard for block in blocks]),
        next_step(card, today),
        planned,
        people,
        tuple(words.proposed(score.kpi, score.proposed) for score in card.scores if score.proposed is not None),
        tuple(
            block
            for score in card.scores
            if score.observed is not None
            for block in segments_blocks(score.kpi, score.segments, relative=score.observed.logarithm)
        ),
    )


def _line(launch: Launch, today: date) -> str:
    start = pd.Timestamp(launch.starts_on)
    day = f"{start:%a} {start.day} {start:%b %Y}"
    named = segments(launch.audience) if launch.audience else None
    whom = f" for {named.words if named else launch.audience}" if launch.audience else ""
    if launch.starts_on > today:
        return f"Planned for {day}{whom}"
    return f"Launched on {day}{whom}, {counted((today - launch.starts_on).days, 'day')} ago"


def _steps(launch: Launch) -> tuple[str, ...]:
    found = []
    days = fmt.days_text([step.on for step in launch.rollout])
    for day, step in zip(days, launch.rollout, strict=True):
        named = segments(step.segment) if step.segment else None
        who = named.words if named else fmt.share_text(step.share)
        found.append(f"{day}: {who}" + (f" ({fmt.share_text(step.share)})" if named and step.share < 1 else ""))
    return tuple(found)


def _block(score: KpiScore, card: Scorecard, catalogue: Catalogue, year: int) -> KpiBlock:
    kpi, latest = score.kpi, score.latest
    reading = latest.reading if latest and latest.reading.verdict else score.today.reading
    published = latest.reading if latest and latest.reading.verdict else None
    look = score.today.reading
    today = words.verdict(kpi, look) if look.verdict else look.why
    if look.verdict:
        today = f"To {_last_day(look)}: {today}"
    sees = card.sees.get(kpi.name)
    guard = score.guard
    return KpiBlock(
        kpi.name,
        kpi.title,
        score.role,
        words.verdict(kpi, published) if published else "no verdict yet",
        words.SPOKEN[is_good(kpi, published)] if published else "quiet",
        words.levels(kpi, reading),
        _wish(score),
        _wish_met(score, published),
        published.badges if published else (),
        words.compared(reading),
        words.calibration(reading),
        words.visible_words(kpi, sees) + "." if sees and sees.size > 1e-6 else "",
        today,
        tuple(dict.fromkeys((*reading.notes, *look.notes))),
        tuple(_rows(score, card.launch)),
        _path(score, card.launch, catalogue),
        words.guard_words(kpi, guard, year) if guard else "",
        "" if guard is None else "quiet" if guard.holds is None else "good" if guard.holds else "bad",
        words.sampling(kpi, reading),
        words.sentence(kpi, published, _hoped(score, published)) if published else "",
        _adopters(score, published, card),
    )


def _wish(score: KpiScore) -> str:
    if not score.wish:
        return ""
    text = score.wish.replace("pp", " point" if score.wish.strip("+- ") == "1pp" else " points").replace("-", fmt.MINUS)
    return f"Expected {text}" if score.role == "success" else ""


def _wish_met(score: KpiScore, reading: Reading | None) -> str:
    """Whether the effect hoped for lies in the interval; levels to reach are held against the level."""
    wish = score.wish.replace(" ", "")
    if score.role != "success" or not wish or reading is None or reading.low is None or reading.high is None:
        return ""
    asked = _asked(score)
    if asked is None:
        number = float(wish.rstrip("%p"))
        level = number / 100 if wish.endswith("%") else number
        return "reached" if reading.level is not None and reading.level >= level else "not reached"
    if wish.endswith("%") != reading.relative:
        return ""
    if asked > 0:
        return "below what was expected" if reading.high < asked else "in line" if reading.low <= asked else "above it"
    return "short of what was expected" if reading.low > asked else "in line" if reading.high >= asked else "beyond it"


def _hoped(score: KpiScore, reading: Reading) -> str:
    """What a clear change is beside what was hoped for; empty where nothing was."""
    met, wish, asked = _wish_met(score, reading), _wish(score).removeprefix("Expected "), _asked(score)
    if not met:
        return ""
    if asked is None:
        return f"{'at or above' if met == 'reached' else 'below'} the {wish} hoped for"
    if asked * (reading.effect or 0.0) < 0:
        return f"against the {wish} hoped for"
    if met == "in line":
        return "as hoped"
    return f"{'less' if met.startswith(('below', 'short')) else 'more'} than the {wish} hoped for"


def _adopters(score: KpiScore, reading: Reading | None, card: Scorecard) -> str:
    """What the effect is for each who used it, of what is not itself a count of them."""
    adoption = card.launch.adoption
    if reading is None or adoption is None or card.adoption is None or score.role != "success":
        return ""
    if reading.exposure < 0.995 or any(part.filter == adoption.used for part in score.kpi.measures.values()):
        return ""
    first, end = pd.Timestamp(reading.start), pd.Timestamp(reading.end)
    taken = [share for day, share in card.adoption.curve if first <= day < end]
    return words.per_adopter(score.kpi, reading, sum(taken) / len(taken) if taken else None)


def _rows(score: KpiScore, launch: Launch) -> list[ReadingRow]:
    found = []
    before: Reading | None = None
    kept = {item.reading.days: item for item in score.kept}
    for days in READINGS:
        on = f"{launch.reading_on(days):%-d %b %Y}"
        item = kept.get(days)
        if item is None:
            found.append(ReadingRow(f"D+{days}", on, "no verdict yet", "quiet", (), ""))
            continue
        again = score.restated.get(days)
        now = ""
        if again is not None:
            said = words.verdict(score.kpi, again.reading)
            now = f"Restated since: now {said} ({CAUSES[again.cause]}). The published verdict stays."
        found.append(
            ReadingRow(
                f"D+{days}",
                on,
                words.verdict(score.kpi, item.reading),
                words.SPOKEN[is_good(score.kpi, item.reading)],
                item.reading.badges,
                _published(item, launch),
                now,
                words.between(score.kpi, before, item.reading) if before is not None else "",
            )
        )
        before = item.reading if item.reading.verdict else before
    return found


def _published(item: PublishedReading, launch: Launch) -> str:
    late = (item.taken_at.date() - launch.reading_on(item.reading.days)).days
    tail = f", {counted(late, 'day')} after its day" if late > 14 else ""
    return f"Published {fmt.moment_text(item.taken_at)}{tail}, from generation {item.generation}"


def _last_day(reading: Reading) -> str:
    return f"{pd.Timestamp(reading.end) - pd.Timedelta(days=1):%-d %b}"


def _path(score: KpiScore, launch: Launch, catalogue: Catalogue) -> Path | None:
    path, kpi = score.today.path, score.kpi
    if path.empty:
        return None
    before = pd.Timedelta(days=SHOWN_BEFORE[score.today.reading.grain])
    shown = path[path.index >= pd.Timestamp(score.today.reading.start) - before]
    texts = tuple(
        ", expected ".join(fmt.value_texts((float(row.actual), float(row.expected)), kpi)) for row in shown.itertuples()
    )
    actual, expected, low, high = (tuple(float(v) for v in shown[c]) for c in ("actual", "expected", "low", "high"))
    near = marks_on(catalogue, kpi, shown.index[0], shown.index[-1])
    marks = tuple(mark for mark in near if mark.label != launch.title)
    known = [v for v in (*actual, *low, *high) if not math.isnan(v)]
    low_end, high_end = fmt.value_texts((min(known), max(known)), kpi)
    start = pd.Timestamp(launch.starts_on)
    return Path(tuple(shown.index), actual, expected, low, high, texts, *ticks(kpi), start, (low_end, high_end), marks)


def _adoption(found: Adoption, card: Scorecard, catalogue: Catalogue) -> AdoptionBlock:
    share = fmt.UNKNOWN if found.share is None else fmt.share_text(found.share, 1)
    within = tuple(
        (_in_days(s.name), _share(s), f"{s.used:,} of {s.of:,}" if s.of else "too early to tell") for s in found.within
    )
    again = f"{found.again:,} of the {found.used:,} came back to it on another day" if found.used else ""
    parts = tuple(
        (
            dimension.replace("_", " "),
            tuple((s.name, f"{_share(s)} ({s.used:,} of {s.of:,})", s.value or 0.0) for s in shares),
        )
        for dimension, shares in found.segments
    )
    line = f"{found.used:,} of the {found.audience:,} seen since the launch have used it"
    return AdoptionBlock(line, within, again, found.curve, parts, share, tuple(_bridges(card, catalogue)))


def _bridges(card: Scorecard, catalogue: Catalogue) -> Iterator[str]:
    """Shares of one period's people are lower or higher than the share of all, and nobody is wrong."""
    for score in card.scores:
        kpi, adoption = score.kpi, card.launch.adoption
        reading = score.latest.reading if score.latest else score.today.reading
        shares = kpi.is_rate and kpi.longer(catalogue.kpis) == "other"
        same = adoption is not None and any(part.filter == adoption.used for part in kpi.measures.values())
        if shares and same and score.role == "success" and reading.level is not None:
            yield (
                f"{kpi.title} is {fmt.value_text(reading.level, kpi)} in the same time: it counts the people of one "
                f"{kpi.grain} at a time, this share everybody seen since the launch."
            )


def _in_days(name: str) -> str:
    """D7 as `7 days`."""
    return counted(int(name.removeprefix("D")), "day")


def _share(share: Share) -> str:
    return fmt.UNKNOWN if share.value is None else fmt.share_text(share.value, 1)


def _voice(found: Voice) -> VoiceBlock:
    slugs = {"up": "good", "down": "bad"}
    groups = [
        (name, words.score_words(found.kpi, change), slugs.get(words.score_verdict(change), "quiet"))
        for name, change in found.groups
    ]
    if found.apart is not None:
        said = words.score_words(found.kpi, found.apart).replace(" → ", " of the others, ", 1)
        groups.append(("Users compared with non-users", said, slugs.get(words.score_verdict(found.apart), "quiet")))
    comments = tuple(
        Remark(
            f"{pd.Timestamp(row['said_at']):%-d %b}",
            f"{float(row['score']):g}",
            str(row["who"]),
            str(row["comment"]),
            tuple((name, str(row[name])) for name in found.dimensions),
        )
        for row in found.comments.to_dict("records")
    )
    start = pd.Timestamp(found.start)
    line = f"{found.kpi.title}: answers from {start:%-d %b} on against the 60 days before. Intervals of 95%."
    return VoiceBlock(
        found.kpi.title, tuple(groups), comments, tuple((w.word, w.before, w.after, w.z > 0) for w in found.words), line
    )


def _readiness(card: Scorecard, planned: Sequence[Plan]) -> tuple[tuple[str, str], ...]:
    found = [("ok" if plan.works else "warning", in_words(plan)) for plan in planned]
    found += [(check.state, check.words) for check in card.readiness]
    for score in card.scores:
        sees = card.sees.get(score.kpi.name)
        if score.role == "success" and sees is not None and sees.size > 1e-6:
            asked = _asked(score)
            small = asked is not None and abs(asked) < sees.size
            tail = f", more than the {score.wish} hoped for" if small else ""
            found.append(("warning" if small else "ok", f"{words.visible_words(score.kpi, sees)}{tail}."))
    return tuple(found)


def _asked(score: KpiScore) -> float | None:
    """The effect hoped for, in the reading's unit; None for a level to reach."""
    wish = score.wish.replace(" ", "")
    if not wish or wish[0] not in "+-":
        return None
    number = float(wish.rstrip("%p"))
    return number / 100 if wish.endswith("%") or (wish.endswith("pp") and score.kpi.is_rate) else number


def _breach(catalogue: Catalogue, name: str, since: datetime, until: datetime | None) -> str:
    kpi = catalogue.kpi(name)
    start = fmt.period_text(pd.Timestamp(since), kpi.grain, since.year)
    end = f"holds again since {fmt.moment_text(until)}" if until else "still beyond it"
    return f"{kpi.title} beyond its limit from {start}; {end}"
