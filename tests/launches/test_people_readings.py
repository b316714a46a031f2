"""A launch read from people, end to end: a project, its sync, scorecard, page, exports and JSON."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jobs.launches.board import page_of, scorecard_dict, shown
from jobs.launches.impacts import known_inputs
from jobs.project.project import open_project
from metrics.catalog.models.launch import Exposure
from metrics.engine.exposure import Asked, exposed_sums
from metrics.engine.per_person import PerPerson
from metrics.engine.types import per_person
from metrics.launches.inputs import LaunchInputs
from metrics.launches.people.comparison import FIXED, compared
from metrics.launches.people.moments import Sums
from metrics.launches.people.people_reading import KpiPeople, People, VariantReading, people_reading
from metrics.launches.people.sequential import always_valid
from tests.conftest import Builder, known
from tests.launches.conftest import card, kpi
from tests.launches.exposed import START, World, world, written

NOW = datetime(2026, 11, 2, 3, tzinfo=UTC)  # 28 days are complete
DAY = pd.Timedelta(days=1)
pytestmark = pytest.mark.breadth(2)  # each is a project of its own
SHOWN = "{dataset: shown, variant: arm, at: at}"


def read(project: Builder, now: datetime = NOW) -> People:
    return known(card(project, now).people)


def of(found: People, name: str) -> KpiPeople:
    return next(one for one in found.kpis if one.kpi.name == name)


def reading(found: People, name: str, days: int, variant: str = "new") -> VariantReading:
    return next(r for r in of(found, name).readings if (r.days, r.variant) == (days, variant))


@pytest.fixture(scope="module")
def lifted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, World]:
    """Half of the people do a third more since they were shown it."""
    made = world(2, 900, lift=1.35)
    folder: Path = tmp_path_factory.mktemp("lifted")
    project = Builder(folder / "project")
    written(project, made, SHOWN, "guardrails: [{kpi: bought, margin: 5pp}]", kpis=("orders", "bought"))
    project.sync(NOW)
    return project, made


def test_what_exposed_people_did_leads_the_page(lifted: tuple[Builder, World]) -> None:
    page = page_of(lifted[0].open(), "wizard", now=NOW)
    (first, slug), *others = page.headline
    assert first.startswith("From people: Orders moved up by ") and first.endswith(", D+28, new.")
    assert slug != "quiet" and not any(words.startswith("From people: Bought") for words, _ in others), (
        "it is not clear"
    )


def test_an_effect_is_seen_on_fixed_days_and_at_every_look(lifted: tuple[Builder, World]) -> None:
    found = read(lifted[0])
    made = lifted[1].shown.drop_duplicates("who")
    assert not found.why and found.exposed == made["arm"].value_counts().to_dict()
    assert found.ratio is not None and not found.ratio.is_breached
    orders = of(found, "orders")
    assert [r.days for r in orders.readings] == [7, 14, 28, 0]
    for days in (28, 0):
        one = reading(found, "orders", days)
        assert one.verdict == "moved up" and one.relative and known(one.lift).low > 0
        assert known(one.lift).low < 0.35 < known(one.lift).high
    assert known(reading(found, "orders", 28).comparison).gain > 0.3, "who bought before buys again"
    fixed, today = (known(reading(found, "orders", days).lift) for days in (28, 0))
    assert today.effect == fixed.effect and today.high - today.low > 1.4 * (fixed.high - fixed.low)
    assert known(orders.aa).splits == 500 and 5 <= known(orders.aa).cried <= 55


def test_a_reading_is_that_of_its_people(lifted: tuple[Builder, World]) -> None:
    """Orders at D+14, counted in pandas: since the first exposure, and in the 28 days before it."""
    project, made = lifted
    end, shown_ = START + 14 * DAY, made.shown.sort_values("at").drop_duplicates("who").set_index("who")
    shown_ = shown_[shown_["at"] < end]
    rows = made.buys.merge(shown_.rename(columns={"at": "exposed"})[["exposed"]], left_on="who", right_index=True)
    after = rows[(rows["at"] >= rows["exposed"]) & (rows["at"] < end)].groupby("who").size()
    before = rows[(rows["at"] < rows["exposed"]) & (rows["at"] >= rows["exposed"] - 28 * DAY)].groupby("who").size()
    each = shown_.assign(y=after, x=before).fillna({"y": 0.0, "x": 0.0})
    each["y"] = each["y"].clip(upper=each.loc[each["y"] > 0, "y"].quantile(0.999))
    # the cap of what was before is one for all readings: of everybody exposed by today
    late = made.shown.sort_values("at").drop_duplicates("who").set_index("who")
    all_rows = made.buys.merge(late.rename(columns={"at": "exposed"})[["exposed"]], left_on="who", right_index=True)
    inside = (all_rows["at"] < all_rows["exposed"]) & (all_rows["at"] >= all_rows["exposed"] - 28 * DAY)
    each["x"] = each["x"].clip(upper=all_rows[inside].groupby("who").size().quantile(0.999))
    numbers = np.column_stack([each["y"], np.ones(len(each)), each["x"], np.ones(len(each))])
    day = each["at"].dt.floor("D")
    pairs = [
        tuple(Sums.of(numbers[((each["arm"] == arm) & (day == at)).to_numpy()]) for arm in ("control", "new"))
        for at in sorted(day.unique())
    ]
    want, got = known(compared(pairs)), known(reading(read(project), "orders", 14).comparison)  # type: ignore[arg-type]
    assert got.difference.effect == pytest.approx(want.difference.effect)
    assert got.difference.low == pytest.approx(want.difference.low)
    assert (got.control_people, got.treated_people) == (want.control_people, want.treated_people)


def test_todays_interval_is_as_wide_as_the_days_of_its_people_say(lifted: tuple[Builder, World]) -> None:
    """Information is person-days, in times of those at the end of the day on which 100 people had been exposed."""
    day = lifted[1].shown.sort_values("at").drop_duplicates("who")["at"].dt.floor("D")
    first = day.sort_values().iloc[99]
    seen = ((first + DAY - day[day <= first]).dt.days).sum()
    now = ((START + 28 * DAY - day).dt.days).sum()
    found = read(lifted[0])
    fixed, today = (known(reading(found, "orders", days).lift) for days in (28, 0))
    width = [np.log1p(lift.high) - np.log1p(lift.low) for lift in (fixed, today)]
    assert width[1] / width[0] == pytest.approx(always_valid(now / seen) / FIXED, rel=1e-6)


def test_a_guardrail_with_a_margin_says_whether_people_are_not_worse(lifted: tuple[Builder, World]) -> None:
    found = read(lifted[0])
    assert of(found, "bought").margin == "5pp" and not of(found, "orders").margin
    one = reading(found, "bought", 28)
    assert one.guard == ("holds" if known(one.lift).low > -0.05 else "not known yet") == "holds"


def test_page_exports_and_json_say_the_same(lifted: tuple[Builder, World]) -> None:
    project = lifted[0].open()
    page, plain = page_of(project, "wizard", now=NOW), scorecard_dict(project, "wizard", now=NOW)
    block = known(page.people)
    people = json.loads(json.dumps(plain["people"], allow_nan=False))
    assert (
        block.line == f"Read from people: {people['exposed']['new']:,} exposed against {people['exposed']['control']:,}"
    )
    assert block.light_slug == "good" and "holds however often you look" in block.rows[0].today
    assert people["used"] == "exposures" and people["why"] is None
    assert [r["days"] for r in people["kpis"][0]["readings"]] == [7, 14, 28, 0]
    assert {r["always_valid"] for r in people["kpis"][0]["readings"] if r["days"] == 0} == {True}
    for html in (False, True):
        text = shown(project, "wizard", now=NOW, html=html)
        assert block.line in text and "From people" in text and "CUPED" in text
    folder = str(lifted[0].folder)
    told = kpi("launch", "show", "wizard", "--project", folder, "--now", NOW.isoformat())
    assert told.exit_code == 0 and block.line in told.output


def small(project: Builder, exposure: str = SHOWN, *, more: str = "", **changes: pd.DataFrame) -> People:
    """A world of 300 people with tables changed."""
    made = world(7, 300)
    for name, frame in changes.items():
        setattr(made, name, frame)
    written(project, made, exposure, more, kpis=("orders",))
    project.sync(NOW)
    return read(project)


def base() -> pd.DataFrame:
    return world(7, 300).shown


def test_hostile_names_of_variants_are_only_names(project: Builder) -> None:
    made = world(7, 300, hostile=True)
    written(project, made, "{dataset: shown, variant: arm, at: at, control: 'ctrl ä'}", kpis=("orders",))
    project.sync(NOW)
    found = read(project)
    assert set(found.exposed) == {'it\'s "b"; DROP TABLE x --', "ctrl ä"} and not found.why
    html = shown(project.open(), "wizard", now=NOW, html=True)
    assert "it&#x27;s &quot;b&quot;; DROP TABLE x --" in html and 'it\'s "b"' not in html


def test_a_wrong_sample_ratio_withholds_verdicts(project: Builder) -> None:
    made = world(7, 600, lift=2.0, share=0.3)
    written(project, made, SHOWN, "guardrails: [{kpi: orders, margin: 1%}]", kpis=("orders",))
    project.sync(NOW)
    found = read(project)
    assert found.ratio is not None and found.ratio.is_breached
    assert {r.verdict for r in of(found, "orders").readings} == {"withheld"}
    assert {r.guard for r in of(found, "orders").readings} == {"withheld"}
    block = known(page_of(project.open(), "wizard", now=NOW).people)
    assert block.light_slug == "bad" and "Verdicts are withheld." in block.light


def test_the_planned_split_makes_it_right(project: Builder) -> None:
    made = world(7, 600, share=0.3)
    written(project, made, SHOWN.replace("}", ", split: {control: 7, new: 3}}"), kpis=("orders",))
    project.sync(NOW)
    found = read(project)
    assert found.ratio is not None and not found.ratio.is_breached and found.ratio.shares["new"] == 0.3


def test_people_of_two_variants_and_exposed_before_are_told_and_left_out(project: Builder) -> None:
    odd = [{"who": f"p{i}", "at": START + 3 * DAY, "arm": "other"} for i in range(5)]
    odd += [{"who": f"p{i}", "at": START - 5 * DAY, "arm": arm} for i, arm in ((10, "control"), (11, "new"))]
    found = small(project, shown=pd.concat([base(), pd.DataFrame(odd)], ignore_index=True))
    people = base().drop_duplicates("who").set_index("who")["arm"]
    assert found.several >= 5 and found.early >= 1 and found.several + found.early + sum(found.exposed.values()) == 300
    assert "other" not in found.exposed and len(people) == 300
    facts = " ".join(known(page_of(project.open(), "wizard", now=NOW).people).facts)
    assert f"{found.several} people were seen in two variants and left out." in facts


@pytest.mark.breadth(3)
@pytest.mark.parametrize(
    ("exposure", "shown_", "told"),
    [
        ("{dataset: shown, variant: arm, control: contrl}", None, "nobody was exposed to the control 'contrl'"),
        (SHOWN, "control", "everybody exposed is of the control 'control', so there is nobody to compare"),
        (SHOWN, "new", "nobody was exposed to the control 'control'"),
        (SHOWN, "early", "nobody in dataset shown was exposed since the launch"),
        (SHOWN, "empty", "dataset shown has no rows yet"),
    ],
)
def test_why_people_cannot_be_compared_is_told(project: Builder, exposure: str, shown_: str | None, told: str) -> None:
    rows = {
        None: base(),
        "control": base().assign(arm="control"),
        "new": base().assign(arm="new"),
        "early": base().assign(at=START - 9 * DAY),
        "empty": base().head(0),
    }[shown_]
    found = small(project, exposure, shown=rows)
    assert told in found.why
    if "contrl" in exposure:
        assert "Did you mean 'control'?" in found.why
    for html in (False, True):
        assert "Read from days, not from people: " in shown(project.open(), "wizard", now=NOW, html=html)
    assert scorecard_dict(project.open(), "wizard", now=NOW)["people"]["used"] == ""


def test_without_exposures_it_says_so_and_nothing_else_changes(project: Builder) -> None:
    made = world(7, 200)
    written(project, made, SHOWN, kpis=("orders",))
    project.write("launches", "wizard", f"name: wizard\non: {START:%Y-%m-%d}\nsuccess: [{{kpi: orders}}]\n")
    project.sync(NOW)
    found = read(project)
    assert found.why.startswith("the launch names no exposure") and not found.kpis
    assert card(project, NOW).scores[0].kept, "verdicts by day are published as ever"


def test_exposures_that_are_late_are_told_with_their_last_day(project: Builder) -> None:
    early = base().sort_values("at")
    found = small(project, shown=early[early["at"] < START + 9 * DAY])
    assert found.known_to == START + 9 * DAY and not found.why
    assert reading(found, "orders", 28).comparison is not None, "who is known is followed to the end"


def test_a_column_of_people_is_an_exposure_since_the_launch(project: Builder) -> None:
    users = base().drop_duplicates("who").assign(at=lambda f: f["at"] - pd.Timedelta(days=60))
    new = pd.DataFrame({"who": ["late1", "late2"], "at": START + 5 * DAY, "arm": ["control", "new"]})
    found = small(project, "{dataset: shown, variant: arm}", shown=pd.concat([users, new], ignore_index=True))
    assert sum(found.exposed.values()) == 302 and not found.early
    one = known(reading(found, "orders", 7).comparison)
    assert one.control_people + one.treated_people == 302


def test_kpis_that_have_no_value_of_a_person_say_why(project: Builder) -> None:
    made = world(7, 200)
    for name, text in {
        "middle": "dataset: buys\nagg: median\nexpr: amount",
        "double": "type: derived\nexpr: '2 * {orders}'",
        "all_time": "type: cumulative\nmeasure: {dataset: buys, agg: count}",
        "steps": "type: funnel\ndataset: visits\nsteps: [{name: a}, {name: b, dataset: buys}]",
        "shops": "dataset: buys\nagg: count_distinct\nexpr: shop",
    }.items():
        project.kpi(name, text)
    written(project, made, SHOWN, kpis=("orders",))
    named = ", ".join(f"{{kpi: {name}}}" for name in ("orders", "middle", "double", "all_time", "steps", "shops"))
    project.write("launches", "wizard", f"name: wizard\non: {START:%Y-%m-%d}\nsuccess: [{named}]\nexposure: {SHOWN}\n")
    project.sync(NOW)
    why = {one.kpi.name: one.why for one in read(project).kpis}
    assert not why.pop("orders") and all(why.values())
    assert why["middle"] == "a median of everybody's rows is no sum over people"
    assert len(known(page_of(project.open(), "wizard", now=NOW).people).cannot) == 5


def test_the_audience_limits_who_is_exposed_where_exposures_know_it(project: Builder) -> None:
    rows = base().assign(country=lambda f: np.where(f["who"].str[-1].isin(list("01234")), "NO", "SE"))
    made = world(7, 300)
    made.shown = rows
    written(project, made, SHOWN, "audience: country = 'NO'", kpis=("orders",))
    text = (project.folder / "datasets" / "shown.yml").read_text().replace("[arm]", "[arm, country]")
    project.write("datasets", "shown", text)
    project.sync(NOW)
    found = read(project)
    assert sum(found.exposed.values()) == rows[rows["country"] == "NO"]["who"].nunique() and not found.notes
    project.write("datasets", "shown", text.replace("[arm, country]", "[arm]"))
    found = read(project)
    assert sum(found.exposed.values()) == 300 and "does not know country" in found.notes[0]


def test_variants_may_be_true_and_false(project: Builder) -> None:
    exposure = "{dataset: shown, variant: arm, at: at, control: false, split: {false: 1, true: 1}}"
    found = small(project, exposure, shown=base().assign(arm=lambda f: f["arm"] == "new"))
    assert not found.why and set(found.exposed) == {"true", "false"} and known(found.ratio).p is not None
    assert reading(found, "orders", 28, "true").comparison is not None


def test_a_margin_in_points_of_what_is_no_rate_says_so(project: Builder) -> None:
    found = small(project, more="guardrails: [{kpi: orders, margin: 1pp}]")
    assert {r.guard for r in of(found, "orders").readings if r.comparison} == {"unfit"}
    block = known(page_of(project.open(), "wizard", now=NOW).people)
    assert block.rows[0].guard == "Its margin of 1pp is in points, and it is no rate: write it in %"


def test_a_column_of_very_many_values_is_no_variant(project: Builder) -> None:
    found = small(project, shown=base().assign(arm=lambda f: f["who"]))
    assert found.why.startswith("Orders: column arm has 300 variants") or "300 variants" in found.why


def test_days_are_those_of_the_project_and_ids_of_two_types_meet(project: Builder) -> None:
    """Counted by hand: Auckland is 13 hours ahead, exposures have numbers, buys have texts, refunds have dates."""
    at = pd.Timestamp
    shown_ = [(1, "2026-10-05 11:30", "new"), (2, "2026-10-05 10:30", "control"), (3, "2026-10-04 10:30", "new")]
    buys = [("1", "2026-10-05 11:29"), ("1", "2026-10-05 11:30"), ("2", "2026-10-07 10:59"), ("2", "2026-10-07 11:00")]
    project.settings("timezone: Pacific/Auckland\n")
    frame = pd.DataFrame([{"who": w, "at": at(t), "arm": a} for w, t, a in shown_])
    project.rows("shown", frame, entity="who", watermark="whole_days")
    project.rows("buys", pd.DataFrame([{"who": w, "at": at(t)} for w, t in buys]), entity="who")
    dated = pd.DataFrame([{"who": w, "at": at(t).date()} for w, t in [("1", "2026-10-06"), ("1", "2026-10-05")]])
    project.rows("refunds", dated, entity="who")
    for table in ("buys", "refunds"):
        project.kpi(table, f"dataset: {table}\nagg: count")
    project.sync(NOW)
    opened = project.open()
    reader = opened.reader()
    catalogue = opened.catalogue(reader)
    found = {}
    for name in ("buys", "refunds"):
        person = per_person(catalogue.kpi(name), catalogue)
        assert isinstance(person, PerPerson)
        exposure = Exposure(dataset="shown", variant="arm", at="at")
        asked = Asked(exposure, person, at("2026-10-05"), (at("2026-10-08"),), timedelta(days=7))
        rows = exposed_sums(asked, catalogue, reader).set_index(["status", "variant"])
        found[name] = rows
    of_buys = found["buys"].loc["counted"]
    assert of_buys.loc["new", "day"] == at("2026-10-06"), "half past midnight there"
    assert of_buys.loc["control", "day"] == at("2026-10-05")
    assert (of_buys.loc["new", "y0"], of_buys.loc["new", "x"]) == (1, 1), "at the moment itself counts as since"
    assert of_buys.loc["control", "y0"] == 1, "from midnight of the 8th on it is over"
    assert found["buys"].loc[("early", "new"), "n"] == 1
    assert (found["refunds"].loc[("counted", "new"), "y0"], found["refunds"].loc[("counted", "new"), "x"]) == (1, 1)


def test_a_page_asks_no_sums_after_a_sync_and_says_the_same(lifted: tuple[Builder, World], tmp_path: Path) -> None:
    shutil.copytree(lifted[0].folder, tmp_path / "copy")
    project = open_project(tmp_path / "copy")
    context = project.context(NOW)
    launch, generation = context.catalogue.launch("wizard"), context.reader.generation.id
    inputs = known_inputs(project, context)
    known_before = set(json.loads(project.warehouse.companion(generation).read_text())["people"])
    found = people_reading(launch, inputs)
    assert inputs.sums is not None and set(inputs.sums.asked) == known_before
    assert len(known_before) == 4, "two KPIs and the people of before of each"
    page, plain = page_of(project, "wizard", now=NOW), scorecard_dict(project, "wizard", now=NOW)
    project.warehouse.companion(generation).unlink()
    assert people_reading(launch, LaunchInputs(context)) == found, "asked afresh"
    assert page_of(project, "wizard", now=NOW) == page and scorecard_dict(project, "wizard", now=NOW) == plain
