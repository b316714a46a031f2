"""Logs of random acts, the ways in which somebody who can write to the store may change one, and who finds out."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from connectors.state.audit import WHATS, Act, Entry
from connectors.state.audit_keys import AuditKeys, Key
from connectors.state.store import StateStore
from tests.conftest import NOW

COLUMNS = tuple(Entry.__dataclass_fields__)
TEXTS = ("", "ana", "Ünï ☃", "a' OR 1=1 --", "<b>x</b>", '{"k": 1}', "line\nbreak", "0")


def acts(draw: random.Random, count: int) -> list[Act]:
    """Random acts; some are the same twice."""
    one = [Act(draw.choice(list(WHATS)[:18]), draw.choice(TEXTS), draw.choice(TEXTS)) for _ in range(count)]
    return [Act(a.what, a.subject, a.who, {"n": draw.randrange(3), "t": draw.choice(TEXTS)}) for a in one]


def written(folder: Path, said: list[Act]) -> StateStore:
    """A store with these acts, a minute apart."""
    from jobs.audit.record import record_alone

    folder.mkdir(parents=True, exist_ok=True)
    store = StateStore(f"sqlite:///{folder / 'state.sqlite'}", AuditKeys([folder]))
    for number, act in enumerate(said):
        record_alone(store, act, NOW + timedelta(minutes=number))
    return store


class Attacker:
    """Somebody who can write anything into the store, and has no key."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.path, self.draw = folder / "state.sqlite", draw
        with closing(sqlite3.connect(self.path)) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {name}")
            self.rows = [list(row) for row in connection.execute(f"SELECT {', '.join(COLUMNS)} FROM audit_entries")]
            connection.commit()

    def keep(self, rows: list[list[Any]]) -> bool:
        """Make these the log; whether it is another one."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("DELETE FROM audit_entries")
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(f"INSERT INTO audit_entries VALUES ({marks})", rows)
            connection.commit()
        return rows != self.rows

    def alter(self) -> bool:
        """Change a random cell, maybe with a hash that fits."""
        rows = [list(row) for row in self.rows]
        row, cell = self.draw.choice(rows), self.draw.randrange(1, len(COLUMNS))
        row[cell] = self.draw.choice([*TEXTS, "f" * 64, row[cell] + "x", row[cell][:-1], row[cell].upper()])
        return self.keep(self._hashed(rows))

    def remove(self) -> bool:
        """Take some out of the middle or the beginning, maybe numbering the others anew."""
        rows = [list(row) for row in self.rows]
        at = self.draw.randrange(len(rows) - 1) if len(rows) > 1 else 0
        del rows[at : at + self.draw.randrange(1, 3)]
        return self.keep(self._hashed(self._numbered(rows)))

    def cut(self) -> bool:
        """Take some off the end, or all."""
        return self.keep([list(row) for row in self.rows[: self.draw.randrange(len(self.rows))]])

    def move(self) -> bool:
        """Exchange two, with their numbers or without."""
        rows = [list(row) for row in self.rows]
        a, b = self.draw.randrange(len(rows)), self.draw.randrange(len(rows))
        rows[a], rows[b] = rows[b], rows[a]
        for number, row in enumerate(rows, 1):
            row[0] = number
        return self.keep(self._hashed(rows))

    def copy(self) -> bool:
        """Put one in again, there or at the end."""
        rows = [list(row) for row in self.rows]
        at = self.draw.randrange(len(rows) + 1)
        rows.insert(at, list(self.draw.choice(rows)))
        for number, row in enumerate(rows, 1):
            row[0] = number
        return self.keep(self._hashed(rows))

    def invent(self) -> bool:
        """Put in one of their own, chained by a key of their own."""
        rows = [list(row) for row in self.rows]
        rows.insert(self.draw.randrange(len(rows) + 1), list(self.draw.choice(rows)))
        return self.keep(self._chained(rows))

    def rewrite(self) -> bool:
        """All of it anew, by a key of their own, under its name or that of the real one."""
        rows = [list(row) for row in self.rows]
        self.draw.choice(rows)[2] = "mallory"
        return self.keep(self._chained(rows))

    def _numbered(self, rows: list[list[Any]]) -> list[list[Any]]:
        if self.draw.random() < 0.5:
            for number, row in enumerate(rows, 1):
                row[0] = number
        return rows

    def _hashed(self, rows: list[list[Any]]) -> list[list[Any]]:
        """Plain hashes need no key."""
        if self.draw.random() < 0.5:
            for row in rows:
                row[-2] = sha256(Entry(*row).canonical()).hexdigest()
        return rows

    def _chained(self, rows: list[list[Any]]) -> list[list[Any]]:
        from connectors.state.audit import chained

        own, named, before = Key(b"m" * 32, "0123456789abcdef"), self.draw.random() < 0.5, ""
        for number, row in enumerate(rows, 1):
            row[0], row[-3] = number, own.name if named else row[-3]
            signed = Entry(*row).canonical()
            row[-2], row[-1] = sha256(signed).hexdigest(), chained(own, before, signed)
            before = row[-1]
        return rows


WAYS = ("alter", "remove", "cut", "move", "copy", "invent", "rewrite")
