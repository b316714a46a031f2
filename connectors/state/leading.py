"""One leader among processes: a lock that ends with the process that holds it, also where that is killed.

Beside an SQLite store a file lock, since its processes share a machine. In a PostgreSQL store an advisory lock of a
connection that stays: its schedulers may be on several machines, and on the disks that these share file locks are not
to be relied on.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from connectors.errors import StateError

LEADER = 8_265_379  # of PostgreSQL: as the state store's, a number that nothing else in the database uses
# A machine that is gone says no good-bye: both sides look after 10 s, and give up after 15 more.
PATIENCE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
SERVER_PATIENCE = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"


class Leading(Protocol):
    """A place that one process holds."""

    def take(self) -> bool:
        """Whether this process holds it now, and keeps it until `leave`. Raises StateError where nobody can tell."""

    def leave(self) -> None:
        """Let go of it."""


class FileLeading(Leading):
    """A lock of the system on a file."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, FileLock(path, thread_local=False)

    def take(self) -> bool:
        """As told there."""
        if self._lock.is_locked:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise StateError(f"cannot be locked: {error.strerror or error}", where=str(self._path)) from error
        return True

    def leave(self) -> None:
        """As told there."""
        self._lock.release()


class ServerLeading(Leading):
    """An advisory lock of a connection to PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None

    def take(self) -> bool:
        """As told there. A connection that was lost has lost the lock."""
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return True
            return self._taken()
        except SQLAlchemyError as error:
            self.leave()
            words = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise StateError(f"the state store failed: {words}", where="the address in `state`") from error

    def _taken(self) -> bool:
        engine = create_engine(
            self._url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": 5, **PATIENCE, "tcp_user_timeout": 15_000},
        )
        connection = engine.connect()
        try:
            if connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LEADER}).scalar():
                for setting in SERVER_PATIENCE.split("; "):
                    connection.exec_driver_sql(setting)
                self._connection = connection
                return True
        finally:
            if self._connection is None:
                connection.close()
        return False

    def leave(self) -> None:
        """As told there."""
        gone, self._connection = self._connection, None
        if gone is not None:
            with suppress(SQLAlchemyError):
                gone.close()


def leading(url: str, file: Path) -> Leading:
    """The leader's place of a state store by its URL. file: of the lock, where the store is a file."""
    return FileLeading(file) if url.startswith("sqlite:///") else ServerLeading(url)
