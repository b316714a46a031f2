"""One value of the state store that is not what its column holds: every verb ends in words."""

from __future__ import annotations

import random
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from connectors.state import alerts, launches, snapshots  # noqa: F401  (they declare the tables)
from connectors.state.tables import metadata
from tests.conftest import copied_demo, run_cli
from tests.operations.conftest import next_case
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(1)

PARTS = cases(fast=1, slow=2, full=10)
CASES = cases(fast=3, slow=9, full=300)
VERBS = (
    ("status",),
    ("alerts", "status"),
    ("alerts", "history"),
    ("launch", "list"),
    ("launch", "show", "guided_onboarding"),
    ("snapshot", "list"),
    ("snapshot", "show"),
    ("alerts", "evaluate"),
    ("sync",),
)
WRONG: tuple[Any, ...] = ("2026-11-10 0\x10:00:00", b"\xff\xfe\x00", "{", "", "null", "[3]", 7, -2.5, "\x00" * 40)


def a_row(table: Table) -> dict[str, Any]:
    """Values that each column could hold."""
    sorts: dict[type, Any] = {
        str: "guided_onboarding",
        int: 1,
        float: 1.0,
        bool: True,
        datetime: "2026-11-10 00:00:00.000000",
    }
    types = {column.name: getattr(column.type, "impl", column.type) for column in table.columns}  # a Moment is a time
    return {name: min(getattr(kind, "words", ()), default=sorts[kind.python_type]) for name, kind in types.items()}


def spoil(path: Path, draw: random.Random) -> str:
    """Put a wrong value into one cell; returns which, and what."""
    table = draw.choice(sorted(metadata.tables.values(), key=lambda table: table.name))
    column, value = draw.choice(list(table.columns)), draw.choice(WRONG)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if not connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]:
            row = a_row(table)
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(row.values()))
        (number,) = draw.choice(connection.execute(f"SELECT rowid FROM {table.name} ORDER BY rowid").fetchall())
        try:
            connection.execute(f'UPDATE {table.name} SET "{column.name}" = ? WHERE rowid = ?', (value, number))
        except sqlite3.IntegrityError as error:
            return f"{table.name}.{column.name} stays: {error}"  # a number of its own that SQLite looks after
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return f"{table.name}.{column.name} = {value!r}"


@pytest.mark.sampled(CASES)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_value_that_is_none_of_its_column_is_no_traceback(demo_folder: Path, tmp_path: Path, part: int) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    path = folder / "data" / "state.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = path.read_bytes()
    for case in range(part, CASES, PARTS):
        next_case()
        for old in path.parent.glob("state.sqlite*"):
            old.unlink()
        path.write_bytes(good)
        spoiled = spoil(path, random.Random(f"{SEED} {case}"))
        for verb in VERBS:
            done = run_cli(*verb, "--project", str(folder), env={"KPI_NOW": "2026-11-23T03:00:00Z"})
            said = done.stdout + done.stderr
            told = f"case {case}: {spoiled}: kpi {' '.join(verb)}: {said}"
            assert done.returncode in (0, 1) and "Traceback" not in said, told
            assert not re.search("unexpected [A-Z]", said), told
