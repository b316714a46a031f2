"""What a scorecard says, in words: the same on the page, in exports and in messages."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.errors import counted
from metrics.catalog.models.kpi import KpiCommon
from metrics.launches.guardrail import Guard
from metrics.launches.impact import PLACEBOS, Words
from metrics.launches.proposed_control import ProposedControl
from metrics.launches.readiness import Visible
from metrics.launches.reading import Reading
from metrics.launches.voice import ScoreChange
from metrics.presentation import format as fmt

ASSUMPTIONS = (
    "Without the launch, trend and weekday shape would have gone on as before.",
    "Nothing else changed the KPI in the same days; what is known to have is listed below.",
)
SPOKEN = {True: "good", False: "bad", None: "quiet"}  # whether a reading is good → its slug
FEWEST_ADOPTERS, MOST_ADOPTERS = 0.1, 0.95  # of the audience: below, an effect of each of them is a guess
HARDLY = 0.05  # a weight of a control that is as good as none
EVENT = 0.5  # from how likely on it is said that something moved the control, too
CONTROL = "The launch did not touch the control, and what moves one moves the other."


def amount(kpi: KpiCommon, value: float | None, *, relative: bool, plus: bool = True) -> str:
    """An effect: `+4.6 points` of rates and scores, `+8.4%` of others where relative, else in the KPI's unit."""
    return amounts(kpi, (value,), relative=relative, plus=plus)[0]


def amounts(kpi: KpiCommon, values: Sequence[float | None], *, relative: bool, plus: bool = True) -> list[str]:
    """Effects in one sentence."""
    if relative and all(value is not None for value in values):
        return fmt.percent_texts([value for value in values if value is not None], plus=plus)
    return fmt.difference_texts(values, kpi, plus=plus)


def bare(text: str) -> str:
    """An end of an interval, without its unit where that follows."""
    return text.removesuffix(" points").removesuffix(" point")


def verdict(kpi: KpiCommon, reading: Reading) -> str:
    """`moved up 4.6 points (+0.5 to +9.1)`; `no clear change: an effect smaller than 4.1 points cannot be seen`."""
    if not reading.verdict:
        return reading.why
    if reading.verdict == Words.UNCLEAR:
        small = amount(kpi, reading.smallest, relative=reading.relative, plus=False)
        return f"{reading.verdict}: smaller than {small} cannot be seen"
    effect, low, high = amounts(kpi, (reading.effect or 0.0, reading.low, reading.high), relative=reading.relative)
    size = effect.lstrip(f"+±{fmt.MINUS}")
    return f"{reading.verdict} by {size} ({bare(low)} to {high})"


def sentence(kpi: KpiCommon, reading: Reading, hoped: str = "") -> str:
    """`Activation is up 4.6 points (+0.5 to +9.1), as hoped.` hoped: beside the wish, in words."""
    if not reading.verdict:
        return f"{kpi.title}: {reading.why}"
    if reading.verdict == Words.UNCLEAR:
        small = amount(kpi, reading.smallest, relative=reading.relative, plus=False)
        return f"{kpi.title} shows no clear change: an effect below {small} cannot be seen."
    effect, low, high = amounts(kpi, (reading.effect or 0.0, reading.low, reading.high), relative=reading.relative)
    size, way = effect.lstrip(f"+±{fmt.MINUS}"), "up" if reading.verdict == Words.UP else "down"
    return f"{kpi.title} is {way} {size} ({bare(low)} to {bare(high)}){f', {hoped}' if hoped else ''}."


def between(kpi: KpiCommon, before: Reading, now: Reading) -> str:
    """What changed from one reading to the next: `since D+7: +4.9 → +4.6 points, ±4.7 → ±4.3`; empty without both."""
    known = (before.effect, now.effect, before.smallest, now.smallest)
    if not (before.verdict and now.verdict) or before.relative != now.relative or None in known:
        return ""
    was, effect = amounts(kpi, known[:2], relative=now.relative)
    wide, narrow = amounts(kpi, known[2:], relative=now.relative, plus=False)
    return f"since D+{before.days}: {bare(was)} → {effect}, ±{bare(wide)} → ±{bare(narrow)}"


def per_adopter(kpi: KpiCommon, reading: Reading, share: float | None) -> str:
    """The effect on those who used it, if it is all theirs. share: who had used it, 0..1, on average since launch.

    Empty where there is no clear effect, nearly nobody used it, or nearly everybody did.
    """
    if reading.verdict not in (Words.UP, Words.DOWN) or share is None or not FEWEST_ADOPTERS <= share <= MOST_ADOPTERS:
        return ""
    ends = tuple(end / share for end in (reading.effect, reading.low, reading.high) if end is not None)
    effect, low, high = amounts(kpi, ends, relative=reading.relative)
    return (
        f"On average {fmt.share_text(share)} had used it. If nobody else was touched, and both were alike before, "
        f"it is {effect} for those who did ({bare(low)} to {bare(high)})."
    )


def interval(kpi: KpiCommon, reading: Reading) -> str:
    """`+0.5 to +9.1 points`."""
    low, high = amounts(kpi, (reading.low, reading.high), relative=reading.relative)
    return f"{bare(low)} to {high}"


def levels(kpi: KpiCommon, reading: Reading) -> str:
    """`43.7% against 39.1% expected, 13 Sep to 10 Oct`."""
    if reading.level is None or reading.expected is None:
        return ""
    expected = max(0.0, reading.expected) if kpi.is_rate else reading.expected
    level, without = fmt.value_texts((reading.level, expected), kpi)
    return f"{level} against {without} expected"


def calibration(reading: Reading) -> str:
    """How often the method was wrong where nothing was launched."""
    if not reading.verdict:
        return ""
    if reading.factor is None:
        return f"Uncalibrated: {reading.placebos} of {counted(PLACEBOS, 'earlier week')} could be tested."
    wider = f", so the interval is {fmt.number(reading.factor, 2)} times as wide" if reading.factor > 1 else ""
    return f"False alarms: {reading.cried} in {counted(reading.placebos, 'past week')} without a launch{wider}."


def sampling(kpi: KpiCommon, reading: Reading) -> str:
    """`Sampling alone: ±2.6 points.`; and whether the interval was widened to it. Empty where it is not known."""
    if not reading.verdict or not reading.sampling:
        return ""
    half = amount(kpi, reading.sampling, relative=reading.relative, plus=False)
    return f"Sampling alone: ±{half}{', so the interval is no narrower' if reading.floor else ''}."


def compared(reading: Reading) -> str:
    """Who is held against whom."""
    if not reading.verdict:
        return ""
    who = reading.treated[:1].upper() + reading.treated[1:]
    text = f"{who} against {reading.control}." if reading.control else f"{who}, before and after."
    text += weights(reading)
    if reading.exposure < 0.995:
        text += f" On average {fmt.share_text(reading.exposure)} had it, so this is the effect as rolled out."
    return text


def weights(reading: Reading) -> str:
    """` Of what moves the control, 0.62 is taken off: as far as the two moved together before.`; empty without one."""
    if not reading.weights:
        return ""
    if len(reading.weights) == 1 and reading.weights[0] < HARDLY:
        text = " Of what moves the control, next to nothing is taken off"
    elif len(reading.weights) == 1:
        text = f" Of what moves the control, {reading.weights[0]:.2f} is taken off"
    else:
        parts = [f"{weight:.2f} of {name}" for name, weight in zip(reading.controls, reading.weights, strict=True)]
        text = f" Of their moves, what is taken off is {', '.join(parts[:-1])} and {parts[-1]}"
    if reading.event > EVENT:
        return f"{text}: something moved the control on the very day, too, and that counts whole."
    return f"{text}: as far as they moved together before."


def proposed(kpi: KpiCommon, found: ProposedControl) -> str:
    """What a control that its file does not name would make of a launch's KPI, and how to name it."""
    parts = [f"{name} ({part:.2f})" for name, part in zip(found.names, found.mix, strict=True)]
    text = f"{kpi.title}: held against {', '.join(parts)}, the interval would be {found.narrower:.2f} times as wide"
    reading = found.reading
    if reading is None:
        return f"{text}. {_taking(found)}"
    text = f"{text} and D+{reading.days} would read: {verdict(kpi, reading)}."
    if found.left_out is not None:
        low, high = amounts(kpi, found.left_out, relative=reading.relative)
        text += f" Without one of them at a time the effect is {bare(low)} to {high}."
    if found.others:
        many = "one of them" if found.as_much == 1 else f"{found.as_much} of them" if found.as_much else "none of them"
        text += f" Of {counted(found.others, 'series', 'series')} that it did not reach, {many} moved as much."
    return f"{text} {_taking(found)}"


def _taking(found: ProposedControl) -> str:
    """The line of the file."""
    one = len(found.controls) == 1
    line = f"control: {found.controls[0]}" if one else f"controls: [{', '.join(found.controls)}]"
    return f"It is chosen by the time before the launch only; the verdict stays without it unless the file says: {line}"


def guard_words(kpi: KpiCommon, guard: Guard, this_year: int) -> str:
    """`2.65 s on Sun 22 Nov, beyond its limit since Wed 18 Nov (must stay below 2.6)`."""
    if guard.holds is None or guard.period is None:
        return guard.why
    value, limit = fmt.value_texts((guard.value, guard.limit), kpi)
    must = f"{guard.must.rsplit(' ', 1)[0]} {limit}" if guard.limit is not None else guard.must
    when = fmt.period_text(guard.period, kpi.grain, this_year)
    if guard.holds:
        return f"{value} ({when}): {must}"
    since = fmt.period_text(guard.since, kpi.grain, this_year) if guard.since is not None else ""
    again = f", since {since}" if since and since != when else ""
    return f"{value} ({when}), beyond its limit{again}: {must}"


def visible_words(kpi: KpiCommon, visible: Visible) -> str:
    """`Activation: an effect below 4.9 points cannot be seen at D+14`."""
    size = amount(kpi, visible.size, relative=visible.relative, plus=False)
    return f"{kpi.title}: an effect below {size} cannot be seen at D+14"


def score_words(kpi: KpiCommon, change: ScoreChange) -> str:
    """`46.0 → 40.1, −5.9 points (−11.0 to −0.8)`, of a share `80.0% → 74.0%, …`; what is missing where it is."""
    before, after, of = change.before, change.after, 100 if kpi.is_rate else 1
    if before.value is None or after.value is None:
        return f"{counted(after.n, 'answer')} since launch, {before.n:,} before: too few to compare."
    unit = "%" if kpi.is_rate else ""
    text = " → ".join(f"{level}{unit}" for level in fmt.numbers((before.value, after.value), 1, scale=of))
    if change.change is None or change.low is None or change.high is None:
        return f"{text}; too few answers for an interval"
    moved, low, high = fmt.points_texts((change.change, change.low, change.high), scale=of)
    return f"{text}: {moved} ({bare(low)} to {bare(high)}), {score_verdict(change)}"


def score_verdict(change: ScoreChange) -> str:
    """`down`, `up`, `not clear with so few answers`."""
    return {str(Words.UP): "up", str(Words.DOWN): "down"}.get(change.words, "not clear with so few answers")
