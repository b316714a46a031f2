"""The dashboard workload, all 36 against SQL written by hand (benchmarks/workload.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import workload
from tests.sampling import TIER


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("scale", ["20000", "1M"] if TIER == "full" else ["20000"])
def test_thirty_six_queries_equal_sql_by_hand(scale: str, tmp_path: Path) -> None:
    """In `make prove engine` over a million events, too."""
    data = workload.make(scale, tmp_path)
    outcomes = workload.run(workload.load(data, tmp_path), data)
    assert len(outcomes) == 36
    assert {f"{o.kpi} {o.variant}": o.wrong[:2] for o in outcomes if o.wrong} == {}
    assert all(o.rows >= 30 for o in outcomes)
