"""The state store: opens the database, keeps its tables at the newest version, hands out transactions.

SQLite in WAL mode in the data folder by default, PostgreSQL by URL. A writing transaction holds the only write lock
from its start, so two evaluators never read the same standing and both act on it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from connectors.errors import StateError
from connectors.reading import mark_of
from connectors.state.audit_keys import HEAD_NOTE, AuditKeys
from connectors.state.tables import Unreadable

R = TypeVar("R")
LEAST_ROOM = 1 << 20  # bytes
HEADER = 100  # bytes of an SQLite file
LOCKED = "Another process holds it: wait for that, or end it. What was published is shown meanwhile."
RIGHTS = "Look at the owner and rights of the file and its folder; they belong to who runs `kpi`."
DAMAGED = (
    "Nothing was overwritten. Put data/state.sqlite of a backup in its place (`kpi restore` into a new folder), or "
    "move it away with what is beside it: then a new one is begun, without incidents, silences, launches, snapshots."
)
HINTS = {
    "locked": LOCKED,
    "not a database": DAMAGED,
    "malformed": DAMAGED,
    "Could not decode": DAMAGED,
    "readonly": RIGHTS,
    "unable to open": RIGHTS,
    "full": "Make room on its disk; then it goes on by itself.",
    "no such": DAMAGED,
    "disk I/O": "Its disk is full, or it fails: make room, then it goes on by itself. `kpi doctor --deep` tells.",
}
HEAD = "0007"  # newest migration; a test compares it with the files
LOCK = 8_265_378  # of PostgreSQL: any number that nothing else in the database uses
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30  # that a writer waits for another one
READ_SECONDS = 3  # that a page waits; readers wait only for who locks the whole store
MAKING_SECONDS = 10  # that another process takes to make or update the tables
AGAIN_SECONDS = 10  # before a store that was locked is asked again
MAGIC = b"SQLite format 3\0"


class StateStore:
    """One database. Cheap to make; connects on first use."""

    def __init__(self, url: str, keys: AuditKeys | None = None) -> None:
        """keys: of the audit; None = they lie beside the file of an SQLite store, and in the environment."""
        self.url = url
        self.keys = keys or AuditKeys([self.path.parent] if self.path is not None else [])
        self._engine: Engine | None = None
        self._trouble: StateError | None = None
        self._again, self._asked = 0.0, False  # when it is tried again, by the monotonic clock

    @property
    def path(self) -> Path | None:
        """The file of an SQLite store."""
        return Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite:///") else None

    def exists(self) -> bool:
        """Whether anything was kept; a server's store always counts as there."""
        return self.path is None or self.path.exists()

    def mark(self) -> tuple[int, ...]:
        """Changes when an SQLite store is written to; a server's is looked at anew each minute."""
        if self.path is None:
            return (int(time.monotonic() // 60),)
        marks = (mark_of(Path(f"{self.path}{end}")) for end in ("", "-wal"))
        # A reader makes an empty log: nothing was written.
        return tuple(told for size, *times in marks if size for told in (size, *times))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view. Raises StateError."""
        told = self._trouble
        if told is not None and told.hint == LOCKED and time.monotonic() < self._again:
            raise StateError(told.message, where=told.where, hint=told.hint)
        with self._told(), self._readable() as engine, engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; all of it or nothing is kept. Raises StateError."""
        with self._told(), self._ready().connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            try:
                yield connection
                head = connection.info.get(HEAD_NOTE)
                connection.exec_driver_sql("COMMIT") if connection.dialect.name == "sqlite" else connection.commit()
            except BaseException:
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("ROLLBACK")
                raise
        if head is not None:
            self.keys.keep_head(head)

    def problem(self) -> str:
        """What is wrong with an SQLite store's file, by its header; empty = nothing. Takes no lock, loads nothing."""
        head = self._head()
        if head is None or head == b"":
            return ""  # none, or a new one that nothing was written to
        return "" if head.startswith(MAGIC) and len(head) == HEADER else "is no SQLite file"

    def trouble(self) -> str:
        """What reading or writing runs into, in words; empty = nothing. Tried now and then while there is something."""
        due = not self._asked or (self._trouble is not None and time.monotonic() >= self._again)
        if due and self._head() and not self.problem():
            with suppress(StateError), self.reading():
                pass
        return "" if self._trouble is None else " ".join(str(self._trouble).split("\n"))

    def identity(self) -> int | None:
        """The number that an SQLite store was given when it was first used with data; None = it has none.

        From the file's header: every page asks.
        """
        head = self._head()
        number = int.from_bytes(head[68:72], "big") if head and len(head) == HEADER else 0
        return number or None

    def give_identity(self) -> int | None:
        """Its number; one that has none is given one. Raises StateError."""
        if self.path is None or (found := self.identity()):
            return None if self.path is None else found
        with self.writing() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {secrets.randbelow(2**31 - 1) + 1}")
        with self.reading() as connection:  # out of the log, into the header
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.identity()

    def _head(self) -> bytes | None:
        if self.path is None:
            return None
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                return b"no file"
            with self.path.open("rb") as file:
                return file.read(HEADER)
        except OSError:
            return None

    def check(self) -> str:
        """What SQLite itself finds wrong when it reads all of a store; empty = nothing. Raises StateError."""
        if self.path is None:
            return ""
        with self.reading() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(3)")]
        return "" if found == ["ok"] else "; ".join(found)

    @contextmanager
    def _readable(self) -> Iterator[Engine]:
        """An engine to read by. Where its folder cannot be written, or is full, of a copy."""
        path = self.path
        if path is None or not path.exists() or _can_be_written(path):
            yield self._ready()
            return
        with tempfile.TemporaryDirectory() as folder:
            yield StateStore(f"sqlite:///{_copied(path, Path(folder))}")._ready()

    def copy_to(self, target: Path) -> None:
        """A consistent copy of an SQLite store as it is, not migrated, while others write. Raises StateError."""
        with self._as_it_is() as connection:
            connection.execute("VACUUM INTO ?", (str(target),))

    def version(self) -> str:
        """The newest migration that the store has seen; empty for a new one. Opens it without migrating it.

        Raises StateError.
        """
        if self.path is None:
            with self._told(), self._connected().connect() as connection:
                return _version(connection)
        if not self.path.exists():
            return ""
        with self._as_it_is() as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall():
                return ""
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(found[0]) if found else ""

    @contextmanager
    def _as_it_is(self) -> Iterator[sqlite3.Connection]:
        """SQLite's own connection to the file, or to a copy where its folder cannot be written. Raises StateError."""
        path = self.path
        assert path is not None
        try:
            with tempfile.TemporaryDirectory() as folder:
                if not _can_be_written(path):
                    path = _copied(path, Path(folder))
                with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
                    connection.execute(f"PRAGMA busy_timeout = {READ_SECONDS * 1000}")
                    yield connection
        except (sqlite3.Error, UnicodeDecodeError) as error:
            words = str(error)
            raise self._troubled(
                StateError(f"the state store failed: {words}", where=self._shown, hint=_hint(words))
            ) from error
        except OSError as error:
            words = f"the state store cannot be used: {error.strerror or error}"
            raise self._troubled(StateError(words, where=self._shown, hint=RIGHTS)) from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        self._asked = True
        try:
            yield
            self._trouble = None
        except DBAPIError as error:
            words = str(error.orig)
            told = StateError(f"the state store failed: {words}", where=self._shown, hint=_hint(words))
            raise self._troubled(told) from error
        except SQLAlchemyError as error:
            raise StateError(f"the state store failed: {error}", where=self._shown) from error
        except (Unreadable, UnicodeDecodeError) as error:  # of what it holds, or of what SQLite says of its damage
            raise self._troubled(StateError("the state store is malformed", where=self._shown, hint=DAMAGED)) from error
        except Timeout:
            told = StateError("the state store is held by another process", where=self._shown, hint=LOCKED)
            raise self._troubled(told) from None
        except OSError as error:
            words = f"the state store cannot be used: {error.strerror or error}"
            raise self._troubled(StateError(words, where=self._shown, hint=RIGHTS)) from error

    def _troubled(self, told: StateError) -> StateError:
        """Remember it, and do not ask again for some seconds: each page would wait for a lock once more."""
        self._trouble, self._again = told, time.monotonic() + AGAIN_SECONDS
        return told

    def parsed(self, read: Callable[[str], R], text: str) -> R:
        """A text of the store as what it was written of. Raises StateError where it is damaged."""
        try:
            return read(text)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # pydantic's errors are ValueErrors
            raise self._troubled(StateError("the state store is malformed", where=self._shown, hint=DAMAGED)) from error

    @property
    def _shown(self) -> str:
        return str(self.path or "the address in `state` of settings.yml")

    def _ready(self) -> Engine:
        if self._engine is None:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(f"{self.path}.lock", timeout=MAKING_SECONDS):
                    self._engine = self._opened()
            else:
                self._engine = self._opened()
        return self._engine

    def _connected(self) -> Engine:
        try:
            return create_engine(self.url, **self._options)
        except (SQLAlchemyError, ImportError) as error:
            raise StateError(f"`state` cannot be used: {error}", hint="Write sqlite:/// or postgresql:// …") from None

    def _opened(self) -> Engine:
        engine = self._connected()
        if self.path is not None:
            event.listen(engine, "connect", _for_sqlite)
        with engine.connect() as connection:
            if _version(connection) != HEAD:
                self._migrated(connection)
        return engine

    def _migrated(self, connection: Connection) -> None:
        """All steps to the newest version, or none of them."""
        if self.path is None:
            _migrate(connection)
            return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            _migrate(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise

    @property
    def _options(self) -> dict[str, Any]:
        # No pool: nothing stays open between two evaluations. Autocommit: BEGIN is ours, so that a write lock is taken
        # before the first read.
        own = {"isolation_level": "AUTOCOMMIT"} if self.path is not None else {}
        return {"poolclass": NullPool, **own}


def _copied(path: Path, folder: Path) -> Path:
    """A copy of an SQLite file in a folder, with what is not in the file yet."""
    for end in ("", "-wal"):
        if Path(f"{path}{end}").exists():
            shutil.copyfile(f"{path}{end}", folder / f"state.sqlite{end}")
    return folder / "state.sqlite"


def _can_be_written(path: Path) -> bool:
    """Whether SQLite can keep its log beside a file, which it needs also to read."""
    rights = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    return rights and shutil.disk_usage(path.parent).free >= LEAST_ROOM


def _hint(words: str) -> str:
    """What to do, by what SQLite says."""
    return next((hint for told, hint in HINTS.items() if told in words), "")


def _for_sqlite(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {READ_SECONDS * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _version(connection: Connection, *, keep: bool = False) -> str:
    """The newest migration that a database has seen. keep: stay in the transaction that this begins."""
    found = ""
    if connection.dialect.has_table(connection, "alembic_version"):
        found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")
    if connection.dialect.name != "sqlite" and not keep:
        connection.rollback()
    return found


def _migrate(connection: Connection) -> None:
    from alembic import command  # loaded only where there is something to migrate
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    now = _version(connection)
    if now and now not in known:
        raise StateError(
            f"the state store was made by a newer version (migration {now})", hint="Update this installation."
        )
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    if _version(connection, keep=True) != HEAD:
        command.upgrade(config, "head")
    if connection.dialect.name != "sqlite":
        connection.commit()
