"""Seven days' people at the end of each week: counted by week from rows, and equal to windows told apart day by day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.engine.query import Filter
from tests.conftest import Builder
from tests.sampling import sampled

FIRST = date(2026, 1, 7)  # a Wednesday
PLANS = ("pro", "free")


def by_hand(rows: pd.DataFrame, week: date, last: date) -> int:
    """People of the seven days up to a week's last day, or up to the last day that was observed."""
    end = min(week + timedelta(days=6), last)
    days = rows["at"].dt.date
    return int(rows[(days > end - timedelta(days=7)) & (days <= end)]["who"].nunique())


@sampled(fast=4, slow=12, full=600, shrink=False)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 45), st.integers(0, 6), st.sampled_from(PLANS)), min_size=1, max_size=60, unique=True
    ),
    sunday=st.booleans(),
    span=st.tuples(st.integers(-9, 30), st.integers(1, 40)),
)
def test_the_people_of_weeks_are_those_of_their_seven_days(
    rows: list[tuple[int, int, str]], sunday: bool, span: tuple[int, int]
) -> None:
    frame = pd.DataFrame(
        [
            {"at": pd.Timestamp(FIRST) + pd.Timedelta(days=d, hours=9), "who": w, "plan": p}
            for d, w, p in [*rows, *((20, 6, plan) for plan in PLANS)]
        ]
    )
    now = datetime(2026, 2, 22, 4, tzinfo=UTC)
    with TemporaryDirectory() as folder:
        project = Builder(Path(folder) / "project")
        project.settings(f"timezone: UTC\nweek_start: {'sunday' if sunday else 'monday'}\n")
        project.rows("visits", frame, entity="who", dimensions="[plan]", watermark="whole_days")
        project.kpi("wau", "dataset: visits\nagg: count_distinct\nexpr: who\nwindow: 7 days\ngrains: [day, week]")
        project.sync(now=now)
        asked: dict[str, Any] = {
            "grain": "week",
            "start": FIRST + timedelta(days=span[0]),
            "end": FIRST + timedelta(days=sum(span)),
        }
        same = ["period", "segment", "value", "n", "complete"]
        for by in (None, "plan"):
            known = project.ask("wau", by=by, **asked)
            found = project.ask("wau", by=by, facts=True, **asked)
            assert (known.level, found.level) == ("stored", "facts")
            kept = known.frame["segment"].isin(found.frame["segment"])
            assert not known.frame.loc[~kept, "value"].gt(0).any()  # stored ones name segments without rows, too
            mine, theirs = (
                f[same].sort_values(["segment", "period"], ignore_index=True) for f in (found.frame, known.frame[kept])
            )
            pd.testing.assert_frame_equal(mine, theirs)
        pro = project.ask("wau", where=(Filter("plan", ("pro",)),), **asked).frame
    last = frame["at"].max().date()
    weeks = pro[pro["n"].notna()]
    assert [int(v) for v in weeks["value"]] == [
        by_hand(frame[frame["plan"] == "pro"], at.date(), last) for at in weeks["period"]
    ]


def test_a_mean_of_days_is_still_of_all_days(project: Builder) -> None:
    """Only the last of a week's days can be counted by week."""
    at = pd.to_datetime(["2026-01-05", "2026-01-06", "2026-01-14"])
    project.rows("visits", pd.DataFrame({"at": at, "who": [1, 2, 1]}), entity="who", watermark="whole_days")
    kpi = "dataset: visits\nagg: count_distinct\nexpr: who\nwindow: 7 days\nperiod_agg: mean\ngrains: [day, week]"
    project.kpi("wau", kpi)
    project.sync(now=datetime(2026, 1, 20, tzinfo=UTC))
    found = project.ask("wau", grain="week", facts=True, start=date(2026, 1, 5), end=date(2026, 1, 12)).frame
    assert found["value"].iloc[0] == pytest.approx((1 + 2 * 6) / 7)
