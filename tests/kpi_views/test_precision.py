"""Numbers that stand beside each other never contradict each other, in any format of a KPI."""

from __future__ import annotations

import math
import random
import re
from functools import cache
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from jobs.project.project import open_project
from metrics.alerts.board import value_and_expected
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.types.simple import Simple
from metrics.kpi_views.status import status_of
from metrics.launches import words
from metrics.launches.guardrail import Guard
from metrics.launches.reading import Reading
from metrics.presentation import format as fmt
from metrics.presentation.precision import same
from tests.conftest import ROOT
from tests.sampling import sampled

FORMATS = ("number", "percent", "currency USD", "currency JPY", "currency CHF", "duration", "#,##0", "0.0", "0%")
MORE = ("0.0%", "0.00 pts", "$#,##0", "#,##0.0 MB", "0")
UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400, "k": 1e3, "m": 1e6, "bn": 1e9}


def kpi(**keys: Any) -> KpiCommon:
    return Simple.model_validate({"name": "x", "dataset": "d", "agg": "count", **keys})


def random_kpis() -> list[KpiCommon]:
    """Of 40 random projects: their formats, directions and ways to tell a change."""
    dice = random.Random(20261123)
    found = []
    for _ in range(40):
        decimals = dice.randint(0, 3)
        pattern = dice.choice(["#,##0", "0"]) + (f".{'0' * decimals}" if decimals else "")
        pattern = dice.choice(["", "$", "about "]) + pattern + dice.choice(["", "%", " pts", " GB"])
        form = dice.choice([*FORMATS, *MORE, pattern, pattern])
        directions, deltas = ["up_is_good", "down_is_good"], [None, "relative", "points"]
        found.append(kpi(format=form, direction=dice.choice(directions), delta=dice.choice(deltas)))
    return found


@cache
def kpis() -> tuple[KpiCommon, ...]:
    """Those of the demo, and random ones."""
    own = open_project(ROOT / "metrics" / "definitions").catalogue().kpis.values()
    assert len(own) > 10
    return (*own, *random_kpis())


def read(text: str) -> float:
    """The number that somebody reads: `$64.7k` is 64,700, `−1.5 min` is −90; percents and points are left as such."""
    found = re.search(rf"(?P<minus>{fmt.MINUS}?)[^\d{fmt.MINUS}]*(?P<digits>\d[\d,]*(?:\.\d+)?) ?(?P<unit>\w*)", text)
    assert found is not None, text
    number = float(found["digits"].replace(",", "")) * UNITS.get(found["unit"], 1)
    return -number if found["minus"] else number


def pairs() -> some.SearchStrategy[tuple[float, float]]:
    """Two values, far apart, close, very close, or equal; also around 0 and where a shorter form begins."""
    sizes = some.one_of(
        some.floats(0.0001, 2, allow_nan=False),
        some.floats(0.01, 1e7),
        some.sampled_from([1e-7, 0.0004, 0.05, 0.99, 1, 59.99, 90, 999.9, 1000, 9_999.6, 64_700, 99_999, 999_960, 1e9]),
    )
    values = some.builds(lambda size, sign: size * sign, sizes, some.sampled_from([1, 1, 1, -1]))
    steps = some.builds(lambda e, s: 1 + s * 10.0**-e, some.integers(1, 8), some.sampled_from([1, -1]))
    near = some.builds(lambda v, step: v * step, values, steps)
    apart = some.one_of(values, some.just(0.0))
    close = some.builds(lambda v, step: (v, v * step), values, steps)
    return some.one_of(close, some.tuples(apart, apart), some.tuples(near, apart), apart.map(lambda v: (v, v)))


def some_kpi() -> some.SearchStrategy[KpiCommon]:
    return some.integers(0, 200).map(lambda n: kpis()[n % len(kpis())])


def in_order(texts: tuple[str, str], values: tuple[float, float]) -> None:
    """Equal values read the same, others differently and the right way round; only nothing reads as 0."""
    first, second = map(read, texts)
    if same(*values):
        assert texts[0] == texts[1]
    else:
        assert (first < second) == (values[0] < values[1]) and not math.isclose(first, second, rel_tol=1e-11), texts
    for text, number, value in zip(texts, (first, second), values, strict=True):
        assert (number == 0) == same(value, 0.0), (text, value)


@sampled(fast=300, slow=2000, full=20000)
@given(item=some_kpi(), values=pairs(), compact=some.booleans())
def test_values_in_one_sentence_read_as_they_are(item: KpiCommon, values: tuple[float, float], compact: bool) -> None:
    first, second = fmt.value_texts(values, item, compact=compact)
    in_order((first, second), values)
    for value in values:
        assert (read(fmt.value_text(value, item, compact=compact)) == 0) == same(value, 0.0)


@sampled(fast=200, slow=2000, full=20000)
@given(item=some_kpi(), values=pairs(), compact=some.booleans())
def test_a_change_is_none_only_where_there_is_none(item: KpiCommon, values: tuple[float, float], compact: bool) -> None:
    before, value = values
    text = fmt.change_text(value, before, item, compact=compact)
    if text.startswith("from "):
        first, last = text.removeprefix("from ").split(" to ")
        in_order((first, last), values)
        return
    assert (text[0] == "±") == (read(text) == 0) == same(value, before), text
    assert same(value, before) or (text[0] == "+") == (value > before)
    if not item.changes_in_points:
        assert (text == f"{fmt.MINUS}100.0%") == same((value - before) / before, -1.0)


@sampled(fast=200, slow=2000, full=20000)
@given(item=some_kpi(), values=pairs())
def test_gaps_and_reasons_never_contradict_the_status(item: KpiCommon, values: tuple[float, float]) -> None:
    value, bound = values
    gap = fmt.gap_text(value, bound, item)
    if same(value, bound):
        assert gap == "on target"
    else:
        assert read(gap) != 0 and gap.endswith("over target" if value > bound else "under target")
    sign = "<" if item.direction == "up_is_good" else ">"
    limited = item.model_copy(update={"thresholds": thresholds(sign, bound)})
    status = status_of(limited, value, None)
    found = re.fullmatch(r"(.+) is (below|above) (.+)\.", status.why)
    if found:
        in_order((found[1], found[3]), values)
        assert (read(found[1]) < read(found[3])) == (found[2] == "below") == (sign == "<")
    else:
        assert status.slug == "on_track" or (same(value, bound) and status.why.endswith("is at its limit."))
    against = status_of(item.model_copy(update={"thresholds": None}), value, bound)
    assert (against.slug == "off_track") <= (not same(value, bound))


def thresholds(sign: str, bound: float) -> Any:
    from metrics.catalog.models.values import Threshold, Thresholds

    limit = Threshold(operator=sign, number=bound, text=f"{sign} {bound}")
    return Thresholds.model_construct(critical=limit, warning=None)


@sampled(fast=200, slow=2000, full=20000)
@given(item=some_kpi(), values=pairs())
def test_alerts_and_launches_say_what_differs(item: KpiCommon, values: tuple[float, float]) -> None:
    value, limit = values
    shown, expected = value_and_expected(item, value, limit)
    side = " or more" if value < limit else " or less"
    assert expected.endswith(side)
    in_order((shown, expected.removesuffix(side)), values)
    at = pd.Timestamp("2026-11-22")
    told = words.guard_words(item, Guard("x", False, "must stay below 1", limit, value, at, at), 2026)
    assert told.startswith(f"{shown} (") and told.endswith(f"must stay below {expected.removesuffix(side)}")
    low, high = sorted(values)
    reading = Reading("x", 7, at.date(), at.date(), "moved up", effect=(low + high) / 2, low=low, high=high)
    ends = re.fullmatch(r"(.+) to (.+)", words.interval(item, reading))
    assert ends is not None
    in_order((ends[1], words.bare(ends[2])), (low, high))


@pytest.mark.parametrize(
    ("form", "values", "texts"),
    [
        ("percent", (0.0499, 0.05), ["4.99%", "5.00%"]),
        ("percent", (0.0004, 0.4), ["0.04%", "40.0%"]),
        ("currency USD", (64_712.4, 64_712.9), ["$64,712", "$64,713"]),
        ("currency USD", (-1234.2, -1234.4), [f"{fmt.MINUS}$1,234.2", f"{fmt.MINUS}$1,234.4"]),
        ("$#,##0", (-5, 5), [f"{fmt.MINUS}$5", "$5"]),
        ("currency JPY", (950, 951), ["¥950", "¥951"]),
        ("duration", (5399.0, 5400.0), ["89.98 min", "1.500 h"]),
        ("number", (38, 38.004), ["38", "38.004"]),
    ],
)
def test_precision_grows_until_they_differ(form: str, values: tuple[float, float], texts: list[str]) -> None:
    assert fmt.value_texts(values, kpi(format=form)) == texts


def test_short_amounts_are_written_out_where_they_would_read_the_same() -> None:
    item = kpi(format="currency USD")
    assert fmt.value_texts((64_700, 64_740), item, compact=True) == ["$64.70k", "$64.74k"]
    assert fmt.value_texts((64_712, 64_713), item, compact=True) == ["$64,712", "$64,713"]
    assert fmt.value_text(999_960, item, compact=True) == "$1.0m"


def test_small_rates_shares_and_counts() -> None:
    rate = kpi(format="percent")
    assert fmt.change_text(0.0503, 0.05, rate) == "+0.03 points" and fmt.change_text(0.05, 0.05, rate) == "±0.0 points"
    assert (
        fmt.change_text(0.06, 0.05, rate) == "+1.0 point" and fmt.gap_text(0.06, 0.05, rate) == "1.0 point over target"
    )
    assert fmt.gap_text(99.99, 100, kpi()) == "0.01% under target"
    assert [fmt.share_text(x) for x in (0, 0.0004, 0.994, 0.9996, 1)] == ["0%", "0.04%", "99%", "99.96%", "100%"]


def test_what_nobody_would_speak_of_is_known_at_the_usual_precision() -> None:
    whole = kpi(format="0%")
    assert fmt.alike(0.4012, 0.4031, whole) and not fmt.alike(0.4012, 0.41, whole)
    assert [fmt.slight(x, whole) for x in (0.0, 0.0004, -0.0004, 0.003)] == [True, True, True, False]
    assert fmt.slight(0.004, kpi()) and not fmt.slight(0.01, kpi())


@pytest.mark.parametrize(
    ("day", "year", "text"),
    [
        ("2020-12-28", 2026, "28 Dec 2020 – 3 Jan 2021"),
        ("2026-10-26", 2026, "26 Oct – 1 Nov"),
        ("2026-11-16", 2026, "16–22 Nov"),
        ("2020-11-16", 2026, "16–22 Nov 2020"),
    ],
)
def test_a_range_has_spaces_where_its_sides_have(day: str, year: int, text: str) -> None:
    assert fmt.period_text(pd.Timestamp(day), "week", year) == text


def test_what_is_small_is_no_zero_and_what_is_whole_gets_room() -> None:
    """A gap of 1e-10 is not `0 over target`; a whole number beside one near it is written out where it is short."""
    number = kpi(format="number")
    assert fmt.value_text(1e-10, number) == "0.0000000001"
    assert fmt.value_text(38.00000000000001, number) == "38"
    assert not fmt.gap_text(-1e-7, -1.001e-7, number).startswith("0 ")
    assert fmt.value_texts((152601.0, 152600.847399), number, compact=True)[0] == "152,601"
