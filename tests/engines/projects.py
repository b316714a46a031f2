"""Projects whose rows are in an engine: the definitions of one that DuckDB has synced, and what both have stored."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from connectors.warehouse.contract import SeriesKey, StoredSeries
from connectors.warehouse.engines.clickhouse import ClickHouseEngine
from connectors.warehouse.engines.opening import open_engine
from connectors.warehouse.engines.spark import SparkEngine
from jobs.project.pace import Progress
from jobs.project.project import Project, open_project
from jobs.sync import SyncResult, sync
from metrics.engine.sql.dialects import SESSION
from tests.conftest import NOW, Builder
from tests.engines.servers import Tables, into_clickhouse, into_postgres, into_spark, needed, sail

SHARED_SESSION = "/;session_id=5e6c7a52-0d3c-4c3e-9d25-2f0f8f1f3a11;user_id=test"  # Sail's own tables are one session's


KPIS = {
    "sales": "dataset: events\nagg: sum\nexpr: amount\noverview: true\nthresholds: {warning: '< 1'}",
    "buyers": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "late": "dataset: nights\nagg: max\nexpr: amount",
}
NIGHTS = 'name: nights\nsql: SELECT * FROM events WHERE hour("at") >= 20\ntime_dimension: at\ndimensions: [platform]\n'


def made_shop(folder: Path) -> Builder:
    """A small project, synced into DuckDB: a table, a SELECT, a rule, a launch, a snapshot."""
    built = Builder(folder)
    rng = np.random.default_rng(11)
    at = pd.date_range("2026-10-01", "2026-11-23 02:00", freq="4h")
    rows = {
        "event_id": range(len(at)),
        "at": at,
        "user_id": rng.integers(1, 60, len(at)),
        "amount": rng.random(len(at)),
    }
    platform = [("web", "ios", None)[i % 3] for i in range(len(at))]
    built.rows("events", pd.DataFrame({**rows, "platform": platform}), dimensions="[platform]", primary_key="event_id")
    built.write("datasets", "nights", NIGHTS)
    built.write("launches", "search", "name: search\non: 2026-10-26\nsuccess: [{kpi: sales, expect: +10%}]\n")
    for name, text in KPIS.items():
        built.kpi(name, text)
    (built.folder / "snapshots").mkdir()
    built.write("snapshots", "week", "name: week\nsections: [{title: Shop, kpis: [sales, buyers]}]\n")
    assert not built.sync().problems
    return built


@contextmanager
def tables_by_url(name: str, tables: Tables, folder: Path, postgres: Callable[[], str], world: str) -> Iterator[str]:
    """The URL of an engine that has these tables. folder: for its files; postgres: the URL of a server; world: a name.

    A real server is one: whoever opens the URL sees the tables.
    """
    needed(name)
    if name == "postgres":
        yield into_postgres(postgres(), world, tables)
    elif name == "chdb":
        url = f"clickhousedb:///{world}?interface=chdb"
        with closing(open_engine("clickhousedb://?interface=chdb", SESSION)) as owner:
            assert isinstance(owner, ClickHouseEngine)
            owner.client.command(f"CREATE DATABASE `{world}`")
            with closing(open_engine(url, SESSION)) as engine:
                assert isinstance(engine, ClickHouseEngine)
                into_clickhouse(engine, tables)
            yield url
            owner.client.command(f"DROP DATABASE `{world}`")
    else:
        with sail(folder, "local-cluster" if name == "sail-cluster" else "local") as server:
            url = server + SHARED_SESSION
            fill_spark(url, tables, folder)
            yield url


def fill_spark(url: str, tables: Tables, folder: Path) -> None:
    engine = open_engine(url, SESSION)
    assert isinstance(engine, SparkEngine)
    into_spark(engine, tables, folder)
    engine.close()


def elsewhere(folder: Path, target: Path, url: str) -> Project:
    """The definitions of a project in a new folder, where `warehouse` is this URL and no source is."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("data", "files", "sources.yml"))
    settings = target / "settings.yml"
    text = settings.read_text() if settings.exists() else ""
    settings.write_text(f"{text}\nwarehouse: '{url}'\n")
    return open_project(target)


def stored(project: Project) -> dict[SeriesKey, StoredSeries]:
    """All values of the live generation, of every KPI, grain and dimension."""
    reader = project.reader()
    kpis = project.catalogue().kpis.values()
    keys = [
        (kpi.name, grain, by)
        for kpi in kpis
        for grain in kpi.offered_grains
        for by in ("", *project.catalogue().dimensions_of(kpi))
    ]
    return dict(reader.stored_series(keys, reader.generation.sequence))


def same_values(here: dict[SeriesKey, StoredSeries], there: dict[SeriesKey, StoredSeries]) -> None:
    """Fails unless both have the same series by the same definitions: values, parts, counts, what is complete."""
    assert set(here) == set(there)
    for key, mine in here.items():
        theirs = there[key]
        assert mine.definition == theirs.definition, key
        _same_frame(mine.frame, theirs.frame, key)


def _same_frame(mine: pd.DataFrame, theirs: pd.DataFrame, key: Any) -> None:
    exact, near = ["segment", "period", "n", "complete"], ["value", "numerator", "denominator"]
    pd.testing.assert_frame_equal(mine[exact], theirs[exact], obj=str(key))
    pd.testing.assert_frame_equal(mine[near], theirs[near], check_exact=False, rtol=1e-6, atol=1e-9, obj=str(key))
    assert mine["parts"].notna().tolist() == theirs["parts"].notna().tolist(), key
    for left, right in zip(mine["parts"].dropna(), theirs["parts"].dropna(), strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-6, atol=1e-9, err_msg=str(key))


def told(result: SyncResult) -> str:
    """The sentence of a failed sync."""
    assert result.failed and not result.published
    return result.sources[0].error


def interrupted(project: Project, at: str, do: Callable[[], object]) -> SyncResult:
    """A sync in whose middle, when it comes to a KPI, something happens."""
    steps = []
    for step in sync(project, now=NOW):
        steps.append(step)
        if isinstance(step, Progress) and step.text == f"Computing {at}":
            do()
    result = steps[-1]
    assert isinstance(result, SyncResult)
    return result
