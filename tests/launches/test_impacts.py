"""Impacts are measured by the sync: who opens a page measures nothing, and reads what he would have measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jobs.launches.board import board, page_of, scorecard_dict
from metrics.launches import impact as measuring
from metrics.launches.impact import Impact, Panel, impact
from metrics.launches.impacts import Impacts, digest
from tests.conftest import Builder
from tests.launches.conftest import LAUNCH, WEB, acts, day, launch, product, write_acts

pytestmark = pytest.mark.breadth(1)

DAY = pd.Timedelta(days=1)
GUARDED = f"{WEB}\nguardrails: [{{kpi: acted, limit: '> 10'}}]"


@pytest.fixture
def impacts_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many impacts ran since it was called last."""
    ran = []
    series = measuring._Series

    def counted(panel: Panel) -> measuring._Series:
        ran.append(panel)
        return series(panel)

    def since() -> int:
        count = len(ran)
        ran.clear()
        return count

    monkeypatch.setattr(measuring, "_Series", counted)
    return since


def kept(project: Builder) -> list[Path]:
    return sorted((project.folder / "data" / "generations").glob("*.impacts"))


def everything(project: Builder, now: datetime) -> tuple[object, ...]:
    opened = project.open()
    return page_of(opened, "wizard", now=now), scorecard_dict(opened, "wizard", now=now), board(opened, now=now)


def late(until: int, more: float) -> pd.DataFrame:
    frame = acts(LAUNCH + until * DAY, lift=1.08)
    hit = (frame["platform"] == "web") & (frame["at"] >= LAUNCH) & (frame["at"] < LAUNCH + 3 * DAY)
    frame.loc[hit, "v"] = (frame.loc[hit, "v"] * more).round()
    return frame


def test_a_page_measures_nothing_after_a_sync_and_says_the_same(
    project: Builder, impacts_run: Callable[[], int]
) -> None:
    product(project, late(14, 1.0))
    launch(project, GUARDED)
    project.sync(day(14))
    write_acts(project, late(16, 1.1))
    project.sync(day(16))
    impacts_run()
    found = everything(project, day(16))
    assert impacts_run() == 0
    for path in kept(project):
        path.unlink()
    assert everything(project, day(16)) == found, "measured afresh"
    assert impacts_run() > 4
    readings = found[1]["kpis"][0]["readings"]  # type: ignore[index]
    assert [reading["restated"]["cause"] for reading in readings] == ["late data", "late data"]


def test_a_sync_measures_only_what_is_new(project: Builder, impacts_run: Callable[[], int]) -> None:
    product(project, late(14, 1.0))
    launch(project, WEB)
    project.sync(day(14))
    assert impacts_run() == 6, "D+7 and D+14, for ever; today's look; what each of three readings could see"
    project.sync(day(14, hour=5))
    assert impacts_run() == 0, "nothing new"
    write_acts(project, late(15, 1.0))
    project.sync(day(15))
    first = impacts_run()
    write_acts(project, late(16, 1.0))
    project.sync(day(16))
    assert impacts_run() == 1 < first, "today's look; what was published has been read again the day before"


def test_a_launch_that_is_changed_or_new_is_measured_by_the_next_sync(
    project: Builder, impacts_run: Callable[[], int]
) -> None:
    product(project, late(14, 1.0))
    launch(project, WEB)
    project.sync(day(14))
    launch(project, "on: 2026-09-14\nsuccess: [{kpi: acted}]", "other")
    project.sync(day(14, hour=5))
    impacts_run()
    page_of(project.open(), "other", now=day(14, hour=5))
    page_of(project.open(), "wizard", now=day(14, hour=5))
    assert impacts_run() == 0


def test_they_go_with_their_generation(project: Builder) -> None:
    product(project, late(14, 1.0))
    launch(project, WEB)
    for complete in range(14, 19):
        write_acts(project, late(complete, 1.0))
        project.sync(day(complete))
    names = [path.stem for path in kept(project)]
    assert len(names) == 3 and names == sorted(p.stem for p in kept(project)[0].parent.glob("*.duckdb"))


@pytest.mark.breadth(2)
@pytest.mark.parametrize("text", ["", "{", "[]", '{"impacts": 1}', '{"impacts": {"of another layout": {}}}'])
def test_a_file_that_cannot_be_used_is_measured_again(
    project: Builder, impacts_run: Callable[[], int], text: str
) -> None:
    product(project, late(14, 1.0))
    launch(project, WEB)
    project.sync(day(14))
    found = everything(project, day(14))
    kept(project)[0].write_text(text)
    impacts_run()
    assert everything(project, day(14)) == found and impacts_run() > 0


def panel(seed: int = 1) -> Panel:
    index = pd.date_range("2026-01-05", periods=300, freq="D")
    rng = np.random.default_rng(seed)
    treated = pd.DataFrame({"a": rng.normal(5, 0.1, 300)}, index)
    treated.iloc[100] = np.nan
    exposure = pd.DataFrame({"a": (np.arange(300) >= 270) * 1.0}, index)
    return Panel(treated, exposure, pd.DataFrame({"b": rng.normal(5, 0.1, 300)}, index), "day")


def spoiled(name: str, at: int) -> Panel:
    frame = getattr(panel(), name).copy()
    frame.iloc[at] += 0.5
    return replace(panel(), **{name: frame})


def test_what_is_kept_is_exactly_what_was_measured() -> None:
    p, start, end = panel(), pd.Timestamp("2026-10-02"), pd.Timestamp("2026-10-16")
    known = Impacts({})
    for given in (impact(p, start, end), Impacts(known.asked).of(p, start, end), known.of(p, start, end)):
        assert isinstance(given, Impact)
        again = Impacts(known.asked).of(p, start, end)
        assert again is not None
        pd.testing.assert_frame_equal(again.expected, given.expected, check_exact=True, check_freq=False)
        assert replace(again, expected=given.expected) == given
    young = pd.Timestamp("2026-01-10")
    assert known.of(p, young, end) is None is Impacts(known.asked).of(p, young, end)


def test_the_digest_is_of_all_that_is_looked_at_and_of_nothing_later() -> None:
    start, end = pd.Timestamp("2026-10-02"), pd.Timestamp("2026-10-16")
    mine = digest(panel(), start, end)
    assert mine == digest(panel(), start, end)
    later = [digest(spoiled(name, 290), start, end) for name in ("treated", "exposure", "controls")]
    assert set(later) == {mine}
    others = [digest(spoiled(name, at), start, end) for name in ("treated", "exposure", "controls") for at in (3, 283)]
    others += [digest(panel(), start + DAY, end), digest(panel(), start, end - DAY)]
    others += [digest(replace(panel(), grain="week"), start, end)]
    people = replace(panel(), sampling=pd.concat([panel().treated, panel().controls], axis=1))
    others += [digest(people, start, end), digest(replace(people, overlap=7), start, end)]
    assert len({mine, *others}) == 12
