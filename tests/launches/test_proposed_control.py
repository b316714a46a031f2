"""A control for a launch that names none: what it surely does not reach, and only what moved along before."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from metrics.launches.inputs import LaunchInputs
from metrics.launches.proposed_control import candidates
from tests.conftest import Builder, known
from tests.launches.conftest import FIRST, LAUNCH, acts, card, day, kpi, launch, product, score
from tests.sampling import SEED

pytestmark = pytest.mark.breadth(3)

ALONE = "on: 2026-10-05\naudience: platform = 'web'\nsuccess: [{kpi: acted, expect: +8%}]"
END = LAUNCH + pd.Timedelta(days=29)


def beside(project: Builder, name: str, values: np.ndarray, *, agg: str = "sum\nexpr: v", more: str = "") -> None:
    """A KPI of a dataset of its own: a row a day."""
    at = FIRST + pd.to_timedelta(np.arange(len(values)) * 24 + 12, unit="h")
    project.rows(name, pd.DataFrame({"at": at, "v": np.round(values)}), watermark="whole_days")
    project.kpi(f"{name}_sum", f"dataset: {name}\nagg: {agg}\n{more}")


@pytest.fixture
def shops(project: Builder) -> Builder:
    """Web is lifted by 8%; phones, and a KPI of another dataset, move along; `odd` does not."""
    product(project, acts(END, lift=1.08))
    days = (END - FIRST).days
    rng, day_ = np.random.default_rng(SEED), np.arange(days)
    common = 1 + 0.1 * np.sin(day_ / 9) - np.where(day_ % 7 >= 5, 0.25, 0.0)
    beside(project, "visits", 9000 * common * np.exp(rng.normal(0, 0.012, days)), more="area: Shop")
    beside(project, "odd", 5000 * np.exp(rng.normal(0, 0.2, days)))
    project.kpi("again", "dataset: acts\nagg: count")
    launch(project, ALONE)
    return project


def found(project: Builder, name: str = "wizard") -> tuple[str, ...]:
    context = project.open().context(day(29))
    wanted = context.catalogue.launch(name)
    return candidates(wanted, context.catalogue.kpi("acted"), LaunchInputs(context))


def test_only_what_the_launch_surely_does_not_reach_is_tried(shops: Builder) -> None:
    shops.sync(day(29))
    assert set(found(shops)) == {"platform = 'ios'", "platform = 'android'", "odd_sum", "visits_sum"}
    for text, gone in (
        ("guardrails: [{kpi: odd_sum, limit: '> 1'}]", "odd_sum"),
        ("area: Shop", "visits_sum"),
        ("adoption: {dataset: odd, used: v > 1}", "odd_sum"),
    ):
        if text.startswith("adoption"):
            dataset = shops.folder / "datasets" / "odd.yml"
            dataset.write_text(f"{dataset.read_text()}\nentity: v\n")
        launch(shops, f"{ALONE}\n{text}")
        assert gone not in found(shops) and len(found(shops)) == 3
    launch(shops, ALONE)
    for days in ("on: 2026-10-12", "on: 2026-06-01\nuntil: 2026-12-24", "on: 2026-09-10"):
        launch(shops, f"kind: campaign\n{days}\nkpis: [visits_sum]", "sale")
        assert "visits_sum" not in found(shops), "another mark moves it in the same days"
    launch(shops, "kind: campaign\non: 2026-06-01\nkpis: [visits_sum]", "sale")
    assert "visits_sum" in found(shops), "what that did has long been usual"
    launch(shops, "on: 2026-10-05\nsuccess: [{kpi: acted}]", "everybody")
    assert "platform = 'ios'" not in found(shops, "everybody") and "odd_sum" in found(shops, "everybody")


def test_what_moved_along_is_proposed_and_the_verdict_stays_without_it(shops: Builder) -> None:
    shops.sync(day(29))
    one = score(shops, day(29))
    proposed = known(one.proposed)
    assert set(proposed.names) <= {"platform ios", "platform android", "Visits sum"}
    assert "Odd sum" not in proposed.names and sum(proposed.mix) == pytest.approx(1)
    assert proposed.narrower < 0.7
    reading = known(proposed.reading)
    alone, held = one.today.reading, reading
    assert not alone.control and reading.control and reading.days == 28
    assert reading.verdict == "moved up" and known(held.low) < 0.08 < known(held.high)
    assert known(held.smallest) < known(alone.smallest)
    low, high = known(proposed.left_out)
    assert low < known(held.effect) < high or (low <= high and abs(high - low) < 0.02)
    assert (proposed.others, proposed.as_much) == (4, 0)


def test_it_is_told_with_the_line_to_write_and_nothing_else_changes(shops: Builder) -> None:
    shops.sync(day(29))
    plain = json.loads(
        kpi("launch", "show", "wizard", "--project", str(shops.folder), "--now", "2026-11-03", "--json").output
    )
    told = plain["kpis"][0]["proposed_control"]
    assert told["narrower"] < 0.7 and told["reading"]["control"] and not plain["kpis"][0]["today"]["control"]
    text = kpi(
        "launch", "show", "wizard", "--project", str(shops.folder), "--now", "2026-11-03", "--format", "markdown"
    ).output
    assert "the interval would be" in text and "that it did not reach, none of them moved as much" in text
    line = text.split("unless the file says: ")[1].splitlines()[0].replace("\\", "")
    launch(shops, f"{ALONE}\n{line}")
    assert not [p for p in shops.open().catalogue().problems if p.level == "error"]
    again = score(shops, day(29))
    assert again.proposed is None and again.today.reading.weights
    assert again.today.reading.effect == pytest.approx(known(told["reading"]["effect"]), abs=0.02)


def test_before_the_launch_it_is_proposed_for_the_file(shops: Builder) -> None:
    product(shops, acts(END))
    launch(shops, ALONE.replace("2026-10-05", "2026-11-10"))
    shops.sync(day(29))
    proposed = known(score(shops, day(29)).proposed)
    assert proposed.reading is None and proposed.left_out is None and proposed.narrower < 0.7


@pytest.mark.parametrize("given", ["control: platform = 'ios'", "controls: [platform = 'ios', visits_sum]"])
def test_what_the_file_names_comes_first(shops: Builder, given: str) -> None:
    launch(shops, f"{ALONE}\n{given}")
    shops.sync(day(29))
    one = score(shops, day(29))
    assert one.proposed is None and len(one.today.reading.weights) == len(given.split(","))


def test_nothing_is_proposed_that_did_not_move_along(project: Builder) -> None:
    product(project, acts(END))
    rng = np.random.default_rng(SEED)
    beside(project, "odd", 5000 * np.exp(rng.normal(0, 0.2, (END - FIRST).days)))
    launch(project, "on: 2026-10-05\nsuccess: [{kpi: acted}]")
    project.sync(day(29))
    assert found(project) == ("odd_sum",)
    assert card(project, day(29)).scores[0].proposed is None
