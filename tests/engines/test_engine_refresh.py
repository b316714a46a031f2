"""kpi sync of a project whose rows are in an engine: what it stores is what DuckDB stores of the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.warehouse.contract import SeriesKey, StoredSeries
from jobs.project.project import Project, open_project
from jobs.sync import sync
from tests.conftest import NOW, finished
from tests.engines import worlds
from tests.engines.projects import elsewhere, same_values, stored, tables_by_url
from tests.engines.servers import Tables

ENGINES = ("postgres", "chdb", "sail", "sail-cluster")


class Known:
    """A project as DuckDB has it: its values, and its tables for another engine."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.values: dict[SeriesKey, StoredSeries] = stored(project)
        self.tables: Tables = worlds.arrow_tables(project.reader())


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """KPIs of every type."""
    built = worlds.made(tmp_path_factory.mktemp("refresh") / "project")
    built.sync()
    return Known(built.open())


@pytest.fixture(scope="module")
def demo(demo_folder: Path) -> Known:
    return Known(open_project(demo_folder))


@pytest.fixture(scope="module", params=ENGINES)
def url(
    request: pytest.FixtureRequest, types: Known, demo: Known, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """One engine after the other, with the rows of both."""
    tables, folder = {**types.tables, **demo.tables}, tmp_path_factory.mktemp("engine")
    with tables_by_url(request.param, tables, folder, lambda: request.getfixturevalue("postgres"), "refreshed") as one:
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("which", ["types", "demo"])
def test_all_stored_values_are_as_of_duckdb(
    url: str, which: str, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    known: Known = request.getfixturevalue(which)
    project = elsewhere(known.project.folder, tmp_path / "project", url)
    with caplog.at_level("INFO", logger="metrics.engine"):
        result = finished(sync(project, now=NOW))
    assert result.published and not result.failed and not result.problems
    assert not [record.message for record in caplog.records if "not shared" in record.message]
    same_values(known.values, stored(project))
    live, other = known.project.reader(), project.reader()
    assert other.dataset_states(other.generation.sequence) == live.dataset_states(live.generation.sequence)


@pytest.mark.slow
def test_rows_that_come_and_change_are_in_the_next_sync(url: str, types: Known, tmp_path: Path) -> None:
    """Nobody tells which rows differ, so all is computed; what does not differ gets no new version."""
    project = elsewhere(types.project.folder, tmp_path / "project", url)
    for path in (project.folder / "kpis").glob("*.yml"):
        if path.stem not in ("n", "total", "people"):
            path.unlink()
    first = finished(sync(project, now=NOW))
    again = finished(sync(project, now=NOW))
    assert first.written > 0 and again.published and again.written == 0
