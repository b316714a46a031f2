"""The grains at which an offset means something are those that the engine can shift by."""

from __future__ import annotations

from metrics.catalog.formula import WHOLE_IN
from metrics.engine.periods import WHOLE
from tests.conftest import Builder


def test_catalogue_and_engine_know_the_same_grains() -> None:
    assert {(grain, of) for of, grains in WHOLE_IN.items() for grain in grains} == set(WHOLE)


def test_a_grain_that_an_offset_forbids_is_told_with_its_line(project: Builder) -> None:
    project.write("datasets", "events", "name: events\nsource: events\ntime_dimension: at\n")
    project.kpi("n", "dataset: events\nagg: count")
    project.kpi("g", "type: derived\nexpr: '{n} / {n} offset 1 week'\ngrains: [day, month]")
    catalogue = project.open().catalogue()
    (told,) = map(str, catalogue.problems)
    assert "kpis/g.yml:4: warning: an offset by week is no whole number of months" in told and "left are: day" in told
    assert catalogue.kpi("g").offered_grains == ("day",)
