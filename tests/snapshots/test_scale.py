"""The height of a chart: what is small looks small, what is drawn has a place, and the labels are true."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metrics.presentation.format import duration_text
from metrics.snapshots.document import Line, Point
from metrics.snapshots.formats.charts import BOTTOM, HIGH, TOP, WIDE, chart, measured, spark
from metrics.snapshots.formats.scale import NOISES, RATE, SCORE, SHARE, Scale, scale
from tests.sampling import sampled


def text_of(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "percent":
        return f"{value * 100:.1f}%".replace("-", "−")
    if unit == "seconds":
        return duration_text(value)
    return f"{'$' if unit == 'USD' else ''}{value:,.2f}".replace("$-", "−$").replace("-", "−")


def points(values: list[float | None], unit: str, target: float | None = None) -> tuple[Point, ...]:
    return tuple(
        Point(period=f"2026-{n + 1:02d}-01", name=f"P{n}", value=v, text=text_of(v, unit), target=target)
        for n, v in enumerate(values)
    )


def line(weeks: list[float | None], unit: str = "percent", *, months: Any = (), **more: Any) -> Line:
    """A KPI of weeks that was drawn like this."""
    value, target = weeks[-1] if weeks else None, more.pop("goal", None)
    given: dict[str, Any] = {
        "kpi": "k",
        "label": "A KPI",
        "owner": "",
        "description": "",
        "unit": unit,
        "in_points": unit == "percent",
        "grain": "week",
        "period": "2026-06-01",
        "period_text": "1–7 Jun",
        "value": value,
        "text": text_of(value, unit),
        "status": "on_track",
        "status_label": "On track",
        "why": "",
        "sentence": "",
        "definition": "",
        "counted": "",
        "weeks": points(weeks, unit, target),
        "months": points(list(months), unit),
    }
    return Line(**{**given, **more})


def of(shown: Line) -> Scale:
    found = scale(shown, shown.weeks, home=True)
    assert found is not None
    return found


shares = st.lists(st.floats(0, 1), min_size=1, max_size=12)
amounts = st.lists(st.floats(-1e9, 1e9, allow_nan=False).map(lambda v: round(v, 3)), min_size=1, max_size=12)


def test_four_tenths_of_a_point_are_no_crash() -> None:
    """99.6% to 99.2%, as a chart from the least to the greatest value would drop from the top to the foot."""
    fell = of(line([0.996, 0.996, 0.992]))
    assert fell.share(0.996) - fell.share(0.992) <= 0.1 and fell.high == 1.0
    quiet = of(line([0.996, 0.996, 0.992], low=0.9955, high=0.9965, ranged=True))
    assert 0.5 < quiet.share(0.996) - quiet.share(0.992) < 1, "for a KPI that never moves it is a lot"


@sampled(fast=60, slow=600, full=6000)
@given(shares, st.floats(0, 0.2), st.booleans())
def test_a_change_of_a_rate_takes_no_more_than_its_share(values: list[float], width: float, ranged: bool) -> None:
    middle = values[-1]
    shown = line(list(values), low=middle - width / 2, high=middle + width / 2, ranged=ranged and width > 0)
    least = min(RATE, NOISES * width) if ranged and width > 0 else RATE
    found = of(shown)
    assert found.high - found.low >= least * (1 - 1e-6)
    assert 0 <= found.low <= found.high <= 1, "there is nothing below 0% and above 100%"
    if not ranged or NOISES * width >= RATE:
        assert 0.004 / (found.high - found.low) <= 0.1 + 1e-6


@sampled(fast=60, slow=600, full=6000)
@given(amounts, st.sampled_from(["number", "USD", "seconds"]), st.booleans())
def test_every_value_has_a_place_and_one_percent_is_small(values: list[float], unit: str, score: bool) -> None:
    if unit == "seconds":
        values = [abs(v) for v in values]
    found = of(line(list(values), unit, in_points=score))
    slack = (found.high - found.low) * 1e-6
    assert found.low - slack <= min(values) <= max(values) <= found.high + slack
    greatest = max(map(abs, values))
    if greatest > 0:
        assert 0.01 * greatest / (found.high - found.low) <= 0.1 + 1e-6 or score
    if score and greatest > SCORE:
        assert found.high - found.low >= SCORE * (1 - 1e-6)
    if min(values) >= 0:
        assert found.low >= 0, "an amount does not go below 0"


def told(text: str, unit: str) -> float:
    """The number that a label says."""
    match = re.match(r"^(−?)\$?([\d,.]+)(k|m|bn|%)?(?: (ms|s|min|h|days))?$", text)
    assert match, text
    size = {"k": 1e3, "m": 1e6, "bn": 1e9, "%": 0.01, None: 1.0}[match[3]]
    size *= {"ms": 1e-3, "min": 60.0, "h": 3600.0, "days": 86400.0}.get(match[4] or "", 1.0)
    return (-1 if match[1] else 1) * float(match[2].replace(",", "")) * size


@sampled(fast=80, slow=800, full=8000)
@given(amounts, st.sampled_from(["number", "USD", "seconds", "percent"]))
def test_the_labels_say_the_ends(values: list[float], unit: str) -> None:
    if unit == "percent":
        values = [abs(v) / 1e9 for v in values]
    if unit == "seconds":
        values = [abs(v) for v in values]
    assume(max(map(abs, values)) > 0.05)
    found = of(line(list(values), unit))
    for end, text in ((found.low, found.low_text), (found.high, found.high_text)):
        assert told(text, unit) == pytest.approx(end, rel=1e-6, abs=(found.high - found.low) * 1e-6), (text, end)
    assert found.low_text != found.high_text


@sampled(fast=40, slow=400, full=4000)
@given(
    st.lists(st.none() | st.floats(0, 1), max_size=6),
    st.lists(st.none() | st.floats(0, 1), max_size=12),
    st.floats(0, 1),
)
def test_charts_of_any_weeks_and_months_are_drawn_inside_of_their_frame(
    weeks: list[float | None], months: list[float | None], goal: float
) -> None:
    shown = line(weeks, months=months, goal=goal)
    drawn = chart(shown)
    known = [v for v in (*weeks, *months) if v is not None]
    assert bool(drawn) == bool(known)
    if not known:
        assert spark(shown) == ""
        return
    places = [(float(x), float(y)) for x, y in re.findall(r"[ML](\d+(?:\.\d+)?) (\d+(?:\.\d+)?)(?=h0|L|M|\")", drawn)]
    assert all(0 <= x <= WIDE and 0 <= y <= HIGH for x, y in places)
    dots = re.findall(r"M\d+ ([\d.]+)h0", drawn)
    assert all(TOP <= float(y) <= BOTTOM for y in dots) and len(dots) == len(known)
    ends = {(of.low_text, of.high_text) for _, of in measured(shown)}
    assert len(ends) == 1, "a rate has one scale for weeks and months"
    for text in next(iter(ends)):
        assert f">{text}</text>" in drawn, "the scale is told"


def test_a_gap_is_a_gap_and_not_a_line() -> None:
    drawn = chart(line([0.5, None, 0.6, 0.7]))
    assert re.search(r'd="M[\d. ]+M[\d. ]+L[\d. ]+" stroke="#6366f1" stroke-width="2"', drawn)


def test_the_usual_range_and_a_near_target_have_a_place_a_far_one_has_not() -> None:
    held = of(line([0.42, 0.41], low=0.36, high=0.47, ranged=True, goal=0.40))
    assert held.low <= 0.36 and held.high >= 0.47
    assert of(line([0.42, 0.41], goal=0.45)).holds(0.45) and not of(line([0.42, 0.41], goal=0.9)).holds(0.9)


def test_amounts_have_their_own_height_by_week_and_month() -> None:
    shown = line([100.0, 110.0], "number", months=[400.0, 450.0], grain="week")
    first, second = (found for _, found in measured(shown))
    assert first.high < second.low
    assert first.high - first.low >= SHARE * 110


def test_the_small_line_never_contradicts_the_number_beside_it() -> None:
    """A day's value beside weeks is a dot; a count of a day is of another size, and has no line."""
    assert "M" in spark(line([0.99, 0.99])) and 'stroke-width="5"' not in spark(line([0.99, 0.99]))
    daily = line([0.994, 0.995], grain="day", value=0.985, text="98.5%")
    assert 'stroke-width="5"' in spark(daily)
    assert spark(line([169.0, 171.0], "number", grain="day", value=17.0, text="17")) == ""
    assert spark(line([2.0, 2.2], "seconds", grain="day", value=2.7, text="2.70 s")) != ""
