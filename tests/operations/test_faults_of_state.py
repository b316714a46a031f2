"""A state store or sync log that is damaged, gone or held. Each test is a line of the table in docs/operations.md."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from streamlit.testing.v1 import AppTest

from connectors.state import store
from jobs.alerts.board import unattended
from tests.conftest import NOW
from tests.operations.conftest import DAYS, Shop
from tests.test_pages import PAGES, run

pytestmark = pytest.mark.breadth(4)

NEEDS_THE_STORE = {"alerts", "launches", "snapshots"}
SAYS_SO_ITSELF = {"account"}  # of its tokens only
READS_NO_GENERATION = {"account", "audit"}


def without(shop: Shop, content: bytes | None) -> None:
    """Another content, or none, in the store's place; nothing beside it."""
    for path in shop.data.glob("state.sqlite*"):
        path.unlink()
    if content is not None:
        shop.state.write_bytes(content)


def read_on(shop: Shop, *words: str, status: int = 1) -> None:
    """Numbers are shown, the fault is told, a sync is published all the same."""
    assert shop.total() == DAYS and unattended(shop.open(), now=NOW) == ()
    (told,) = shop.open().warnings()
    assert all(word in told for word in words), told
    assert told in shop.kpi("status") and all(word in shop.kpi("doctor", status=status) for word in words[:1])
    shop.put(DAYS + 1)
    result = shop.builder.sync()
    assert result.published and not result.failed and any(words[0] in line for line in result.warnings)
    assert shop.total() == DAYS + 1


def put_back(shop: Shop, good: bytes) -> None:
    without(shop, good)
    shop.recovered(DAYS + 2)


def test_a_state_store_that_is_gone(shop: Shop) -> None:
    good = shop.state.read_bytes()
    without(shop, None)
    read_on(shop, "is gone", "kpi doctor --repair")
    assert "not the one of the syncs before" in shop.open().warnings()[0]  # the sync has begun one, and that is told
    put_back(shop, good)


def test_a_state_store_that_is_gone_and_taken_as_such(shop: Shop) -> None:
    without(shop, None)
    shop.builder.sync()
    assert "it is taken as it is" in shop.kpi("doctor", "--repair")
    assert shop.open().warnings() == ()
    shop.builder.sync()
    assert shop.open().warnings() == ()


def test_a_state_store_that_is_empty(shop: Shop) -> None:
    good = shop.state.read_bytes()
    without(shop, b"")
    read_on(shop, "not the one of the syncs before")
    put_back(shop, good)


def test_a_state_store_that_is_another_one(shop: Shop, tmp_path: Path) -> None:
    good = shop.state.read_bytes()
    other = store.StateStore(f"sqlite:///{tmp_path}/other.sqlite")
    assert other.give_identity() == other.identity()
    without(shop, (tmp_path / "other.sqlite").read_bytes())
    read_on(shop, "not the one of the syncs before")
    put_back(shop, good)


@pytest.mark.parametrize("content", [b"this is no database", b"garbage" * 5_000])
def test_a_state_store_that_is_garbage(shop: Shop, content: bytes) -> None:
    good = shop.state.read_bytes()
    without(shop, content)
    read_on(shop, "is no SQLite file", "Nothing was overwritten")
    assert shop.state.read_bytes() == content
    put_back(shop, good)


def test_a_state_store_that_is_cut_in_half(shop: Shop) -> None:
    good = shop.state.read_bytes()
    half = good[: len(good) // 8192 * 4096]
    without(shop, half)
    assert shop.total() == DAYS
    shop.put(DAYS + 1)
    result = shop.builder.sync()
    assert result.published and "malformed" in " ".join((*result.warnings, *result.alerts))
    assert "malformed" in shop.kpi("doctor", "--deep", status=1) and shop.state.read_bytes()[:100] == half[:100]
    put_back(shop, good)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """As by another process: SQLite locks the file against everybody."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("CREATE TABLE held (a)")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.mark.slow
def test_a_state_store_that_another_process_holds(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "READ_SECONDS", 1)
    monkeypatch.setattr(store, "BUSY_SECONDS", 1)
    monkeypatch.setattr(store, "AGAIN_SECONDS", 2)
    opened = shop.open()
    with held(shop.state):
        read_on(shop, "database is locked", "wait for that, or end it")
        assert opened.warnings()
        before = time.monotonic()
        for _ in range(20):
            unattended(opened, now=NOW)
        assert time.monotonic() - before < 3, "each rerun of a page waits for the lock"
    time.sleep(2.1)
    assert opened.warnings() == ()  # by itself, once it is free
    monkeypatch.undo()
    shop.recovered(DAYS + 2)


def test_a_state_store_that_another_process_makes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAKING_SECONDS", 0.2)
    with FileLock(f"{shop.state}.lock"):
        read_on(shop, "is held by another process")
    shop.recovered(DAYS + 2)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", PAGES)
def test_pages_beside_a_damaged_state_store(monkeypatch: pytest.MonkeyPatch, shop: Shop, page: str) -> None:
    without(shop, b"garbage" * 5_000)
    app = run(monkeypatch, shop.folder, page)
    assert not app.exception and "is no SQLite file" in banners(app)
    if page in NEEDS_THE_STORE:
        assert app.title[0].value == "This cannot be shown" and "Nothing was overwritten" in app.caption[0].value
    else:
        assert bool(app.error) == (page in SAYS_SO_ITSELF)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", PAGES)
def test_pages_beside_a_damaged_live_file(monkeypatch: pytest.MonkeyPatch, shop: Shop, page: str) -> None:
    shop.live.write_bytes(b"garbage")
    app = run(monkeypatch, shop.folder, page)
    assert not app.exception and not app.error and "is read instead" in banners(app)
    assert all(title.value != "No data yet" for title in app.title)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", PAGES)
def test_pages_where_no_generation_can_be_read(monkeypatch: pytest.MonkeyPatch, shop: Shop, page: str) -> None:
    for path in shop.generations.glob("*.duckdb"):
        path.write_bytes(b"garbage")
    app = run(monkeypatch, shop.folder, page)
    assert not app.exception and "kpi restore" in banners(app)
    if page not in READS_NO_GENERATION:
        assert app.title[0].value == "This cannot be shown" and "no generation can be read" in app.error[0].value


def banners(app: AppTest) -> str:
    return " ".join(e.proto.body for e in app.get("html") if "class='bw-banner'" in e.proto.body)


# ---- the sync log


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b"null", b"[" * 100_000])
def test_a_sync_log_that_is_garbage(shop: Shop, content: bytes) -> None:
    (shop.data / "last_sync.json").write_bytes(content)
    assert shop.total() == DAYS and "last_sync.json" in shop.open().warnings()[0]
    assert "last_sync.json" in shop.kpi("doctor")
    shop.recovered()


@pytest.mark.parametrize(
    "content",
    [
        '{"finished_at": 5}',
        '{"finished_at": "soon"}',
        '{"sources": 7}',
        '{"sources": [{}]}',
        '{"sources": [{"name": [], "status": "loaded"}]}',
        '{"warnings": [1]}',
        '{"state": "x", "generation": 7}',
    ],
)
def test_a_sync_log_of_another_shape(shop: Shop, content: str) -> None:
    (shop.data / "last_sync.json").write_text(content)
    assert shop.total() == DAYS and "is not what a sync wrote" in shop.open().warnings()[0]
    shop.kpi("status")
    shop.recovered()


def test_a_sync_log_that_is_gone(shop: Shop) -> None:
    (shop.data / "last_sync.json").unlink()
    assert shop.total() == DAYS and shop.open().warnings() == ()
    shop.recovered()


def test_a_sync_log_that_cannot_be_written(shop: Shop) -> None:
    (shop.data / ".last_sync.json").mkdir()
    shop.put(DAYS + 1)
    result = shop.builder.sync()
    assert result.published and "last_sync.json cannot be written" in result.warnings[0] and shop.total() == DAYS + 1
    (shop.data / ".last_sync.json").rmdir()
    shop.recovered(DAYS + 2)
