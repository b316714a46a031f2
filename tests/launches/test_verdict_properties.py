"""What must hold of a verdict whatever the KPI: units, growth, mirror images, other launches, worlds of people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.launch_worlds.table import answers
from benchmarks.launch_worlds.worlds import AFTER, KINDS, NOISES, world
from metrics.launches.impact import PLACEBO_BEFORE, PLACEBOS, Impact, Panel, Words, _Series, impact
from tests.conftest import known
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(4)

FIRST = 320
NUMBERS = ("effect", "low", "high", "raw_low", "raw_high")


def measured(p: Panel, first: int = FIRST, after: int = AFTER) -> Impact:
    index = p.treated.index
    return known(impact(p, index[first], index[first] + pd.Timedelta(days=after)))


def noise(rng: np.random.Generator, days: int, memory: float = 0.4) -> np.ndarray:
    found = rng.normal(0, 1, days)
    for i in range(1, days):
        found[i] += memory * found[i - 1]
    week = np.array([0.5, 0.2, 0.0, -0.3, 0.4, -2.0, -1.5])
    return np.asarray(found + week[np.arange(days) % 7])


def panel(treated: np.ndarray, starts: tuple[int | None, ...], controls: np.ndarray | None = None) -> Panel:
    """Columns of `treated` (t, segment) that get it at `starts`; None = never."""
    index = pd.date_range("2025-01-06", periods=len(treated), freq="D")
    day = np.arange(len(treated))
    share = {f"s{i}": (day >= at) * 1.0 if at is not None else day * 0.0 for i, at in enumerate(starts)}
    others = pd.DataFrame(index=index) if controls is None else pd.DataFrame(controls, index)
    return Panel(pd.DataFrame(treated, index, list(share)), pd.DataFrame(share, index), others, "day")


def close(one: Impact, other: Impact, *, scale: float = 1.0) -> None:
    for name in NUMBERS:
        assert getattr(one, name) == pytest.approx(scale * getattr(other, name), rel=1e-5, abs=1e-7 * scale), name


@pytest.mark.parametrize("starts", [(FIRST,), (FIRST, FIRST + 4), (FIRST, FIRST + 4, None)])
def test_another_unit_or_level_is_the_same_verdict(starts: tuple[int | None, ...]) -> None:
    rng = np.random.default_rng(SEED)
    values = np.column_stack([noise(rng, FIRST + AFTER) for _ in starts])
    values[FIRST:, 0] += 0.8
    found = measured(panel(values, starts))
    close(measured(panel(values + 1000.0, starts)), found)
    close(measured(panel(values * 60.0, starts)), found, scale=60.0)
    turned = measured(panel(-values, starts))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), rel=1e-5)


def test_two_segments_are_one_difference() -> None:
    """Mirror images were counted as two series, whose interval was too narrow by a factor of 1.4."""
    rng = np.random.default_rng(SEED)
    both = noise(rng, FIRST + AFTER)[:, None] + rng.normal(0, 0.5, (FIRST + AFTER, 2))
    close(measured(panel(both, (FIRST, None))), measured(panel(both[:, :1] - both[:, 1:], (FIRST,))))


def test_segments_that_all_got_it_at_once_are_their_mean() -> None:
    """Percentiles by segment cannot be pooled; nothing among them waits."""
    rng = np.random.default_rng(SEED)
    both = noise(rng, FIRST + AFTER)[:, None] + rng.normal(0, 0.5, (FIRST + AFTER, 2))
    mean = measured(panel(both.mean(axis=1, keepdims=True), (FIRST,)))
    together = measured(panel(both, (FIRST, FIRST)))
    close(together, mean)
    np.testing.assert_allclose(together.expected, mean.expected, rtol=1e-6)


def test_a_loud_segment_does_not_drown_the_others() -> None:
    rng = np.random.default_rng(SEED)
    values = rng.normal(0, 1, (FIRST + AFTER, 4))
    calm = measured(panel(values, (FIRST, FIRST + 7, FIRST + 14, None)))
    loud = measured(panel(values * np.array([1, 1, 1, 30.0]), (FIRST, FIRST + 7, FIRST + 14, None)))
    assert loud.raw_high - loud.raw_low < 2.5 * (calm.raw_high - calm.raw_low)


@pytest.mark.parametrize("year", [0.0, 3.0, 12.0, 60.0])
def test_growth_is_no_effect(year: float) -> None:
    """A year's growth in noises of a day, from a new product's to one that multiplies; with 100 days of history too."""
    tried = []
    for seed in range(cases(fast=3, slow=10, full=100)):
        rng = np.random.default_rng([SEED, seed, int(year)])
        for first in (FIRST, 100):
            values = noise(rng, first + AFTER) + year / 365 * np.arange(first + AFTER)
            tried.append(measured(panel(values[:, None], (first,)), first).words != Words.UNCLEAR)
    assert sum(tried) <= 2 + 0.09 * len(tried), (sum(tried), len(tried))


def test_a_year_in_which_growth_ended_is_no_effect() -> None:
    """It grew for two thirds of the history, then no longer: the slope before is not what would have gone on."""
    tried = []
    for seed in range(cases(fast=3, slow=10, full=60)):
        rng, day = np.random.default_rng([SEED, seed]), np.arange(FIRST + AFTER)
        values = noise(rng, FIRST + AFTER) + 0.03 * np.minimum(day, 220)
        tried.append(measured(panel(values[:, None], (FIRST,))).words != Words.UNCLEAR)
    assert sum(tried) <= 1 + 0.1 * len(tried), (sum(tried), len(tried))


def test_the_season_of_a_year_is_no_effect() -> None:
    """It moves by two noises of a day in four weeks where it is steepest; what is left is seen as well as before."""
    wolf, seen, count = 0, 0, cases(fast=3, slow=10, full=60)
    for seed in range(count):
        rng, day = np.random.default_rng([SEED, seed]), np.arange(420 + AFTER)
        values = noise(rng, 420 + AFTER) + 4 * np.sin(2 * np.pi * (day / 365.25 + rng.random()))
        wolf += measured(panel(values[:, None], (420,)), 420).words != Words.UNCLEAR
        seen += measured(panel((values + 1.5 * (day >= 420))[:, None], (420,)), 420).words == Words.UP
    assert wolf <= 1 + 0.1 * count and seen >= 0.6 * count - 1, (wolf, seen, count)


def test_earlier_dates_keep_away_from_other_launches() -> None:
    rng = np.random.default_rng(SEED)
    first = 430
    values = noise(rng, first + AFTER)[:, None]
    values[250:] += 12.0
    plain = panel(values, (first,))
    touched = pd.Series(False, plain.treated.index)
    touched.iloc[250:278] = True
    told = replace(plain, touched=touched)
    dates, enough = _Series(told).placebos(first, AFTER)
    assert enough and len(dates) == PLACEBOS and min(dates) >= PLACEBO_BEFORE["day"]
    assert all(at + AFTER <= 250 or at >= 278 for at in dates)
    blind, seeing = measured(plain, first), measured(told, first)
    assert known(seeing.factor) <= known(blind.factor)
    assert seeing.high - seeing.low < 0.6 * (blind.high - blind.low), "the step of the other launch is no noise"


def test_too_few_untouched_dates_are_uncalibrated() -> None:
    plain = panel(noise(np.random.default_rng(SEED), FIRST + AFTER)[:, None], (FIRST,))
    touched = pd.Series(False, plain.treated.index)
    touched.iloc[100:240] = True
    found = measured(replace(plain, touched=touched))
    assert found.factor is None and 0 < found.placebos < PLACEBOS // 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_worlds_of_people_are_read_as_promised(kind: str) -> None:
    """False alarms and misses of the interval, beyond what chance gives in so few launches, are a defect."""
    count = cases(fast=2, slow=5, full=40)
    wolf, missed, seen, widths = 0, 0, 0, []
    for noises in NOISES:
        for seed in range(count):
            for launched in (False, True):
                made = world(kind, noises, 7_000 + seed, launched=launched)
                found = answers(made)
                low, high = found["Bellwether"]
                wolf += not launched and not low <= 0 <= high
                missed += not low <= made.effect <= high
                seen += launched and low > 0
                widths.append((high - low) / (found["oracle"][1] - found["oracle"][0]))
    tries = len(NOISES) * count
    assert wolf <= 2 + 0.06 * tries + 2 * np.sqrt(0.06 * tries), (wolf, tries)
    assert missed <= 2 + 0.07 * 2 * tries + 2 * np.sqrt(0.14 * tries), (missed, 2 * tries)
    assert seen >= 0.8 * tries - 2 * np.sqrt(0.16 * tries) - 1, (seen, tries)
    assert np.median(widths) <= 1.3
