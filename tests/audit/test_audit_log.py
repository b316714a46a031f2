"""Whatever is done to a log without its key is found, and nothing is found where nothing was done."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from connectors.errors import StateError
from connectors.state import audit
from connectors.state.audit import Act
from connectors.state.audit_keys import VARIABLE, AuditKeys
from connectors.state.store import StateStore
from jobs.audit.listing import Search, listed
from jobs.audit.record import record_alone
from jobs.audit.retention import _through
from jobs.audit.verifying import Verification, verified_here
from tests.audit.logs import WAYS, Attacker, acts, written
from tests.conftest import NOW, ROOT, known
from tests.sampling import sampled


def look(store: StateStore) -> Verification:
    with store.reading() as connection:
        return verified_here(connection, store.keys.known(), store.keys.head())


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was made once: the migrations are what costs."""
    folder = tmp_path_factory.mktemp("audit") / "empty"
    folder.mkdir()
    with StateStore(f"sqlite:///{folder / 'state.sqlite'}").writing():
        pass
    return folder


@pytest.mark.parametrize("way", WAYS)
@given(seed=st.integers(0, 2**32))
@sampled(fast=3, slow=20, full=600, shrink=False)
def test_whatever_is_done_without_the_key_is_found(
    way: str, seed: int, empty: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    draw = random.Random(seed)
    folder = shutil.copytree(empty, tmp_path_factory.mktemp("log") / "log")
    store = written(folder, acts(draw, draw.randrange(1, 9)))
    assert look(store).findings == ()
    changed = getattr(Attacker(folder, draw), way)()
    found = look(StateStore(store.url, store.keys))
    assert bool(found.findings) is changed, (way, found)
    assert found.tampered is changed, "a key of their own is no key that was lost"
    shutil.rmtree(folder.parent)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    if request.param == "sqlite":
        yield StateStore(f"sqlite:///{tmp_path / 'state.sqlite'}", AuditKeys([tmp_path]))
        return
    address, name = request.getfixturevalue("postgres"), f"audit_{uuid.uuid4().hex[:8]}"
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    yield StateStore(address.replace("/postgres?", f"/{name}?", 1), AuditKeys([tmp_path]))


def test_processes_at_once_make_one_chain(store: StateStore, tmp_path: Path) -> None:
    record_alone(store, Act("exported", "first", "ana"), NOW)
    code = (
        "import sys; from pathlib import Path; from connectors.clock import utc_now\n"
        "from connectors.state.store import StateStore; from connectors.state.audit_keys import AuditKeys\n"
        "from jobs.audit.record import Act, record_alone\n"
        "store = StateStore(sys.argv[1], AuditKeys([Path(sys.argv[2])]))\n"
        "for n in range(8): record_alone(store, Act('exported', f'{sys.argv[3]}:{n}', 'ana'), utc_now())\n"
    )
    command = [sys.executable, "-c", code, store.url, str(tmp_path)]
    pipe = subprocess.PIPE
    several = [subprocess.Popen([*command, name], cwd=ROOT, stdout=pipe, stderr=pipe) for name in "abc"]
    assert [process.communicate()[1] for process in several] == [b""] * 3
    found = look(store)
    assert (found.entries, found.first, found.last, found.findings) == (25, 1, 25, ())
    told = [entry.subject for entry in listed(store, Search(), limit=99).entries]
    assert len(set(told)) == 25
    head = known(store.keys.head())  # of whoever noted it last: no later than the log, and on it
    with store.reading() as connection:
        assert audit.chain_at(connection, head.sequence) == head.chain


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET who = 'eve'",
        "DELETE FROM audit_entries",
        "DELETE FROM audit_entries WHERE sequence = 2",
        "UPDATE audit_checkpoints SET sequence = 9",
        "DELETE FROM audit_checkpoints",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove(store: StateStore, statement: str) -> None:
    for number in range(3):
        record_alone(store, Act("exported", str(number), "ana"), NOW)
    with store.writing() as connection:
        audit.trim(connection, store.keys, 1, NOW)
    with pytest.raises(StateError, match=r"stay|only added to"), store.writing() as connection:
        connection.execute(text(statement))
    found = look(store)
    assert (found.first, found.last, found.findings) == (2, 3, ())


def test_what_is_not_committed_leaves_neither_act_nor_entry(store: StateStore) -> None:
    record_alone(store, Act("exported", "first", "ana"), NOW)
    with pytest.raises(ZeroDivisionError), store.writing() as connection:
        audit.append(connection, store.keys, Act("exported", "second", "ana"), NOW)
        raise ZeroDivisionError
    assert known(store.keys.head()).sequence == 1
    record_alone(store, Act("exported", "third", "ana"), NOW)
    found = look(store)
    assert (found.last, found.findings) == (2, ())


def test_a_log_that_was_cut_says_so_for_ever(tmp_path: Path) -> None:
    store = written(tmp_path, acts(random.Random(1), 5))
    Attacker(tmp_path, random.Random(2)).keep(Attacker(tmp_path, random.Random(2)).rows[:3])
    assert [(one.kind, one.first, one.last) for one in look(store).findings] == [("truncated", 4, 5)]
    record_alone(store, Act("exported", "later", "ana"), NOW)  # the head is that of now; the log keeps what was found
    record_alone(store, Act("exported", "last", "ana"), NOW)
    found = look(store)
    assert [(one.kind, one.first) for one in found.findings] == [("broken", 4)] and found.tampered
    assert '"written": 5' in found.findings[0].words and '"found": 3' in found.findings[0].words


def test_a_key_that_is_gone_is_told_apart_from_tampering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = written(tmp_path, acts(random.Random(3), 3))
    key = (tmp_path / "audit.key").read_text()
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "audit.key").unlink()
    found = look(store)
    assert [(one.kind, one.first, one.last) for one in found.findings] == [("key", 1, 3)] and not found.tampered
    record_alone(store, Act("exported", "with a new key", "ana"), NOW)
    entries = listed(store, Search()).entries
    assert [entry.what for entry in entries[:2]] == ["exported", "key_changed"]
    found = look(store)
    assert [(one.kind, one.first, one.last) for one in found.findings] == [("key", 1, 3)] and not found.tampered
    (tmp_path / "audit.key").write_text(key + (tmp_path / "audit.key").read_text())  # the old one proves, the new signs
    assert look(store).findings == ()
    monkeypatch.setenv(VARIABLE, "k" * 40)
    record_alone(store, Act("exported", "by the environment", "ana"), NOW)
    assert look(store).findings == () and listed(store, Search()).entries[1].what == "key_changed"
    monkeypatch.delenv(VARIABLE)
    assert [(one.kind, one.first, one.last) for one in look(store).findings] == [("key", 6, 7)]


@pytest.mark.parametrize("content", ["", "short", "\xff" * 40])
def test_a_key_file_that_is_none_stops_what_would_be_recorded(tmp_path: Path, content: str) -> None:
    store = written(tmp_path, [])
    (tmp_path / "audit.key").write_text(content, encoding="latin-1")
    with pytest.raises(StateError, match="the key of the audit cannot be used"):
        record_alone(store, Act("exported", "x", "ana"), NOW)
    assert listed(store, Search()).entries == ()


def test_a_short_key_of_the_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(StateError, match="fewer than 32 letters"):
        record_alone(written(tmp_path, []), Act("exported", "x", "ana"), NOW)


def test_where_no_key_can_be_made_the_next_folder_has_it(tmp_path: Path) -> None:
    keys = AuditKeys([tmp_path / "nowhere", tmp_path])
    made = keys.current()
    assert keys.file == tmp_path / "audit.key" and keys.current() == made
    with pytest.raises(StateError, match="cannot be made"):
        AuditKeys([tmp_path / "nowhere"]).current()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.key"], "nothing half-made is left"


def trimmed(store: StateStore, before: timedelta) -> int:
    """Cut as retention does; the last entry that went."""
    with store.writing() as connection:
        through = _through(connection, NOW + before)
        if through:
            audit.trim(connection, store.keys, through, NOW)
    return through


@given(seed=st.integers(0, 2**32))
@sampled(fast=3, slow=20, full=600, shrink=False)
def test_what_retention_leaves_is_verified_and_as_well_guarded(
    seed: int, empty: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    draw = random.Random(seed)
    folder = shutil.copytree(empty, tmp_path_factory.mktemp("log") / "log")
    count = draw.randrange(3, 10)
    store = written(folder, acts(draw, count))
    for _ in range(draw.randrange(1, 3)):
        trimmed(store, timedelta(minutes=draw.randrange(1, count + 3)))
        assert look(store).findings == ()
    record_alone(store, Act("exported", "after", "ana"), NOW)
    found = look(store)
    assert found.findings == () and found.last == count + 1 and found.first + found.entries == count + 2
    changed = getattr(Attacker(folder, draw), way := draw.choice(WAYS))()
    assert look(StateStore(store.url, store.keys)).tampered is changed, way
    shutil.rmtree(folder.parent)


def test_a_forged_checkpoint_hides_nothing(tmp_path: Path) -> None:
    store = written(tmp_path, acts(random.Random(5), 6))
    attacker = Attacker(tmp_path, random.Random(6))
    with store.writing() as connection:
        chain = audit.chain_at(connection, 3)
        values = {"s": 3, "a": audit.stamp(NOW), "c": chain, "k": store.keys.current().name, "g": "0" * 64}
        connection.execute(text("INSERT INTO audit_checkpoints VALUES (:s, :a, :c, :k, :g)"), values)
    attacker.keep(attacker.rows[3:])
    assert [one.kind for one in look(store).findings] == ["checkpoint"] and look(store).tampered


def test_entries_are_found_by_every_part_and_a_page_at_a_time(store: StateStore) -> None:
    for number in range(7):
        who = "Ana@example.com" if number % 2 else "bob"
        act = Act("exported" if number < 5 else "marked", f"kpi:{number}_%", who, {"why": f"Reason {number}"})
        record_alone(store, act, NOW + timedelta(days=number))

    def numbers(**search: object) -> list[int]:
        return [entry.sequence for entry in listed(store, Search(**search)).entries]  # type: ignore[arg-type]

    assert numbers() == [7, 6, 5, 4, 3, 2, 1]
    assert numbers(who="ana@") == [6, 4, 2] and numbers(what="marked") == [7, 6]
    assert numbers(subject="3_%") == [4] and numbers(subject="_3") == [], "what is typed is no pattern"
    assert numbers(text="reason 2") == [3] and numbers(text="ANA") == [6, 4, 2]
    assert numbers(since=NOW + timedelta(days=5)) == [7, 6] and numbers(until=NOW + timedelta(days=1)) == [1]
    first = listed(store, Search(), limit=3)
    second = listed(store, Search(before=first.older), limit=3)
    last = listed(store, Search(before=second.older), limit=3)
    assert [[e.sequence for e in page.entries] for page in (first, second, last)] == [[7, 6, 5], [4, 3, 2], [1]]
    assert last.older == 0


def test_any_text_is_kept_as_it_is_or_made_fit(store: StateStore) -> None:
    for said in ("nul\0here", "half \ud800 letter", "x" * 5000, "kpi_" + "A" * 43, "https://ana:pw@host/x"):
        record_alone(store, Act("exported", said, said, {"said": said}), NOW)
    found = look(store)
    assert found.findings == () and found.entries == 5
    told = "".join(f"{e.who}{e.subject}{e.details}" for e in listed(store, Search()).entries)
    assert "A" * 43 not in told and "pw@" not in told and "\0" not in told
    assert max(len(entry.details) for entry in listed(store, Search()).entries) <= audit.MOST_DETAILS


def test_a_head_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    store = written(tmp_path, acts(random.Random(7), 2))
    (tmp_path / "audit.head").write_text("{")
    assert store.keys.head() is None
    record_alone(store, Act("exported", "x", "ana"), NOW)
    assert known(store.keys.head()).sequence == 3 and look(store).findings == ()
    if os.name == "posix":
        assert not store.keys.lies_open()
        (tmp_path / "audit.key").chmod(0o644)
        assert store.keys.lies_open()
