"""What a scorecard says, in words: the same on the page, in exports and in messages."""

from __future__ import annotations

from metrics.catalog.models.kpi import KpiCommon
from metrics.launches.guardrail import Guard
from metrics.launches.impact import PLACEBOS, Words
from metrics.launches.readiness import Visible
from metrics.launches.reading import Reading
from metrics.launches.voice import ScoreChange
from metrics.presentation import format as fmt

ASSUMPTIONS = (
    "Without the launch, trend and weekday shape would have gone on as before.",
    "Nothing else changed the KPI in the same days; what is known to have is listed below.",
)
CONTROL = "The launch did not touch the control, and what moves one moves the other."


def amount(kpi: KpiCommon, value: float | None, *, relative: bool, plus: bool = True) -> str:
    """An effect: `+4.6 points` of rates and scores, `+8.4%` of others where relative, else in the KPI's unit."""
    if relative and value is not None:
        return fmt.signed(value * 100, 1, plus=plus) + "%"
    return fmt.difference_text(value, kpi, plus=plus)


def bare(kpi: KpiCommon, value: float | None, *, relative: bool) -> str:
    """An end of an interval, without its unit where that follows."""
    return amount(kpi, value, relative=relative).removesuffix(" points").removesuffix(" point")


def verdict(kpi: KpiCommon, reading: Reading) -> str:
    """`moved up 4.6 points (+0.5 to +9.1)`; `no clear change: an effect smaller than 4.1 points cannot be seen`."""
    if not reading.verdict:
        return reading.why
    if reading.verdict == Words.UNCLEAR:
        small = amount(kpi, reading.smallest, relative=reading.relative, plus=False)
        return f"{reading.verdict}: smaller than {small} cannot be seen"
    size = amount(kpi, abs(reading.effect or 0.0), relative=reading.relative, plus=False)
    return f"{reading.verdict} by {size} ({interval(kpi, reading)})"


def interval(kpi: KpiCommon, reading: Reading) -> str:
    """`+0.5 to +9.1 points`."""
    low = bare(kpi, reading.low, relative=reading.relative)
    return f"{low} to {amount(kpi, reading.high, relative=reading.relative)}"


def levels(kpi: KpiCommon, reading: Reading) -> str:
    """`43.7% against 39.1% expected, 13 Sep to 10 Oct`."""
    if reading.level is None or reading.expected is None:
        return ""
    expected = max(0.0, reading.expected) if kpi.is_rate else reading.expected
    return f"{fmt.value_text(reading.level, kpi)} against {fmt.value_text(expected, kpi)} expected"


def calibration(reading: Reading) -> str:
    """How often the method was wrong where nothing was launched."""
    if not reading.verdict:
        return ""
    if reading.factor is None:
        return f"Uncalibrated: {reading.placebos} of {PLACEBOS} earlier weeks could be tested."
    wider = f", so the interval is {fmt.number(reading.factor, 2)} times as wide" if reading.factor > 1 else ""
    return f"False alarms: {reading.cried} in {reading.placebos} past weeks without a launch{wider}."


def compared(reading: Reading) -> str:
    """Who is held against whom."""
    if not reading.verdict:
        return ""
    who = reading.treated[:1].upper() + reading.treated[1:]
    text = f"{who} against {reading.control}." if reading.control else f"{who}, before and after."
    if reading.exposure < 0.995:
        text += f" On average {reading.exposure:.0%} had it, so this is the effect as rolled out."
    return text


def guard_words(kpi: KpiCommon, guard: Guard, this_year: int) -> str:
    """`2.65 s on Sun 22 Nov, beyond its limit since Wed 18 Nov (must stay below 2.6)`."""
    if guard.holds is None or guard.period is None:
        return guard.why
    value, must = fmt.value_text(guard.value, kpi), _must(kpi, guard)
    when = fmt.period_text(guard.period, kpi.grain, this_year)
    if guard.holds:
        return f"{value} ({when}): {must}"
    since = fmt.period_text(guard.since, kpi.grain, this_year) if guard.since is not None else ""
    again = f", since {since}" if since and since != when else ""
    return f"{value} ({when}), beyond its limit{again}: {must}"


def _must(kpi: KpiCommon, guard: Guard) -> str:
    head = guard.must.rsplit(" ", 1)[0]
    return f"{head} {fmt.value_text(guard.limit, kpi)}" if guard.limit is not None else guard.must


def visible_words(kpi: KpiCommon, visible: Visible) -> str:
    """`Activation: an effect below 4.9 points cannot be seen at D+14`."""
    size = amount(kpi, visible.size, relative=visible.relative, plus=False)
    return f"{kpi.title}: an effect below {size} cannot be seen at D+14"


def score_words(kpi: KpiCommon, change: ScoreChange) -> str:
    """`46.0 → 40.1, −5.9 points (−11.0 to −0.8)`, of a share `80.0% → 74.0%, …`; what is missing where it is."""
    before, after, of = change.before, change.after, 100 if kpi.is_rate else 1
    if before.value is None or after.value is None:
        return f"{after.n} answers since launch, {before.n} before: too few to compare."
    unit = "%" if kpi.is_rate else ""
    text = f"{fmt.number(before.value * of, 1)}{unit} → {fmt.number(after.value * of, 1)}{unit}"
    if change.change is None or change.low is None or change.high is None:
        return f"{text}; too few answers for an interval"
    plain = [fmt.signed(x * of, 1, plus=True) for x in (change.change, change.low, change.high)]
    return f"{text}: {plain[0]} points ({plain[1]} to {plain[2]}), {score_verdict(change)}"


def score_verdict(change: ScoreChange) -> str:
    """`down`, `up`, `not clear with so few answers`."""
    return {str(Words.UP): "up", str(Words.DOWN): "down"}.get(change.words, "not clear with so few answers")
