"""The dashboard workload, all 36 against SQL written by hand (benchmarks/workload.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import workload
from tests.sampling import TIER


def check(scale: str, folder: Path) -> None:
    data = workload.make(scale, folder)
    outcomes = workload.run(workload.load(data, folder), data)
    assert len(outcomes) == 36
    assert {f"{o.kpi} {o.variant}": o.wrong[:2] for o in outcomes if o.wrong} == {}
    assert all(o.rows >= 30 for o in outcomes)


@pytest.mark.slow
def test_thirty_six_queries_equal_sql_by_hand(tmp_path: Path) -> None:
    check("20000", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(TIER != "full", reason="`make prove engine` has it")
def test_thirty_six_queries_equal_sql_by_hand_at_a_million_events(tmp_path: Path) -> None:
    check("1M", tmp_path)
