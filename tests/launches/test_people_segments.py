"""People of segments: steps against those that wait, by hand; what the engine adds up; a launch end to end."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from jobs.launches.board import page_of
from metrics.engine.people_by_segment import AskedSegments, segment_sums
from metrics.engine.per_person import PerPerson
from metrics.engine.types import per_person
from metrics.launches.people.group_time import Group, group_time
from metrics.launches.people.people_reading import People
from tests.conftest import Builder, known
from tests.launches.conftest import card
from tests.launches.exposed import START

NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)
WEEK = pd.Timedelta(days=7)


def grouped(people: list[np.ndarray], begins: list[int | None]) -> list[Group]:
    return [Group(b, len(p), p.sum(axis=0), p.T @ p) for b, p in zip(begins, people, strict=True)]


def test_one_step_is_difference_in_differences_of_the_people() -> None:
    rng = np.random.default_rng(1)
    got, not_got = rng.poisson(2.0, (300, 6)) * 1.0, rng.poisson(1.5, (200, 6)) * 1.0
    found = known(group_time(grouped([got, not_got], [4, None]), 4))
    change = [p[:, 4:].mean(axis=1) - p[:, :4].mean(axis=1) for p in (got, not_got)]
    assert found.effect == pytest.approx(change[0].mean() - change[1].mean())
    assert found.variance == pytest.approx(sum(np.var(c, ddof=1) / len(c) for c in change))
    assert found.level == pytest.approx(got[:, 4:].mean()) and found.cells == 2


def test_steps_are_held_against_those_that_wait() -> None:
    """By the formula of Callaway and Sant'Anna, group by group and week by week."""
    rng = np.random.default_rng(2)
    people = [rng.gamma(2, 1, (n, 8)) for n in (120, 80, 150)]
    begins: list[int | None] = [4, 6, None]
    cells = []
    for g, first in ((0, 4), (1, 6)):
        for t in range(first, 8):
            waiting = [people[i] for i, b in enumerate(begins) if b is None or b > t]
            others = np.concatenate(waiting)
            own = people[g][:, t].mean() - people[g][:, :4].mean()
            cells.append((own - (others[:, t].mean() - others[:, :4].mean()), len(people[g])))
    want = np.average([effect for effect, _ in cells], weights=[n for _, n in cells])
    found = known(group_time(grouped(people, begins), 4))
    assert found.effect == pytest.approx(want) and found.cells == len(cells) == 6
    drawn = [
        known(group_time(grouped([p[rng.integers(0, len(p), len(p))] for p in people], begins), 4)).effect
        for _ in range(400)
    ]
    assert found.variance == pytest.approx(np.var(drawn), rel=0.25), "as a bootstrap of the people says"


def test_without_anybody_who_waits_there_is_no_effect() -> None:
    people = [np.ones((10, 6)), np.ones((10, 6))]
    assert group_time(grouped(people, [4, 4]), 4) is None and group_time([], 4) is None


def rows(seed: int, lift: float, *, weeks: int = 40, people: int = 1200) -> pd.DataFrame:
    """A row per act: web got it at START. Each platform has weeks of its own."""
    rng = np.random.default_rng(seed)
    platform = rng.choice(["web", "ios", "android"], people)
    rate = rng.gamma(2, 0.6, people)
    found = []
    for week in range(-weeks, 4):
        shock = {name: np.exp(rng.normal(0, 0.03)) for name in ("web", "ios", "android")}
        up = np.where((platform == "web") & (week >= 0), lift, 1.0)
        count = rng.poisson(rate * up * np.array([shock[name] for name in platform]))
        who = np.repeat(np.arange(people), count)
        at = START + week * WEEK + pd.to_timedelta(rng.integers(0, 7 * 86400, len(who)), unit="s")
        found.append(pd.DataFrame({"who": who, "at": at, "platform": platform[who]}))
    return pd.concat(found, ignore_index=True)


def product(project: Builder, frame: pd.DataFrame, launch: str) -> People:
    project.rows("acts", frame, entity="who", dimensions="[platform]", watermark="whole_days")
    project.kpi("acted", "dataset: acts\nagg: count\ngrain: day\ngrains: [day]")
    project.write("launches", "wizard", f"name: wizard\nsuccess: [{{kpi: acted}}]\n{launch}\n")
    project.sync(NOW)
    return known(card(project, NOW).people)


CONTROLLED = f"on: {START:%Y-%m-%d}\naudience: platform = 'web'\ncontrol: platform != 'web'"


@pytest.mark.slow
@pytest.mark.parametrize("held", ["", "controls: [platform = 'ios', platform = 'android', acted_too]"])
def test_an_effect_on_a_segment_is_read_from_its_people(project: Builder, held: str) -> None:
    project.kpi("acted_too", "dataset: acts\nagg: count\ngrain: day")
    found = product(
        project, rows(3, 1.3), CONTROLLED.replace("control: platform != 'web'", held) if held else CONTROLLED
    )
    (one,) = found.segments
    assert known(one.lift).low > 0 and known(one.lift).low < 0.3 < known(one.lift).high, one
    assert one.placebos == 8 and one.wider >= 1 and one.weeks == 4 and one.people + one.others <= 1200


@pytest.mark.slow
def test_exposures_that_cannot_be_compared_leave_it_to_segments(project: Builder) -> None:
    frame = rows(3, 1.3)
    shown_ = pd.DataFrame({"who": frame["who"].unique()}).assign(at=START + WEEK, arm="new")
    project.rows("shown", shown_, entity="who", watermark="whole_days")
    found = product(project, frame, f"{CONTROLLED}\nexposure: {{dataset: shown, variant: arm, at: at}}")
    assert "nobody was exposed to the control" in found.why and known(found.segments[0].lift).low > 0
    block = known(page_of(project.open(), "wizard", now=NOW).people)
    assert block.line.startswith("Read from people of its segments") and block.rows
    assert any("nobody was exposed to the control" in fact for fact in block.facts)


@pytest.mark.slow
def test_a_rollout_in_steps_is_read_from_those_that_wait(project: Builder) -> None:
    later = START + 2 * WEEK
    steps = f"rollout: [{{on: {START:%Y-%m-%d}, segment: platform = 'web'}}, "
    steps += f"{{on: {later:%Y-%m-%d}, segment: platform = 'ios'}}]"
    frame = rows(4, 1.3)
    (one,) = product(project, frame, steps).segments
    assert known(one.lift).low > 0 and one.steps == 2


@pytest.mark.slow
def test_too_short_a_history_is_told(project: Builder) -> None:
    frame = rows(5, 1.3, weeks=8, people=400)
    (one,) = product(project, frame, CONTROLLED).segments
    assert one.lift is None and one.why.startswith("24 weeks before the launch are needed")


def test_sums_of_weeks_are_those_of_the_people(project: Builder) -> None:
    frame = rows(6, 1.0, weeks=9, people=150)
    product(project, frame, CONTROLLED)
    opened = project.open()
    reader = opened.reader()
    catalogue = opened.catalogue(reader)
    person = per_person(catalogue.kpi("acted"), catalogue)
    assert isinstance(person, PerPerson)
    starts = (START, START - 4 * WEEK)
    found = segment_sums(AskedSegments(person.value, "platform", starts, 3), catalogue, reader)
    for start in starts:
        near = frame[(frame["at"] >= start - 4 * WEEK) & (frame["at"] < start + 3 * WEEK)]
        week = ((near["at"] - start) // WEEK + 4).rename("week")
        each = near.groupby([near["who"], week]).size().unstack(fill_value=0).reindex(columns=range(7), fill_value=0)
        each = each[each[[0, 1, 2, 3]].sum(axis=1) > 0]
        of = frame.groupby("who")["platform"].first().reindex(each.index)
        for row in found[found["start"] == start].to_dict("records"):
            mine = each[of == row["segment"]].to_numpy()
            assert row["n"] == len(mine)
            assert [row[f"w{k}"] for k in range(7)] == list(mine.sum(axis=0))
            assert row["w1_w5"] == (mine[:, 1] * mine[:, 5]).sum() and row["w2_w2"] == (mine[:, 2] ** 2).sum()
    assert len(found) == 6
