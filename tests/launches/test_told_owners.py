"""Owners are told of verdicts and of guardrails that break, once, through the alert channels."""

from __future__ import annotations

import json
import subprocess

import pandas as pd
import pytest

from connectors.errors import DefinitionError
from connectors.state import launches as store
from jobs.launches.registry import add
from jobs.launches.scorecards import published
from jobs.launches.verdicts import publish_verdicts
from jobs.snapshots.message import dressed
from metrics.launches.scorecard import KpiScore
from tests.conftest import KPI, Builder
from tests.jobs.conftest import Web, messages
from tests.jobs.conftest import web as web
from tests.launches.conftest import LAUNCH, WEB, acts, day, kpi, launch, product, score, write_acts

pytestmark = pytest.mark.breadth(2)

DAY = pd.Timedelta(days=1)
RAIL = WEB + "\nguardrails: [{kpi: acted, limit: '< 2300'}]"


def test_a_reading_is_told_once(project: Builder, web: Web) -> None:
    frame = acts(LAUNCH + 14 * DAY, lift=1.08)
    product(
        project,
        frame,
        settings=f"url: https://kpi.example/\ncontact_points: [{{name: ana@example.com, url: '{web.url}'}}]\n",
    )
    launch(project, WEB)
    project.sync(day(14))
    first = messages(project)
    assert [m.title for m in first] == ["Shop: Wizard, new verdict"] and len(web.got) == 1
    body = first[0].body.splitlines()
    assert body[0].startswith("D+7 Acts: moved up by ") and body[0].endswith("[not firm yet]")
    assert body[1].startswith("D+14 Acts: moved up by ") and "https://kpi.example/launch?launch=wizard" in body
    project.sync(day(14, hour=5))
    publish_verdicts(project.open(), now=day(14, hour=6), render=dressed)
    assert len(messages(project)) == 1


def test_verdicts_of_long_ago_are_kept_and_nobody_is_told(project: Builder, web: Web) -> None:
    product(project, acts(LAUNCH + 60 * DAY), settings=f"contact_points: [{{name: default, url: '{web.url}'}}]\n")
    launch(project, WEB)
    project.sync(day(60))
    assert len(published(project.open(), "wizard")) == 3 and web.got == []


def test_a_guardrail_that_breaks_and_holds_again_is_told_both_times(project: Builder, web: Web) -> None:
    frame = acts(LAUNCH + 6 * DAY)
    frame.loc[frame["at"] >= LAUNCH + 2 * DAY, "v"] += 300
    product(project, frame, settings=f"contact_points: [{{name: default, url: '{web.url}'}}]\n")
    launch(project, RAIL)
    project.sync(day(6))
    state = next(s.guard for s in [*_scores(project)] if s.guard)
    assert state.holds is False and state.since >= LAUNCH + 2 * DAY
    assert [m.title for m in messages(project)] == ["Shop: Wizard, guardrail breached"]
    line = messages(project)[0].body.splitlines()[0]
    assert line.startswith("GUARDRAIL BREACHED Acts: ") and line.endswith("must stay below 2,300")
    later = acts(LAUNCH + 7 * DAY)
    later.loc[later["at"] < LAUNCH + 6 * DAY, "v"] = frame["v"].to_numpy()
    write_acts(project, later)
    project.sync(day(7))
    assert messages(project)[-1].title == "Shop: Wizard, new verdict"
    assert any("Guardrail holds again Acts" in line for line in messages(project)[-1].body.splitlines())
    with project.open().state.reading() as connection:
        breaches = store.breaches(connection, "wizard")
    assert len(breaches) == 1 and breaches[0].closed_at is not None


def _scores(project: Builder) -> tuple[KpiScore, ...]:
    from tests.launches.conftest import card

    return card(project, day(6)).scores


@pytest.mark.slow
def test_two_evaluators_at_once_make_each_verdict_once(project: Builder) -> None:
    product(project, acts(LAUNCH + 28 * DAY, lift=1.08))
    project.sync(day(28))
    launch(project, WEB)
    command = [*KPI, "launch", "read", "--json", "--now", "2026-11-02T03:00:00Z"]
    running = [
        subprocess.Popen([*command, "--project", str(project.folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    done = [len(json.loads(process.communicate()[0])["readings"]) for process in running]
    assert sorted(done) == [0, 0, 3], done
    assert [k.reading.days for k in published(project.open(), "wizard")] == [7, 14, 28]


def test_a_launch_is_kept_edited_and_removed_from_the_shell(project: Builder) -> None:
    product(project, acts(LAUNCH + 14 * DAY, lift=1.08))
    project.sync(day(14))
    at = ["--project", str(project.folder), "--now", "2026-10-19T03:00:00Z"]
    made = kpi(
        "launch",
        "add",
        "wizard",
        "--on",
        "2026-10-05",
        "--audience",
        "platform = 'web'",
        "--control",
        "platform != 'web'",
        "--success",
        "acted:+8%",
        "--guardrail",
        "acted:< 9,999",
        *at,
    )
    assert made.exit_code == 0 and "wizard: Wizard, launch on 2026-10-05" in made.stdout, made.stderr
    twice = kpi("launch", "add", "wizard", "--on", "2026-10-06", *at)
    assert twice.exit_code == 1 and "there is a launch 'wizard' already" in twice.stderr
    wrong = kpi("launch", "add", "other", "--on", "2026-10-06", "--success", "actd", *at)
    assert wrong.exit_code == 1 and "unknown KPI 'actd'" in wrong.stderr and "Did you mean 'acted'?" in wrong.stderr
    assert kpi("launch", "read", *at).exit_code == 0
    assert score(project, day(14)).kept[-1].reading.verdict == "moved up"
    shown = kpi("launch", "show", "wizard", "--format", "markdown", *at).stdout
    assert shown.startswith("# Wizard\n") and "| Acts (success) | moved up by " in shown
    verified = kpi("launch", "show", "wizard", "--verify", "--json", *at)
    assert verified.exit_code == 0 and '"identical": true' in verified.stdout
    stays = kpi("launch", "remove", "wizard", "--project", str(project.folder))
    assert stays.exit_code == 1 and "verdicts of wizard were published, so it stays" in stays.stderr
    moved = kpi("launch", "add", "wizard", "--on", "2026-10-06", "--success", "acted", "--replace", *at)
    assert moved.exit_code == 1 and "Make a launch of another name." in moved.stderr
    assert kpi("launch", "add", "later", "--on", "2026-12-01", "--success", "acted", *at).exit_code == 0
    assert kpi("launch", "remove", "later", "--project", str(project.folder)).exit_code == 0
    assert '"later"' not in kpi("launch", "list", "--json", *at).stdout
    gone = kpi("launch", "show", "later", *at)
    assert gone.exit_code == 1 and "unknown launch 'later'" in gone.stderr


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_hostile_words_are_harmless_in_exports(project: Builder, form: str) -> None:
    product(project, acts(LAUNCH + 7 * DAY))
    nasty = "<script>alert(1)</script> " + "ا" * 30 + " | [x](javascript:1) `"
    launch(project, f"{WEB}\nhypothesis: '{nasty}'\nlinks: {{'<b>': 'javascript:alert(1)'}}")
    project.sync(day(7))
    done = kpi("launch", "show", "wizard", "--format", form, "--project", str(project.folder))
    assert done.exit_code == 0 and "<script>" not in done.stdout
    assert "href='javascript" not in done.stdout and (form == "html" or "\\]\\(javascript" not in done.stdout)
    assert form == "html" or "\\[x\\](javascript" in done.stdout, "a link that is none"
    assert ("&lt;script&gt;" in done.stdout) == (form == "html")


def test_a_page_cannot_bring_sql(project: Builder) -> None:
    product(project, acts(LAUNCH + 7 * DAY))
    project.sync(day(7))
    text = "name: wizard\non: 2026-10-05\nsuccess: [{kpi: acted}]\naudience: "
    for bad in ("platform = repeat('x', 1500000000)", "v > 1.0 + v", "platform = 'a' OR 1 = 1"):
        with pytest.raises(DefinitionError, match="more than a page may ask for"):
            add(project.open(), text + bad, by="ana", now=day(7), from_page=True)
    assert add(project.open(), text + "platform IN ('web')", by="ana", now=day(7), from_page=True).name == "wizard"
