"""The state store: opens the database, keeps its tables at the newest version, hands out transactions.

SQLite in WAL mode in the data folder by default, PostgreSQL by URL. A writing transaction holds the only write lock
from its start, so two evaluators never read the same standing and both act on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from connectors.errors import StateError

HEAD = "0003"  # newest migration; a test compares it with the files
LOCK = 8_265_378  # of PostgreSQL: any number that nothing else in the database uses
MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30


class StateStore:
    """One database. Cheap to make; connects on first use."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: Engine | None = None

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
        files = [Path(f"{self.path}{end}").stat() for end in ("", "-wal") if Path(f"{self.path}{end}").exists()]
        # A reader makes an empty log: nothing was written.
        return tuple(file.st_mtime_ns for file in files if file.st_size)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view. Raises StateError."""
        with self._told(), self._ready().connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; all of it or nothing is kept. Raises StateError."""
        with self._told(), self._ready().connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            try:
                yield connection
                connection.exec_driver_sql("COMMIT") if connection.dialect.name == "sqlite" else connection.commit()
            except BaseException:
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def copy_to(self, target: Path) -> None:
        """A consistent copy of an SQLite store, while others write. Raises StateError."""
        with self.reading() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(target),))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StateError(f"the state store failed: {error.orig}", where=self._shown) from error
        except SQLAlchemyError as error:
            raise StateError(f"the state store failed: {error}", where=self._shown) from error

    @property
    def _shown(self) -> str:
        return str(self.path or "the address in `state` of settings.yml")

    def _ready(self) -> Engine:
        if self._engine is None:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(f"{self.path}.lock"):
                    self._engine = self._opened()
            else:
                self._engine = self._opened()
        return self._engine

    def _opened(self) -> Engine:
        try:
            engine = create_engine(self.url, **self._options)
        except (SQLAlchemyError, ImportError) as error:
            raise StateError(f"`state` cannot be used: {error}", hint="Write sqlite:/// or postgresql:// …") from None
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


def _for_sqlite(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
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
