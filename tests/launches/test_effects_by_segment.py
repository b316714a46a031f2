"""For whom a launch did what it did: drawn towards the whole, one test for each dimension, nothing found in chance."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metrics.launches.effects_by_segment import EffectsBySegment, drawn_together
from metrics.launches.impact import Panel, impact
from tests.conftest import Builder, known
from tests.launches.conftest import FIRST, LAUNCH, day, kpi, launch, product, score
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(4)

END = LAUNCH + pd.Timedelta(days=29)
COUNTRIES = {"US": 900.0, "DE": 500.0, "FR": 300.0, "JP": 60.0}
EVERYBODY = "on: 2026-10-05\nsuccess: [{kpi: acted, expect: +8%}]"
WORLDS = cases(fast=20, slow=100, full=2000)


def sold(lift: dict[str, float], *, seed: int = SEED, noise: float = 0.03) -> pd.DataFrame:
    """A row a day, platform and country; what is on the web is lifted by country since launch."""
    rng, rows = np.random.default_rng(seed), []
    for number in range((END - FIRST).days):
        at = FIRST + pd.Timedelta(days=number, hours=12)
        common = 1 + 0.05 * np.sin(number / 9) - (0.25 if at.weekday() >= 5 else 0)
        for platform in ("web", "ios"):
            for country, level in COUNTRIES.items():
                up = 1 + lift.get(country, 0.0) * (platform == "web" and at >= LAUNCH)
                value = level * common * up * float(np.exp(rng.normal(0, noise * (900 / level) ** 0.5)))
                rows.append({"at": at, "platform": platform, "country": country, "v": round(value, 2)})
    return pd.DataFrame(rows)


def found(project: Builder, text: str = EVERYBODY) -> dict[str, EffectsBySegment]:
    launch(project, text)
    return {one.dimension: one for one in score(project, day(29)).segments}


def test_effects_that_differ_are_told_and_those_of_few_are_drawn_in(project: Builder) -> None:
    product(project, sold({"US": 0.0, "DE": 0.20, "FR": 0.0, "JP": 0.0}))
    launch(project, EVERYBODY)
    project.sync(day(29))
    by = found(project)
    assert set(by) == {"platform", "country"} and by["country"].differ and by["country"].p < 0.01
    effects = {one.segment: one for one in by["country"].effects}
    assert set(effects) == {"US", "DE", "FR", "JP"} and sum(one.part for one in effects.values()) == pytest.approx(1)
    low, high = effects["DE"].drawn[1:]
    assert low < 0.10 < high, "half of its people, those on the web, are lifted by a fifth"
    for one in effects.values():
        assert one.drawn[2] - one.drawn[1] <= 1.05 * (one.alone[2] - one.alone[1]), "all of them is not known for sure"
    whole = np.average([one.drawn[0] for one in effects.values()], weights=[one.part for one in effects.values()])
    moved = {name: abs(one.drawn[0] - one.alone[0]) for name, one in effects.items()}
    assert moved["JP"] > 0 and abs(whole) < 0.1


def test_two_segments_differ_as_surely_as_their_difference_is_one(project: Builder) -> None:
    """Each is read against both together, of which it is a part: twice the same would count as two."""
    product(project, sold({"US": 0.0, "DE": 0.20, "FR": 0.0, "JP": 0.0}))
    launch(project, EVERYBODY)
    project.sync(day(29))
    by, reading = found(project)["platform"], score(project, day(29)).kept[-1].reading
    sums = sold({"US": 0.0, "DE": 0.20, "FR": 0.0, "JP": 0.0}).pivot_table("v", "at", "platform", "sum")
    apart = (np.log(sums["web"]) - np.log(sums["ios"])).to_frame("web")
    apart.index = apart.index.normalize()
    share = (apart.index >= LAUNCH).astype(float)
    panel = Panel(apart, pd.DataFrame({"web": share}, apart.index), pd.DataFrame(index=apart.index), "day")
    direct = known(impact(replace(panel, calibrated=False), LAUNCH, pd.Timestamp(reading.end)))
    z = 1.96 * direct.effect / direct.smallest / known(reading.factor)
    assert stats.norm.isf(by.p / 2) == pytest.approx(abs(z), rel=0.1) and abs(z) > 1


def test_the_audience_alone_is_looked_at(project: Builder) -> None:
    product(project, sold({"US": 0.0, "DE": 0.20, "FR": 0.0, "JP": 0.0}))
    audience = f"{EVERYBODY}\naudience: platform = 'web'\ncontrol: platform != 'web'"
    launch(project, audience)
    project.sync(day(29))
    by = found(project, audience)
    assert set(by) == {"country"}, "what the audience is chosen by is no dimension of it"
    low, high = next(one for one in by["country"].effects if one.segment == "DE").drawn[1:]
    assert low < 0.20 < high and low > 0.05


def test_segments_that_wait_and_what_cannot_be_split_have_none(project: Builder) -> None:
    product(project, sold({}))
    launch(project, EVERYBODY)
    project.sync(day(29))
    steps = "rollout: [{on: 2026-10-05, segment: platform = 'web'}, {on: 2026-10-08, segment: platform = 'ios'}]"
    assert found(project, EVERYBODY.replace("on: 2026-10-05", steps)) == {}
    assert found(project, f"{EVERYBODY}\naudience: v > 3") == {}


def test_a_segment_with_days_of_nothing_is_counted_as_not_read(project: Builder) -> None:
    frame = sold({})
    frame.loc[(frame["country"] == "JP") & (frame["at"].dt.day_of_week == 6), "v"] = 0.0
    product(project, frame)
    launch(project, EVERYBODY)
    project.sync(day(29))
    country = found(project)["country"]
    assert {one.segment for one in country.effects} == {"US", "DE", "FR"} and country.left_out == 1


def test_page_export_and_command_say_the_same(project: Builder) -> None:
    product(project, sold({"US": 0.0, "DE": 0.20, "FR": 0.0, "JP": 0.0}))
    launch(project, EVERYBODY)
    project.sync(day(29))
    where = ("launch", "show", "wizard", "--project", str(project.folder), "--now", "2026-11-03")
    plain = json.loads(kpi(*where, "--json").output)["kpis"][0]["by_segment"]
    assert [one["dimension"] for one in plain] == ["platform", "country"] and plain[1]["differ"]
    text = kpi(*where, "--format", "markdown").output
    assert "The effect differs by country: segments that do not differ look so different" in text
    assert "6 segments were looked at: of segments without any effect one in twenty looks clear by chance" in text
    page = kpi(*where, "--format", "html").output
    assert "<h2>By segment</h2>" in page and "The effect differs by country" in page


def test_segments_of_one_effect_seldom_look_different() -> None:
    """And what is drawn towards the whole is nearer to the truth than each read alone, most of all of few people."""
    rng = np.random.default_rng(SEED)
    wrong, held, alone, drawn = 0, [], [], []
    for _ in range(WORLDS * 5):
        errors = rng.uniform(0.5, 3.0, int(rng.integers(2, 9)))
        truth = np.full(len(errors), rng.normal())
        effects = rng.normal(truth, errors)
        middle, widths, p = drawn_together(effects, errors)
        wrong += p < 0.05
        held += list(np.abs(middle - truth) < 1.96 * widths)
        alone += list((effects - truth) ** 2)
        drawn += list((middle - truth) ** 2)
    assert wrong <= 0.05 * WORLDS * 5 + 3 * (0.05 * 0.95 * WORLDS * 5) ** 0.5
    assert np.mean(held) > 0.9 and np.mean(drawn) < 0.6 * np.mean(alone)


def test_effects_that_truly_differ_stay_apart() -> None:
    rng = np.random.default_rng(SEED)
    held, p_small = [], 0
    for _ in range(WORLDS):
        errors, truth = rng.uniform(0.3, 1.0, 8), rng.normal(0, 3, 8)
        middle, widths, p = drawn_together(rng.normal(truth, errors), errors)
        held += list(np.abs(middle - truth) < 1.96 * widths)
        p_small += p < 0.05
    assert p_small > 0.9 * WORLDS and np.mean(held) > 0.9


def test_it_is_what_random_effects_are_by_hand() -> None:
    """Two segments, effects 0 and 4, errors 1 and 1: between them 7, each keeps 7/8 of its own."""
    middle, widths, p = drawn_together(np.array([0.0, 4.0]), np.array([1.0, 1.0]))
    assert middle == pytest.approx([0.25, 3.75])
    assert widths**2 == pytest.approx([7 / 8 + (1 / 8) ** 2 * 4] * 2)
    assert p == pytest.approx(0.004677735, rel=1e-6)
