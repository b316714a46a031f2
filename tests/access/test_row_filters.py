"""A role's row filters: every answer is that over a copy of the data with only those rows, and else a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import KpiError, QueryRefused, UnknownName, Withheld
from connectors.warehouse.contract import DatasetState, Reader
from connectors.warehouse.delegating import DelegatingReader
from jobs.access.rights import Rights
from jobs.access.seen import seen_by
from jobs.project.project import Project
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.restriction import Restriction, RowFilter
from metrics.engine.answer import answer
from metrics.engine.query import Query, Series
from tests.conftest import NOW
from tests.engines import worlds
from tests.engines.asking import RANDOM, question_of
from tests.engines.worlds import World, same
from tests.sampling import sampled

pytestmark = pytest.mark.slow  # of the ways out, tests/access/test_role_ways_out.py is in `make test`, too
PLATFORMS = (("web",), ("ios",), ("web", "ios"))
COUNTRIES = (("DE",), ("DE", "FR"))
FILTERS = [("platform", values) for values in PLATFORMS] + [("country", values) for values in COUNTRIES]


class AsOfTheWhole(DelegatingReader):
    """A copy of some rows, observed as the whole is: up to when, and since when."""

    def __init__(self, copy: Reader, whole: Reader) -> None:
        super().__init__(copy)
        self._whole = whole

    def dataset_states(self, sequence: int) -> dict[str, DatasetState]:
        return dict(self._whole.dataset_states(self._whole.generation.sequence))


def seen(project: Project, dimension: str, values: tuple[str, ...]) -> Project:
    rows = (RowFilter(dimension, values),)
    return seen_by(project, Rights("some", frozenset(), None, Restriction(rows=rows)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = worlds.made(tmp_path_factory.mktemp("rows") / "whole")
    project.sync()  # finished values and roll-ups of all rows are there, and must not be shown
    return project.open()


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, tuple[str, ...]], Project]:
    """Projects of the same definitions whose tables hold only those rows; made when first asked for."""

    @cache
    def copied(dimension: str, values: tuple[str, ...]) -> Project:
        frames = worlds.tables()
        if dimension == "platform":
            kept = {n: f[f["platform"].isin(values)] if "platform" in f else f for n, f in frames.items()}
        else:
            countries = dict(zip(range(1, 40), ["DE", "FR", "US"] * 13, strict=True))
            kept = {n: f[f["user_id"].map(countries).isin(values)] for n, f in frames.items()}
        folder = tmp_path_factory.mktemp("rows") / f"{dimension}-{'-'.join(values)}"
        return worlds.made(folder, kept).open()

    return copied


def of(seen_project: Project) -> tuple[Catalogue, Reader]:
    context = seen_project.context(NOW)
    return context.catalogue, context.reader


@sampled(fast=0, slow=20, full=500)
@given(question=RANDOM, chosen=st.sampled_from(FILTERS))
def test_an_answer_is_that_over_a_copy_of_the_rows(
    question: dict[str, Any],
    chosen: tuple[str, tuple[str, ...]],
    whole: Project,
    copies: Callable[[str, tuple[str, ...]], Project],
) -> None:
    catalogue, reader = of(seen(whole, *chosen))
    copy = copies(*chosen)
    copied = AsOfTheWhole(copy.reader(), whole.reader())
    world = World(whole.catalogue(), reader, copied, worlds.FIRST, worlds.FIRST, worlds.VALUES, {})
    asked = question_of(question, world)
    try:
        expected = answer(asked, copy.catalogue(), copied, from_facts=True)
    except KpiError:
        expected = None
    lacking = lacks(whole.catalogue(), asked.kpi, chosen[0])
    try:
        found = answer(asked, catalogue, reader)
    except Withheld:
        assert lacking
        return
    except (QueryRefused, UnknownName):  # as of the copy: a segment that is not there, a grain that it lacks
        assert expected is None
        return
    assert not lacking and expected is not None
    same(expected, found, asked)
    assert found.level == "facts"
    as_the_whole(asked, found, whole)


def lacks(catalogue: Catalogue, name: str, dimension: str) -> bool:
    return any(dimension not in catalogue.datasets[d].dimensions for d in catalogue.datasets_of(catalogue.kpi(name)))


def as_the_whole(asked: Query, found: Series, whole: Project) -> None:
    """Watermark, first period and what is complete are of all rows."""
    plain = answer(replace(asked, by=None, where=(), compare=None), whole.catalogue(), whole.reader())
    assert (found.watermark, found.begins) == (plain.watermark, plain.begins)
    if asked.grain != "total":
        complete = plain.frame.set_index("period")["complete"]
        assert (found.frame["complete"] == found.frame["period"].map(complete)).all()


def test_every_type_is_asked_and_what_lacks_the_column_is_refused(whole: Project) -> None:
    """So that the random questions cannot pass by refusing."""
    catalogue, reader = of(seen(whole, "platform", ("web",)))
    answered = {name for name in catalogue.kpis if name not in catalogue.withheld}
    assert {catalogue.kpis[name].type for name in answered} == {kpi.type for kpi in whole.catalogue().kpis.values()}
    refused = {*catalogue.kpis} - answered
    assert refused == {name for name in whole.catalogue().kpis if lacks(whole.catalogue(), name, "platform")}
    for name in refused:
        with pytest.raises(Withheld, match="has no dimension 'platform'"):
            answer(Query(name), catalogue, reader)


def test_nobody_without_the_claim_sees_a_row(whole: Project) -> None:
    rows = (RowFilter("platform", (), "your sign-in says no claim.platform"),)
    nothing = seen_by(whole, Rights("some", frozenset(), None, Restriction(rows=rows)))
    catalogue, reader = of(nothing)
    assert {*catalogue.withheld} == {*catalogue.kpis}
    with pytest.raises(Withheld, match="your sign-in says no"):
        answer(Query("n"), catalogue, reader)


def test_what_was_kept_of_all_rows_is_not_there(whole: Project) -> None:
    part = seen(whole, "platform", ("web",))
    reader, sequence = part.reader(), part.reader().generation.sequence
    assert whole.reader().stored_values("n", "day", "", sequence) is not None
    assert reader.stored_values("n", "day", "", sequence) is None
    assert not reader.stored_series([("n", "day", "")], sequence) and not reader.rollups()
    assert not reader.all_stored_definitions() and not reader.stored_definitions("n", "day")
    assert reader.quarantine().empty and not reader.failures()
    assert part.companion("x") != whole.companion("x")
    assert part.catalogue().definition("n") != whole.catalogue().definition("n")
