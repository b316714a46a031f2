"""What a PM must see first of a launch: sentences, worst and best alike, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from connectors.errors import counted
from metrics.catalog.models.launch import READINGS, Launch
from metrics.launches.impact import Words
from metrics.launches.scorecard import Scorecard, Voice
from metrics.presentation import format as fmt

Said = tuple[str, str]  # a sentence and its slug: good, bad or quiet


def headline(
    card: Scorecard,
    verdicts: Mapping[str, Said],
    today: date,
    *,
    checks: Sequence[tuple[str, str]],
    planned: Sequence[Said] = (),
) -> tuple[Said, ...]:
    """verdicts: KPI → what was read in a sentence, and its slug. checks: of its readiness, state and words. planned:
    what a launch that is to come could show, and its slug.
    """
    launch = card.launch
    if card.phase == "planned":
        days = (launch.starts_on - today).days
        ready = sum(state == "ok" for state, _ in checks)
        left = f" {ready} of {counted(len(checks), 'check')} passed." if checks else ""
        return ((f"It starts in {counted(days, 'day')}.{left}", "quiet"), *planned)
    read = [score for score in card.scores if score.role == "success" and score.latest and score.latest.reading.verdict]
    said = [verdicts[score.kpi.name] for score in read] or [(_waits(card), "quiet")]
    used = card.adoption
    if used is not None and used.share is not None:
        share = fmt.share_text(used.share, 1)
        said.append((f"{used.used:,} of the {used.audience:,} seen since the launch have used it ({share}).", "quiet"))
    said += _rails(card)
    if card.voice is not None:
        said.append(_heard(card.voice, len(card.voice.comments)))
    return tuple(said)


def next_step(card: Scorecard, today: date) -> str:
    """When the next verdict is read, or that all are."""
    if card.phase == "planned":
        return ""
    launch = card.launch
    left = [days for days in READINGS if all(days not in {k.reading.days for k in s.kept} for s in card.scores)]
    if not card.scores or not left:
        return "All verdicts are in." if card.scores else ""
    on = launch.reading_on(left[0])
    when = "is due now" if on <= today else f"comes on {on:%-d %b}, in {_days(launch, today, left[0])}"
    return f"The verdict of D+{left[0]} {when}."


def _days(launch: Launch, today: date, days: int) -> str:
    return counted((launch.reading_on(days) - today).days, "day")


def _waits(card: Scorecard) -> str:
    if card.day < READINGS[0]:
        return f"It is too early for a verdict: {card.day} of {READINGS[0]} days are complete."
    why = next((s.today.reading.why for s in card.scores if s.role == "success" and s.today.reading.why), "")
    return f"There is no verdict yet. {why}".strip()


def _rails(card: Scorecard) -> list[Said]:
    if not card.guards:
        return []
    count = len(card.guards)
    broken = [s.kpi.title for s in card.scores if s.guard is not None and s.guard.holds is False]
    fine = sum(guard.holds is True for guard in card.guards)
    if broken:
        which = "Its guardrail is" if count == 1 else f"{len(broken)} of {count} guardrails {_are(len(broken))}"
        return [(f"{which} breached: {' and '.join(broken)}.", "bad")]
    if fine == count:
        return [("Its guardrail holds." if count == 1 else f"All {count} guardrails hold.", "quiet")]
    return [(f"{fine} of {count} guardrails hold, the others are not known yet.", "quiet")]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _heard(voice: Voice, count: int) -> Said:
    apart = voice.apart
    told = counted(count, "comment")
    if apart is not None and apart.words in (Words.UP, Words.DOWN) and apart.change is not None:
        side = "above" if apart.words == Words.UP else "below"
        size = f"{fmt.points_text(abs(apart.change), scale=100 if voice.kpi.is_rate else 1, plus=False)} {side}"
        text = f"{voice.kpi.title} of those who used it is {size} that of the others, with {told}."
        return text, "good" if apart.words == Words.UP else "bad"
    return f"Customers left {told}.", "quiet"
