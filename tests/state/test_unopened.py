"""What is said of a store that nobody opened is what opening it would tell."""

from __future__ import annotations

from pathlib import Path

from connectors.clock import utc_now
from connectors.state.launches import LaunchRow, drop_launch, put_launch
from connectors.state.store import StateStore
from connectors.state.unopened import may_hold_launches


def test_whether_there_are_launches(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a b#c.sqlite'}"
    assert not may_hold_launches(url)
    store = StateStore(url)
    with store.writing():
        pass
    assert not may_hold_launches(url)
    with store.writing() as connection:
        put_launch(connection, LaunchRow("guide", "name: guide", "ann", utc_now(), utc_now()))
    assert may_hold_launches(url)
    with store.writing() as connection:
        drop_launch(connection, "guide")
    assert not may_hold_launches(url)


def test_what_cannot_be_known_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"no database" * 100)
    assert may_hold_launches(f"sqlite:///{path}")
    path.write_bytes(b"")  # tables are made when it is opened
    assert may_hold_launches(f"sqlite:///{path}")
    assert may_hold_launches("postgresql+psycopg://nowhere/kpi")
    assert path.read_bytes() == b""
