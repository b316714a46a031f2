"""kpi sync of a project whose rows an engine reads from a lake: what is stored is what DuckDB stores, sync by sync."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connectors.errors import EngineFailed
from connectors.warehouse.engines.reader import EngineReader
from connectors.warehouse.lake import days
from jobs.alerts.data_alerts import data_alerts
from jobs.project.project import Project, open_project
from jobs.sync import SyncResult, sync
from metrics.engine.answer import answer
from metrics.engine.explain import Explained
from metrics.engine.query import Filter, Query
from tests.conftest import NOW, Builder, finished
from tests.engines import worlds
from tests.engines.projects import interrupted, made_shop, same_values, stored, tables_by_url, told
from tests.engines.servers import NO_RIGHTS, needed, sail
from tests.engines.test_engine_lost import Sail
from tests.engines.worlds import arrow_tables
from tests.lake import places
from tests.lake.lakes import CHDB, LakeShop, beside, kept, of_days, rows_in
from tests.lake.places import BucketPlace, Place
from tests.sampling import cases

# Of each type, and of each way in which days touch others: windows, joins, people that are followed, other clocks.
KPIS = ("n", "total", "median", "active7", "share", "twice", "running", "bills", "evening", "orders", "by_plan", "pay",
        "funnel", "day_3", "life", "nps", "balance", "own")  # fmt: skip
ENGINES = ("chdb", "sail")[: cases(fast=1, slow=1, full=2)]
PLACES = ("folder", "bucket")[: cases(fast=1, slow=1, full=2)]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine without any table of its own."""
    needed(request.param)
    rights = places.rights() if "bucket" in PLACES else NO_RIGHTS
    folder = tmp_path_factory.mktemp("sail")
    with nullcontext(CHDB) if request.param == "chdb" else sail(folder, "local", rights) as one:
        yield one


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place | None:
    """Where the lake is; None = in a folder of the project."""
    return BucketPlace() if request.param == "bucket" else None


class Both:
    """The suite's KPIs of every type over the same files: in DuckDB, and in an engine over a lake."""

    def __init__(self, built: Builder, lake: Project) -> None:
        self.built, self._folder, self.now = built, lake.folder, NOW
        self.frames = worlds.tables()
        self.told = Explained()

    @property
    def lake(self) -> Project:
        return open_project(self._folder)

    def write(self, **frames: pd.DataFrame) -> None:
        for name, frame in frames.items():
            path = self.built.folder / "files" / ".fresh"
            frame.to_parquet(path, index=False)
            path.rename(path.with_name(f"{name}.parquet"))

    def same(self, *, full: bool = False) -> SyncResult:
        """Sync both. Fails unless what they store, and which days they counted anew, is the same."""
        self.now += timedelta(hours=1)
        here, self.told = Explained(), Explained()
        mine = finished(sync(self.built.open(), now=self.now, explained=here, full=full))
        theirs = finished(sync(self.lake, now=self.now, explained=self.told, full=full))
        assert not theirs.failed and mine.published == theirs.published
        assert [one.message for one in mine.problems] == [one.message for one in theirs.problems]
        same_values(stored(self.built.open()), stored(self.lake))
        live, other = self.built.open().reader(), self.lake.reader()
        assert other.dataset_states(other.generation.sequence) == live.dataset_states(live.generation.sequence)
        assert touched(self.told) == touched(here)
        return theirs


def made(folder: Path) -> Builder:
    """The suite's project with fewer KPIs."""
    built = worlds.made(folder / "project")
    for path in (built.folder / "kpis").glob("*.yml"):
        if path.stem not in KPIS:
            path.unlink()
    return built


def touched(told: Explained) -> dict[str, object]:
    return {one["kpi"]: one["touched"] for one in told.as_dict()["kpis"]}


@pytest.mark.proof
@pytest.mark.parametrize("least", [40, days.LEAST_ROWS][: cases(fast=1, slow=1, full=2)])
def test_what_is_stored_is_what_duckdb_stores_whatever_comes(
    url: str, place: Place | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """First sync, nothing new, a new day, late rows, changed rows, rows that go, a column, what is joined, all anew."""
    monkeypatch.setattr(days, "LEAST_ROWS", least)
    built = made(tmp_path)
    both = Both(built, beside(built.folder, tmp_path / "lake", url, place))
    events, people = both.frames["events"], pd.read_parquet(built.folder / "files" / "people.parquet")
    rng, end = np.random.default_rng(3), events["at"].max().normalize()
    held = rng.random(len(events)) < 0.04
    both.write(events=events[(events["at"] < end) & ~held])
    both.same()
    assert not both.same().published
    both.write(events=events[~held])
    both.same()
    assert any(touched(both.told).values()), "a new day costs its day"
    both.write(events=events)
    both.same()
    other = events.assign(
        amount=events["amount"].where(rng.random(len(events)) > 0.02, 7.5),
        platform=events["platform"].where(rng.random(len(events)) > 0.01, "web"),
    )
    both.write(events=other)
    both.same()
    other = other[rng.random(len(other)) > 0.02]
    both.write(events=other, people=people.assign(plan=people["plan"].shift(1)))
    both.same()
    both.write(events=other.assign(channel="mail"))
    both.same(full=True)
    both.write(events=other.assign(channel="mail"), bills=both.frames["bills"].iloc[:0])
    both.same(full=True)


@pytest.mark.proof
def test_kpis_of_every_type_are_what_they_are_on_duckdb(url: str, place: Place | None, tmp_path: Path) -> None:
    built = worlds.made(tmp_path / "project")
    Both(built, beside(built.folder, tmp_path / "lake", url, place)).same()


@pytest.mark.proof
def test_the_demo_is_what_it_is_on_duckdb(url: str, demo_folder: Path, tmp_path: Path) -> None:
    lake = beside(demo_folder, tmp_path / "lake", url)
    lake.data.mkdir()
    (lake.data / "demo").symlink_to(demo_folder / "data" / "demo")
    result = finished(sync(lake, now=NOW))
    assert result.published and not result.failed and not result.problems
    same_values(stored(open_project(demo_folder)), stored(lake))


@pytest.mark.proof
def test_a_question_is_answered_from_the_lake_of_its_generation(url: str, tmp_path: Path) -> None:
    built = made(tmp_path)
    both = Both(built, beside(built.folder, tmp_path / "lake", url))
    both.same()
    reader = both.lake.warehouse.reader()
    asked = Query("total", grain="week", where=(Filter("platform", ("web", "(none)")),))
    catalogue = built.open().catalogue()
    known = answer(asked, catalogue, built.open().reader())
    for end in (400, 300):
        both.write(events=both.frames["events"].iloc[:end])
        both.same()
    worlds.same(known, answer(asked, catalogue, reader, from_facts=True), asked)
    assert reader.dialect != "duckdb"
    reader.close()
    reader = both.lake.warehouse.reader()
    (both.lake.folder / "lake" / kept(reader).tables["events"].files[0].name).unlink()
    with pytest.raises(EngineFailed, match=r"exist|the engine sees"):  # and never an answer from the rest
        answer(asked, catalogue, reader, from_facts=True)
    reader.close()
    assert finished(sync(both.lake, now=both.now)).published
    worlds.same(answer(asked, catalogue, built.open().reader()), answer(asked, catalogue, both.lake.reader()), asked)


def test_values_of_an_engine_s_own_tables_are_not_handed_on(tmp_path: Path) -> None:
    """Rows that were loaded before are here as they were, and are not those of the engine's tables."""
    built = made_shop(tmp_path / "shop")
    known, tables = stored(built.open()), arrow_tables(built.open().reader())
    sources = (built.folder / "sources.yml").read_text()
    few = {name: table.slice(0, table.num_rows // 2) for name, table in tables.items()}
    with tables_by_url("chdb", few, tmp_path, lambda: "", "owned") as url:
        built.settings(f"warehouse: '{url}'\n")
        (built.folder / "sources.yml").unlink()
        assert built.sync().published and len(stored(built.open())) == len(known)
        with pytest.raises(AssertionError):
            same_values(known, stored(built.open()))
        (built.folder / "sources.yml").write_text(sources)
        built.settings(f"warehouse: '{url}'\nlake: {tmp_path}/lake\n")
        assert isinstance(built.open().warehouse.reader(), EngineReader)  # what is live is of those tables
        assert built.sync().published
        same_values(known, stored(built.open()))


def late(shop: LakeShop) -> list[tuple[str, str]]:
    """Sources of which operators are told."""
    return list(data_alerts(shop.open().context(shop.now)).firing)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sail]:
    needed("sail")
    server = Sail(tmp_path)
    server.start()
    yield server
    server.kill()


def test_an_engine_that_is_killed_in_the_middle_leaves_nothing_behind(server: Sail, tmp_path: Path) -> None:
    shop = LakeShop(tmp_path / "shop", url=server.url.partition("/;")[0])
    shop.built.write("datasets", "events", "name: events\nsource: events\ntime_dimension: at\n")
    shop.built.write("datasets", "nights", "name: nights\nsql: SELECT * FROM events WHERE id > 0\ntime_dimension: at\n")
    shop.built.kpi("buys", "dataset: events\nagg: median\nexpr: amount")
    shop.built.kpi("sales", "dataset: nights\nagg: median\nexpr: amount")
    assert shop.sync(of_days(1, 2)).published
    live, found = shop.open().warehouse.live(), shop.found()
    shop.write(of_days(1, 2, 3))
    assert "the engine does not answer" in told(interrupted(shop.open(), "buys", server.kill))
    assert shop.open().warehouse.live() == live and shop.found() == found
    assert late(shop) == [("source:warehouse", "warehouse")]
    server.start()
    assert shop.sync().published and rows_in(shop.manifest()) == of_days(1, 2, 3)
    assert len(shop.open().reader().stored_values("sales", "day", "", 2).frame) >= 3  # type: ignore[union-attr]
    assert late(shop) == []
