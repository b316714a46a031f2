"""Few people: segments whose change is chance are no place, and no expected range is narrower than chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from metrics.alerts.change import _detail, _line
from metrics.alerts.expected_range import Scale, expectation
from metrics.alerts.kpi_expectation import expected_of
from metrics.alerts.place import place_in
from metrics.alerts.segment_sampling import with_sampling
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Condition, KpiCommon
from metrics.catalog.types.conversion import Conversion
from metrics.catalog.types.simple import Simple
from metrics.catalog.types.survey import Survey
from metrics.engine import drivers
from tests.conftest import Builder
from tests.sampling import SEED, cases

RATE = Conversion(name="rate", type="conversion", dataset="d", conversion=Condition(filter="won"))
COUNT = Simple(name="visits", dataset="d", agg="count")
NPS = Survey(name="nps", type="survey", dataset="d", score="s", format="0")
WEEK = pd.date_range("2026-10-05", periods=7)


def answer(counts: dict[str, np.ndarray], hits: dict[str, np.ndarray] | None) -> pd.DataFrame:
    """An engine's answer of some days: rows of each segment and, of a rate, how many of them hit."""
    rows = []
    for segment, number in counts.items():
        for day, n in enumerate(number):
            top = np.nan if hits is None else float(hits[segment][day])
            value = float(n) if hits is None else top / n
            bottom = np.nan if hits is None else float(n)
            rows.append((segment, WEEK[day], value, top, bottom, int(n), True, None))
    names = ["segment", "period", "value", "numerator", "denominator", "n", "complete", "parts"]
    return pd.DataFrame(rows, columns=names)


def drawn(rng: np.random.Generator, sizes: dict[str, float], rates: dict[str, float] | None) -> pd.DataFrame:
    counts = {segment: np.maximum(rng.poisson(size, 7), 1) for segment, size in sizes.items()}
    hits = None if rates is None else {s: rng.binomial(n, rates[s]) for s, n in counts.items()}
    return answer(counts, hits)


@pytest.mark.parametrize("kpi", [RATE, COUNT])
def test_a_segments_change_varies_by_as_much_as_is_told(kpi: KpiCommon) -> None:
    """Two weeks in which nothing happened, again and again: the deviation of each part is what its sampling says."""
    rng = np.random.default_rng((SEED, 1))
    sizes, rates = {"web": 400.0, "ios": 60.0, "tv": 20.0}, {"web": 0.3, "ios": 0.6, "tv": 0.1}
    changes: dict[str, list[tuple[float, float]]] = {}
    wide = cases(fast=35, slow=15, full=10) / 100
    for _ in range(cases(fast=60, slow=600, full=3000)):
        before, after = (drawn(rng, sizes, rates if kpi is RATE else None) for _ in range(2))
        split = drivers.between("platform", before, after, adds_up=kpi is COUNT)
        assert split is not None
        for part in with_sampling(kpi, split, before, after).parts:
            assert part.sampling is not None
            changes.setdefault(part.segment, []).append((part.change, part.sampling))
    for segment, pairs in changes.items():
        change, told = np.array(pairs).T
        assert np.mean(told) == pytest.approx(1.96 * float(np.std(change)), rel=wide), segment
        assert np.mean(np.abs(change) <= told) > 0.85, segment


def test_what_chance_may_have_done_is_no_place_and_is_said_so() -> None:
    counts = {"web": np.full(7, 40), "ios": np.full(7, 40)}
    level = {"web": np.full(7, 20), "ios": np.full(7, 20)}

    def placed(fall: int) -> tuple[drivers.Split, bool]:
        sides = answer(counts, level), answer(counts, {**level, "ios": np.full(7, 20 - fall)})
        bare = drivers.between("platform", *sides, adds_up=False)
        assert bare is not None
        assert place_in(RATE, [bare]) is not None, "without its people it is named"
        split = with_sampling(RATE, bare, *sides)
        return split, place_in(RATE, [split]) is not None

    small, named = placed(1)
    first = small.parts[0]
    assert not named and first.segment == "ios" and first.by_chance
    assert _line(small) == "No segment moved by more than sampling alone gives."
    assert _detail(RATE, small, first).startswith("within ±") and "which sampling alone gives" in _detail(
        RATE, small, first
    )
    large, named = placed(6)
    assert (
        named and not large.parts[0].by_chance and "sampling" not in _line(large) + _detail(RATE, large, large.parts[0])
    )


def test_of_sums_nothing_is_claimed() -> None:
    before, after = (answer({"web": np.full(7, 40.0), "ios": np.full(7, level)}, None) for level in (40.0, 41.0))
    split = drivers.between("platform", before, after, adds_up=True)
    assert split is not None
    spent = Simple(name="spent", dataset="d", agg="sum", expr="v")
    parts = with_sampling(spent, split, before, after).parts
    assert [part.sampling for part in parts] == [None, None] and not any(part.by_chance for part in parts)
    assert replace(parts[0], sampling=2.0).by_chance


@pytest.mark.parametrize("seed", range(cases(fast=3, slow=10, full=60)))
@pytest.mark.parametrize("grain", ["day", "week", "hour"])
def test_an_expected_range_is_never_narrower_than_its_people_allow(project: Builder, grain: str, seed: int) -> None:
    """Series that are quieter than chance, which nobody can promise: small counts, and a score of few answers."""
    rng = np.random.default_rng((SEED, seed))
    size = {"hour": 1200, "day": 150, "week": 80}[grain]
    index = pd.date_range("2026-01-05", periods=size, freq={"hour": "h", "day": "D", "week": "7D"}[grain])
    catalogue = empty(project)
    level = int(rng.integers(4, 15))
    count = level + rng.choice([0.0, 1.0], size, p=[0.7, 0.3])
    kpi = COUNT.model_copy(update={"grain": grain})
    found, _ = expected_of(kpi, catalogue, index, count, count, country="")
    bare = expectation(pd.Series(count, index), grain)
    judged = found.ready & np.isfinite(found.low)
    assert judged.sum() > size / 3
    root = 2 * np.sqrt(found.expected[judged] + 0.375)
    upper = 2 * np.sqrt(found.high[judged] + 0.375)
    share = 0.6 if grain == "hour" else 1.0  # of hours the range is in part that of a plain rolling deviation
    assert (upper - root >= share * found.limit * 0.97).all()
    assert np.nanmean((found.high - found.low)[judged]) > 1.3 * np.nanmean((bare.high - bare.low)[judged])
    score, n = 30 + rng.normal(0, 0.5, size), np.full(size, 80.0)
    found, _ = expected_of(NPS.model_copy(update={"grain": grain}), catalogue, index, score, n, country="")
    judged = found.ready & np.isfinite(found.low)
    least = found.limit * 100 * np.sqrt(0.3 * 0.7 / 80)  # of a score of 30, whatever its classes are
    assert (found.high - found.expected >= share * 0.9 * least)[judged].all()
    assert (found.expected - found.low >= share * 0.9 * 0.5 * least)[judged].all(), "logarithms: less below than above"


def empty(project: Builder) -> Catalogue:
    """A catalogue without launches: nothing keeps quiet."""
    return project.open().catalogue()


def test_large_counts_and_sums_are_judged_as_before(project: Builder) -> None:
    index = pd.date_range("2026-01-05", periods=120)
    count = np.round(500 + 3 * np.sin(np.arange(120.0)))
    for kpi in (COUNT, Simple(name="spent", dataset="d", agg="sum", expr="v")):
        found, _ = expected_of(kpi, empty(project), index, count, count, country="")
        bare = expectation(pd.Series(count, index), "day")
        np.testing.assert_array_equal(found.z, bare.z)
        np.testing.assert_array_equal(found.high, bare.high)
    assert Scale(count, rate=False).kind == "log"
