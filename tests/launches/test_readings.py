"""Verdicts through the whole product: when they are made, what they say, that they stay."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import update

from connectors.state import launches as store
from jobs.launches.scorecards import decide, decisions_of, published, read_again
from metrics.launches.impact import METHOD
from metrics.launches.inputs import LaunchInputs
from metrics.launches.words import verdict
from tests.conftest import Builder, known
from tests.launches.conftest import FIRST, LAUNCH, WEB, acts, card, day, kpi, launch, product, score, write_acts

pytestmark = pytest.mark.breadth(2)

DAY = pd.Timedelta(days=1)


def test_no_verdict_before_seven_complete_days_then_one_on_each_day_fixed_beforehand(project: Builder) -> None:
    frame = acts(LAUNCH + 40 * DAY, lift=1.08)
    product(project, frame[frame["at"] < LAUNCH + 6 * DAY])
    launch(project, WEB)
    project.sync(day(6))
    found = score(project, day(6))
    assert found.kept == () and found.today.reading.verdict == ""
    assert found.today.reading.why == "Too early for a verdict: 6 of 7 days are complete."
    for complete, expected in ((7, [7]), (13, [7]), (14, [7, 14]), (28, [7, 14, 28])):
        write_acts(project, frame[frame["at"] < LAUNCH + complete * DAY])
        project.sync(day(complete))
        assert [k.reading.days for k in published(project.open(), "wizard")] == expected
    last = score(project, day(28)).kept[-1].reading
    assert last.verdict == "moved up" and known(last.low) < 0.08 < known(last.high)
    assert last.badges == () and last.control == "platform other than web"
    assert score(project, day(28)).kept[0].reading.badges == ("not firm yet",)


def test_the_effect_is_what_hand_made_means_say(project: Builder) -> None:
    """Difference-in-differences by hand: mean log ratio of web to phones, after against before."""
    frame = acts(LAUNCH + 28 * DAY, lift=1.08)
    product(project, frame)
    launch(project, WEB)
    project.sync(day(28))
    wide = frame.assign(day=frame["at"].dt.normalize()).pivot(index="day", columns="platform", values="v")
    ratio = np.log(wide["web"]) - np.log(wide["ios"] + wide["android"])
    before, after = ratio[ratio.index < LAUNCH].tail(120), ratio[ratio.index >= LAUNCH]
    by_hand = float(np.expm1(after.mean() - before.mean()))
    reading = score(project, day(28)).kept[-1].reading
    assert reading.effect == pytest.approx(by_hand, abs=0.006)
    assert reading.level == pytest.approx(float(np.exp(np.log(wide["web"][wide.index >= LAUNCH]).mean())), rel=0.02)


def test_a_verdict_is_read_again_identically_and_late_data_shows_as_restated(project: Builder) -> None:
    frame = acts(LAUNCH + 14 * DAY, lift=1.08)
    product(project, frame)
    launch(project, WEB)
    project.sync(day(14))
    before = [k.reading for k in published(project.open(), "wizard")]
    late = acts(LAUNCH + 16 * DAY, lift=1.08)
    hit = (late["platform"] == "web") & (late["at"] >= LAUNCH) & (late["at"] < LAUNCH + 14 * DAY)
    late.loc[hit, "v"] = (late.loc[hit, "v"] * 1.10).round()  # rows of these days arrive later
    write_acts(project, late)
    project.sync(day(16))
    assert [k.reading for k in published(project.open(), "wizard")] == before, "what was published stays"
    again = read_again(project.open(), "wizard", now=day(16))
    assert [row["identical"] for row in again] == [True, True], again
    found = score(project, day(16))
    assert set(found.restated) == {7, 14}
    assert found.restated[14].cause == "late data" and known(found.restated[14].reading.effect) > 0.15
    assert known(found.kept[1].reading.effect) < 0.10
    done = kpi("launch", "show", "wizard", "--json", "--project", str(project.folder), "--now", "2026-10-21")
    told = json.loads(done.stdout)["kpis"][0]["readings"][1]["restated"]
    assert told["cause"] == "late data" and told["effect"] == pytest.approx(found.restated[14].reading.effect)
    launch(project, WEB.replace("2026-10-05", "2026-09-28"))  # the file is changed: the verdict was read by the old one
    assert [row["identical"] for row in read_again(project.open(), "wizard", now=day(16))] == [True, True]
    assert score(project, day(16)).restated[14].cause == "launch"


def test_a_redefined_kpi_says_so_and_its_verdict_is_restated_by_definition(project: Builder) -> None:
    frame = acts(LAUNCH + 14 * DAY, lift=1.08)
    product(project, frame)
    launch(project, WEB)
    project.sync(day(14))
    changed = 'filter: v < 1050\nchanges: [{on: 2026-10-12, by: ana, why: "bots excluded"}]'
    product(project, frame, kpi=changed)
    project.sync(day(14, hour=5))
    found = score(project, day(14, hour=5))
    assert found.restated[14].cause == "definition"
    note = "Acts was redefined on 12 Oct 2026 (bots excluded), after the launch."
    assert any(said.startswith(note) for said in found.today.reading.notes)
    assert [row["identical"] for row in read_again(project.open(), "wizard", now=day(14, hour=5))] == [True, True]


def test_weekly_kpis_are_read_by_day_and_their_values_are_kept(project: Builder) -> None:
    frame = acts(LAUNCH + 14 * DAY, lift=1.08)
    product(project, frame, kpi="grain: week")
    project.sync(day(14))
    reader = project.open().reader()
    assert reader.stored_values("acted", "day", "platform", reader.generation.sequence) is None
    launch(project, WEB)
    assert project.sync(day(14, hour=4)).published, "a launch that names a KPI has its days stored"
    reader = project.open().reader()
    stored = reader.stored_values("acted", "day", "platform", reader.generation.sequence)
    assert stored is not None and len(stored.frame) == len(frame)
    found = score(project, day(14, hour=4))
    assert [k.reading.grain for k in found.kept] == ["day", "day"] and found.kept[1].reading.verdict == "moved up"
    assert all(row["identical"] for row in read_again(project.open(), "wizard", now=day(14, hour=4)))
    assert not project.sync(day(14, hour=5)).published, "once"


def test_without_a_control_it_is_directional_and_young_data_is_uncalibrated(project: Builder) -> None:
    product(project, acts(LAUNCH + 14 * DAY, start=LAUNCH - 100 * DAY, lift=1.3))
    launch(project, "on: 2026-10-05\naudience: platform = 'web'\nsuccess: [{kpi: acted}]")
    project.sync(day(14))
    reading = score(project, day(14)).kept[-1].reading
    assert reading.badges == ("directional", "uncalibrated") and reading.factor is None
    assert any(note.startswith("Uncalibrated: 100 days of history precede the launch, 249") for note in reading.notes)


def test_no_effect_is_never_said(project: Builder) -> None:
    product(project, acts(LAUNCH + 14 * DAY))
    launch(project, WEB)
    project.sync(day(14))
    found = score(project, day(14))
    reading = found.kept[-1].reading
    assert reading.verdict == "no clear change"
    said = verdict(found.kpi, reading)
    assert said.startswith("no clear change: smaller than ") and said.endswith("% cannot be seen")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "on: 2026-12-01\naudience: platform = 'web'\nsuccess: [{kpi: acted}]",
            "Nothing to measure yet: Acts is complete to 19 Oct, the launch is on 1 Dec.",
        ),
        (
            "on: 2026-10-05\naudience: platform = 'palm'\nsuccess: [{kpi: acted}]",
            "nobody is in the audience: Acts has no platform palm. It has: android, ios, web.",
        ),
        (
            "on: 2026-01-20\naudience: platform = 'web'\nsuccess: [{kpi: acted}]",
            "Acts is younger than the window: 15 days are known before the launch, 28 are needed.",
        ),
    ],
)
def test_what_cannot_be_read_says_why(project: Builder, text: str, words: str) -> None:
    product(project, acts(LAUNCH + 14 * DAY))
    launch(project, text)
    project.sync(day(14))
    assert score(project, day(14)).today.reading.why == words


def test_a_planned_launch_says_when_and_what_is_ready(project: Builder) -> None:
    product(project, acts(LAUNCH + 14 * DAY))
    launch(project, "on: 2026-12-01\naudience: platform = 'web'\nsuccess: [{kpi: acted, expect: +1%}]")
    project.sync(day(14))
    done = kpi("launch", "show", "wizard", "--json", "--project", str(project.folder), "--now", "2026-10-19")
    told = json.loads(done.stdout)
    assert told["phase"] == "planned" and told["headline"].startswith("It starts in 43 days.")
    words = [check["words"] for check in told["readiness"]]
    assert "Acts: 287 days of history." in words
    assert "No control group: verdicts stay directional." in words


def test_holidays_and_overlaps_are_named(project: Builder) -> None:
    product(project, acts(LAUNCH + 14 * DAY, lift=1.08), settings="holidays: DE\n")
    launch(project, WEB.replace("2026-10-05", "2026-10-03"))  # the day of German unity
    launch(project, "on: 2026-10-10\nsuccess: [{kpi: acted}]", "other")
    project.write("launches", "sale", "name: sale\nkind: campaign\non: 2026-10-06\nuntil: 2026-10-08\nkpis: [acted]\n")
    project.sync(day(14))
    found = card(project, day(14))
    notes = found.scores[0].kept[0].reading.notes
    assert "It was launched on a public holiday (3 Oct): that day is left out." in notes
    assert "Sale (campaign, 6 Oct) touches Acts in the same days." in found.overlaps
    assert "Other (launch, 10 Oct) touches Acts in the same days." in found.overlaps


def test_an_audience_that_the_kpi_cannot_be_split_by_is_said(project: Builder) -> None:
    product(project, acts(LAUNCH + 14 * DAY, lift=1.3))
    launch(project, "on: 2026-10-05\naudience: plan = 'pro'\ncontrol: plan != 'pro'\nsuccess: [{kpi: acted}]")
    project.sync(day(14))
    reading = score(project, day(14)).kept[-1].reading
    assert reading.treated == "everybody" and "directional" in reading.badges
    assert any("cannot be split by plan, so everybody is counted" in note for note in reading.notes)


def test_a_kpi_as_control_and_a_rollout_by_segments(project: Builder) -> None:
    frame = acts(LAUNCH + 14 * DAY, lift=1.08)
    product(project, frame)
    project.kpi("phones", "dataset: acts\nagg: sum\nexpr: v\nfilter: platform != 'web'")
    launch(project, "on: 2026-10-05\naudience: platform = 'web'\ncontrol: phones\nsuccess: [{kpi: acted}]")
    launch(
        project,
        "rollout: [{on: 2026-10-05, segment: platform = 'web'}, {on: 2026-10-12, segment: "
        "platform = 'ios'}]\nsuccess: [{kpi: acted}]",
        "steps",
    )
    project.sync(day(14))
    by_kpi = score(project, day(14)).kept[-1].reading
    assert by_kpi.control == "Phones" and by_kpi.verdict == "moved up" and known(by_kpi.low) < 0.08 < known(by_kpi.high)
    steps = score(project, day(14), "steps").kept[-1].reading
    assert steps.control == "those that did not have it yet" and steps.treated == "2 steps by platform"
    assert steps.verdict == "moved up" and "directional" not in steps.badges


def test_the_decision_has_a_name_a_reason_and_a_date(project: Builder) -> None:
    product(project, acts(LAUNCH + 14 * DAY, lift=1.08))
    launch(project, WEB)
    project.sync(day(14))
    at = datetime(2026, 10, 20, tzinfo=UTC)
    decide(project.open(), "wizard", "keep", "it works", by="ana", now=at)
    decide(project.open(), "wizard", "roll back", "it broke", by="bob", now=at)
    assert [(d.decision, d.by, d.decided_at) for d in decisions_of(project.open(), "wizard")] == [
        ("roll back", "bob", at),
        ("keep", "ana", at),
    ]
    bad = kpi("launch", "decide", "wizard", "shrug", "--project", str(project.folder))
    assert bad.exit_code == 1 and "Known: keep, change, roll back, wait." in bad.stderr


def test_launches_in_the_past_are_read_at_once_from_the_days_of_then(project: Builder) -> None:
    product(project, acts(LAUNCH + 60 * DAY, lift=1.08))
    launch(project, WEB)
    project.sync(day(60))
    kept = published(project.open(), "wizard")
    assert [k.reading.days for k in kept] == [7, 14, 28]
    assert [k.reading.end for k in kept] == [(LAUNCH + d * DAY).date() for d in (7, 14, 28)]
    assert FIRST < LAUNCH


def test_a_verdict_of_an_earlier_method_is_named_as_such(project: Builder) -> None:
    product(project, acts(LAUNCH + 7 * DAY, lift=1.08))
    launch(project, WEB)
    project.sync(day(7))
    with project.open().state.writing() as connection:
        row = store.readings(connection, "wizard")[0]
        document = {**json.loads(row.document), "method": 0, "low": 0.01}
        connection.execute(update(store.READINGS).values(document=json.dumps(document), generation=row.generation))
    (again,) = read_again(project.open(), "wizard", now=day(7))
    said = f"it was measured by version 0 of the method, which is now {METHOD}"
    assert again["identical"] is None and again["why"] == said
    write_acts(project, acts(LAUNCH + 8 * DAY, lift=1.08))
    project.sync(day(8))
    assert score(project, day(8)).restated[7].cause == "method"


def test_what_people_allow_is_kept_with_a_verdict_that_their_rows_no_longer_tell(
    project: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People who do much one day and little another; later some rows are gone that the floor was measured from."""
    rng, begin, days = np.random.default_rng(4), LAUNCH - 70 * DAY, 84
    who, at = np.tile(np.arange(200), days), np.repeat(np.arange(days), 200)
    rows = pd.DataFrame({"who": [f"u{i}" for i in who], "at": begin + pd.to_timedelta(at * 24 + 12, unit="h")})
    rows["v"] = rng.gamma(0.05, 100, len(rows))
    project.rows("buys", rows, entity="who", watermark="whole_days")
    project.kpi("revenue", "dataset: buys\nagg: sum\nexpr: v\nowner: ana@example.com\ngrains: [day]")
    launch(project, "on: 2026-10-05\nsuccess: [{kpi: revenue}]")
    project.sync(day(14))
    first, last = (item.reading for item in published(project.open(), "wizard"))
    mean = rows["v"].sum() / days
    exact = (
        1.96 * np.sqrt(200 * 0.05 * 100**2 * (1 / 14 + 1 / 60)) / mean
    )  # gamma: variance of a day's sum, over its mean
    assert known(last.sampling) == pytest.approx(np.expm1(exact), rel=0.15)
    assert known(first.sampling) > known(last.sampling) and last.relative
    with monkeypatch.context() as patched:
        patched.setattr(LaunchInputs, "_counted", lambda *_: pytest.fail("a page asks no people"))
        assert score(project, day(14)).today.reading.sampling == last.sampling
    folder = "--project", str(project.folder)
    told = json.loads(kpi("launch", "show", "wizard", "--json", *folder).stdout)
    reading = told["kpis"][0]["readings"][1]
    assert (reading["sampling"], reading["floor"]) == (last.sampling, last.floor)
    for form in ("html", "markdown"):
        assert "Sampling alone: ±" in kpi("launch", "show", "wizard", "--format", form, *folder).stdout
    rows.loc[rows["at"] < LAUNCH, "v"] *= rng.choice([0.0, 2.0], int((rows["at"] < LAUNCH).sum()))
    rows.to_parquet(project.folder / "files" / "buys.parquet", index=False)
    project.sync(day(14, hour=9))
    assert [row["identical"] for row in read_again(project.open(), "wizard", now=day(14, hour=9))] == [True, True]
