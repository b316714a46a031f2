"""Where a change sits: parts that add up, and words only where a segment stands out."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from metrics.engine import drivers
from tests.sampling import SEED, cases

SPLITS = cases(fast=200, slow=2000, full=20_000)


@pytest.mark.sampled(SPLITS)
def test_parts_add_up_with_new_and_gone_segments() -> None:
    random = np.random.default_rng(SEED)
    for _ in range(SPLITS):
        names = [f"s{i}" for i in range(random.integers(1, 12))]
        frames = []
        for _ in range(2):
            chosen = [n for n in names if random.random() > 0.2] or names[:1]
            size = random.integers(1, 1000, len(chosen)).astype(float)
            frames.append(
                pd.DataFrame({"numerator": size * random.random(len(chosen)), "denominator": size}, index=chosen)
            )
        before, after = frames
        split = drivers.ratio("d", before, after)
        totals = [f["numerator"].sum() / f["denominator"].sum() for f in frames]
        assert sum(p.change for p in split.parts) == pytest.approx(totals[1] - totals[0], abs=1e-9)
        assert all(p.change == pytest.approx(p.rate + p.mix, abs=1e-12) for p in split.parts)
        split = drivers.additive("d", before["numerator"], after["numerator"])
        assert sum(p.change for p in split.parts) == pytest.approx(
            after["numerator"].sum() - before["numerator"].sum(), abs=1e-9
        )
        assert sum(p.weight for p in split.parts) == pytest.approx(1)


def test_rate_and_mix_by_hand() -> None:
    """Two halves at 10% and 30%; the first falls to 0%: all of the change is its rate."""
    before = pd.DataFrame({"numerator": [10.0, 30.0], "denominator": [100.0, 100.0]}, index=["a", "b"])
    after = pd.DataFrame({"numerator": [0.0, 30.0], "denominator": [100.0, 100.0]}, index=["a", "b"])
    split = drivers.ratio("d", before, after)
    assert [(p.segment, p.rate, p.mix) for p in split.parts] == [("a", pytest.approx(-0.05), 0.0), ("b", 0.0, 0.0)]
    assert split.held == 1 and drivers.share_of_change(split, split.parts[0]) == pytest.approx(1)
    assert math.isnan(drivers.ratio("d", before * 0, after).change)
