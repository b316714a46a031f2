"""Where parts of a KPI lie in two datasets that both have a dimension, the answer says whose is meant."""

from __future__ import annotations

import pandas as pd

from metrics.engine.query import Filter
from metrics.kpi_views.kpi_page import kpi_page
from tests.conftest import NOW, Builder, run_cli

AT = pd.Timestamp("2026-11-02")


def world(project: Builder) -> None:
    people = pd.DataFrame({"user_id": [1, 2], "plan": ["a", "b"], "country": ["de", "fr"], "at": AT})
    visits = pd.DataFrame({"user_id": [1, 1, 2], "country": ["us", "de", "fr"], "at": AT})
    project.rows("people", people, primary_key="user_id", dimensions="[plan, country]", label="People")
    join = "[{dataset: people, by: user_id, dimensions: [plan]}]"
    project.rows("visits", visits, dimensions="[country]", join=join)
    project.kpi("visits", "dataset: visits\nagg: count")
    project.kpi("users", "dataset: people\nagg: count")
    parts = "numerator: {dataset: visits, agg: count}\ndenominator: {dataset: people, agg: count}"
    project.kpi("per_head", f"type: ratio\n{parts}")
    project.kpi("derived", "type: derived\nexpr: '{visits} / {users}'")
    project.kpi("nested", "type: derived\nexpr: '2 * {per_head}'")
    project.sync(NOW)


def test_a_dimension_of_two_datasets_says_whose_it_is(project: Builder) -> None:
    world(project)
    where = (Filter("country", ("de",)),)
    said = "country is each part's own: that of visits for %s, that of People for %s"
    assert project.ask("per_head", where=where).notes == (said % ("numerator", "denominator"),)
    assert project.ask("per_head", by="country").notes == (said % ("numerator", "denominator"),)
    assert project.ask("derived", where=where).notes == (said % ("Visits", "Users"),)
    assert project.ask("nested", where=where).notes == (said % ("Per head, numerator", "Per head, denominator"),)
    assert project.values("per_head", grain="total", where=where)["total"] == 1  # one German visit, one German


def test_one_column_for_all_parts_needs_no_word(project: Builder) -> None:
    world(project)
    assert project.ask("per_head", by="plan").notes == (), "visits borrow the plan of people"
    assert project.ask("visits", by="country").notes == () == project.ask("per_head").notes


def test_command_and_page_say_it(project: Builder) -> None:
    world(project)
    done = run_cli("--project", str(project.folder), "query", "per_head", "--where", "country=de")
    assert "country is each part's own: that of visits for numerator" in done.stderr
    page = kpi_page(project.open().context(NOW), "per_head", where=(Filter("country", ("de",)),))
    assert page.notes[0].startswith("Country is each part's own: ") and page.notes[0].endswith("for denominator.")
