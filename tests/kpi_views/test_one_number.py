"""Card, KPI page, CSV and `kpi query` never disagree; stored values equal facts."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.engine.answer import answer
from metrics.engine.query import Filter, Query
from metrics.kpi_views.card import card, latest
from metrics.kpi_views.kpi_page import kpi_page, segments
from metrics.kpi_views.overview import overview
from metrics.presentation import export
from metrics.presentation import format as fmt
from tests.conftest import ROOT
from tests.sampling import sampled

DEMO_KPIS = sorted(p.stem for p in (ROOT / "metrics" / "definitions" / "kpis").glob("*.yml"))


@pytest.mark.parametrize("name", DEMO_KPIS)
def test_card_page_csv_and_query_show_one_number(demo_world: Any, name: str) -> None:
    kpi = demo_world.catalogue.kpi(name)
    own, page, number = card(demo_world, name), kpi_page(demo_world, name, range_="all"), latest(demo_world, kpi)
    rows = export.as_dict(answer(Query(name), demo_world.catalogue, demo_world.reader))["rows"]
    done = [row for row in rows if row["complete"]][-1]
    lines = [r for r in csv.DictReader(io.StringIO(page.csv)) if r["complete"] == "true"]
    assert number.value == done["value"] == float(lines[-1]["value"])
    assert f"{number.period:%Y-%m-%d}" == done["period"] == lines[-1]["period"]
    assert own.value == page.card.value == fmt.value_text(done["value"], kpi, compact=True)
    table = page.table[page.table["Complete"] == "yes"]
    assert table[kpi.title].iloc[0] == fmt.value_text(done["value"], kpi)


@sampled(fast=12, slow=50, full=1000)
@given(data=st.data())
def test_stored_values_equal_facts(demo_world: Any, data: st.DataObject) -> None:
    catalogue, reader = demo_world.catalogue, demo_world.reader
    name = data.draw(st.sampled_from(DEMO_KPIS))
    kpi = catalogue.kpi(name)
    dimensions = catalogue.dimensions_of(kpi)
    grain = data.draw(st.sampled_from([g for g in kpi.offered_grains if g != "hour"]))
    by = data.draw(st.sampled_from([None, *dimensions]))
    where: tuple[Filter, ...] = ()
    if by is None and dimensions and data.draw(st.booleans()):
        dimension = data.draw(st.sampled_from(dimensions))
        where = (Filter(dimension, (data.draw(st.sampled_from(segments(demo_world, name, dimension))),)),)
    query = Query(name, grain, by=by, where=where)
    stored, facts = answer(query, catalogue, reader), answer(query, catalogue, reader, from_facts=True)
    assert (stored.level, facts.level) == ("stored", "facts")
    assert list(stored.frame["segment"]) == list(facts.frame["segment"])
    assert list(stored.frame["period"]) == list(facts.frame["period"])
    for column in ("value", "numerator", "denominator"):
        np.testing.assert_allclose(stored.frame[column], facts.frame[column], rtol=1e-9)
    assert stored.frame["n"].equals(facts.frame["n"]) and list(stored.frame["complete"]) == list(
        facts.frame["complete"]
    )


def test_the_demo_tells_its_story(demo_world: Any) -> None:
    found = overview(demo_world)
    assert (
        found.headline == "2 of 14 off track, 1 of them worsening; worst Error-free sessions, 0.8 points under target"
    )
    status = {c.name: c.status.slug for c in found.cards}
    assert status["p95_load_time"] == "off_track" and status["tickets_per_1000"] == "waiting_for_data"
    assert [c.status.slug for c in found.cards] == sorted(
        (c.status.slug for c in found.cards), key=["off_track", "at_risk", "waiting_for_data", "on_track"].index
    )
    assert len(demo_world.reader.quarantine()) == 37
    comments = demo_world.reader.frame("SELECT count(comment) AS n FROM feedback")["n"].iloc[0]
    assert 500 <= comments <= 700


def test_the_demo_is_what_demo_md_says(demo_world: Any) -> None:
    about = {
        "sign_ups": (2710, 0.02),
        "activation": (0.412, 0.02),
        "trial_to_paid": (0.087, 0.03),
        "stickiness": (0.33, 0.03),
        "week_4_retention": (0.316, 0.03),
        "new_editor_adoption": (0.22, 0.05),
        "logo_churn": (0.022, 0.05),
        "error_free_sessions": (0.984, 0.001),
        "p95_load_time": (2.7, 0.04),
        "nps": (44, 0.05),
        "quick_ratio": (1.4, 0.12),
    }
    for name, (value, near) in about.items():
        assert latest(demo_world, demo_world.catalogue.kpi(name)).value == pytest.approx(value, rel=near), name


def test_activation_rose_on_the_web_after_guided_onboarding_and_nowhere_else(demo_world: Any) -> None:
    series = answer(Query("activation", by="platform"), demo_world.catalogue, demo_world.reader).frame
    organic = series[series["complete"] & (series["period"] >= "2026-05-01")]
    after = organic["period"] >= "2026-09-14"
    before = organic["period"] < "2026-08-10"
    change = organic[after].groupby("segment")["value"].mean() - organic[before].groupby("segment")["value"].mean()
    assert change["web"] == pytest.approx(0.05, abs=0.015)
    assert abs(change["ios"]) < 0.02 and abs(change["android"]) < 0.02
