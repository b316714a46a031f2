"""`sc://host:port`: Spark Connect, as Apache Spark, Databricks and Sail speak it. Rows come as Arrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines import arrow
from connectors.warehouse.engines.contract import ConnectionLost
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.files import IN_BUCKET, LACKING, S3, Files, FilesLacking, lacking, named
from connectors.warehouse.engines.leaving import finalize_elsewhere
from connectors.warehouse.engines.session import settings
from connectors.warehouse.engines.stop import Stop

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql.connect.session import SparkSession

RETRIES = {"max_retries": 3, "initial_backoff": 50, "max_backoff": 1_000, "jitter": 50}  # milliseconds
# A connection of its own for each session: a shared one to a server that was away is not tried again for a while.
OWN = ("grpc.use_local_subchannel_pool", 1)
# In the error of a session that will not answer any more.
LOST = ("UNAVAILABLE", "RETRIES_EXCEEDED", "INVALID_HANDLE.SESSION", "SESSION_CHANGED", "SESSION_CLOSED",
        "SESSION_NOT_FOUND", "SparkContext was shut down", "stopped SparkContext")  # fmt: skip

# In the error of a client whose threads for all sessions are gone: it takes them down with any session that is closed,
# and for good if that happens in one of them, as the garbage collector may have it.
NO_THREADS = "cannot schedule new futures after shutdown"
# In the error of a server that cannot read a bucket: Sail's, and those of Apache Spark's S3A.
NO_BUCKET = ("Generic S3 error", "Server returned non-2xx status", "(os error", "Object at location",
             "s3a://", "S3Exception", "AccessDeniedException")  # fmt: skip


class SparkEngine:
    """An Engine over one session of a Spark Connect server."""

    dialect = "spark"

    def __init__(self, url: str, session: Sequence[str], files: Files) -> None:
        """session: what it begins with, as `SET name = value`. files: views of a session, each made when it is asked

        for. Raises WarehouseError, ImportError.
        """
        from grpc import RpcError
        from pyspark.errors import PySparkException
        from pyspark.sql.connect.client.core import DefaultChannelBuilder
        from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator
        from pyspark.sql.connect.client.retries import DefaultPolicy
        from pyspark.sql.connect.session import SparkSession

        # Each takes locks that a call holds in whose middle the collector may find it.
        finalize_elsewhere(ExecutePlanResponseReattachableIterator)
        finalize_elsewhere(SparkSession)
        self._is_another_s = "session_id=" in url
        self._refused: tuple[type[Exception], ...] = (PySparkException, RpcError, RuntimeError)
        self._lock = Lock()
        self._began, self._files = settings(session), files
        self._viewed: set[str] = set()  # of this session
        self._in_bucket = any(table.in_bucket for table in files.values())
        self._connect: Callable[[], Any] = lambda: SparkSession.builder.channelBuilder(
            DefaultChannelBuilder(url, [OWN])
        ).create()
        self._policy = DefaultPolicy(**RETRIES)
        self._session: SparkSession | None = None
        try:
            self.session  # noqa: B018  # a server that is away is told here
        except self._refused as error:
            raise self._failed(error) from None

    @property
    def session(self) -> SparkSession:
        """The session: another one after one that was lost."""
        with self._lock:
            if self._session is None:
                opened = self._connect()
                # Its own would ask a server that is gone for ten minutes; whoever asks us has a patience of their own.
                opened.client.set_retry_policies([self._policy])
                for name, value in self._began.items():
                    opened.conf.set(name, value)
                self._session, self._viewed = opened, set()
            return self._session

    def _ready(self, sql: str) -> SparkSession:
        """The session, with the files that a statement names as views."""
        session = self.session
        for name, table in named(self._files, sql):
            if name not in self._viewed:
                reader = session.read.schema(_schema(table.columns))
                rows = reader.parquet(*map(_address, table.paths))
                if (found := rows.count()) != table.rows:  # Sail leaves out a file that is not there, without a word
                    raise lacking(name, found, table)
                rows.createOrReplaceTempView(name)
                self._viewed.add(name)
        return session

    def frame(self, sql: str, stop: Stop | None = None) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError, QueryLimit, Cancelled."""
        return arrow.frame(self._stoppable(sql, stop or Stop()))

    def cost(self, sql: str, stop: Stop | None = None) -> Cost | None:
        """The bytes of its tables, and their rows if all were counted there. Raises as `frame`."""
        return _cost(self._stoppable(f"EXPLAIN COST {sql}", stop or Stop()).column(0).to_pylist()[0])

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""
        try:
            fields = self._ready(sql).sql(sql).schema.fields
        except self._refused as error:
            raise self._failed(error) from None
        return {field.name: _sql_type(field.dataType.simpleString()) for field in fields}

    def tables(self) -> Mapping[str, Columns]:
        """Tables and views of the current database."""
        try:
            names = [table.name for table in self.session.catalog.listTables()]
        except self._refused as error:
            raise self._failed(error) from None
        return {name: self.columns(f"SELECT * FROM {_quoted(name)}") for name in sorted(names)}

    def close(self) -> None:
        """End the session; one that the URL names is another's, who has made tables in it: it goes on."""
        if self._session is not None:
            with suppress(*self._refused):
                if self._is_another_s:
                    self._session.client.close()
                else:
                    self._session.stop()

    def _stoppable(self, sql: str, stop: Stop) -> pa.Table:
        tag = f"bellwether-{uuid4().hex}"
        try:
            session = self._ready(sql)
            with stop.watching(lambda: self._interrupt(session, tag)):
                session.addTag(tag)  # of this thread
                try:
                    return session.sql(sql).toArrow()
                finally:
                    session.removeTag(tag)
        except self._refused as error:
            raise self._failed(error) from None

    def _interrupt(self, session: SparkSession, tag: str) -> None:
        with suppress(*self._refused):
            session.interruptTag(tag)

    def _failed(self, error: Exception) -> WarehouseError:
        """What is said of it. Of a session that is lost with its server, the next question begins another."""
        if NO_THREADS in str(error):
            _forget_threads()
            return ConnectionLost("the client's threads were gone", hint="They are made anew.")
        if type(error) is RuntimeError:  # none of the client's own
            raise error
        told = _told(error)
        if self._in_bucket and any(sign in told.message for sign in NO_BUCKET):
            told = FilesLacking(told.message, hint=IN_BUCKET)
        if any(sign in str(error) for sign in LOST):
            with self._lock:
                self._session = None
            return ConnectionLost(told.message, hint=told.hint)
        return told


def _forget_threads() -> None:
    """The next call of the client makes them anew."""
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator as Calls

    with Calls._lock:
        Calls._release_thread_pool_instance = None


UNITS = {unit: 1024**power for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))}


def _cost(plan: str) -> Cost | None:
    """Of the leaves of a plan as EXPLAIN COST writes it: relations, with `Statistics(sizeInBytes=…, rowCount=…)`."""
    leaves = [line for line in plan.split("== Physical Plan ==")[0].splitlines() if re.search(r"\b\w*Relation\b", line)]
    told = [re.search(r"Statistics\(sizeInBytes=([\d.]+) (\w+)(?:, rowCount=([\d.E+]+))?", line) for line in leaves]
    sizes = [int(float(found[1]) * UNITS[found[2]]) for found in told if found and found[2] in UNITS]
    rows = [int(float(found[3])) for found in told if found and found[3]]
    if not leaves or len(sizes) < len(leaves):
        return None
    return Cost(rows=sum(rows) if len(rows) == len(leaves) else None, size=sum(sizes))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _sql_type(kind: str) -> str:
    """The name that DuckDB has for a type of Spark."""
    head = kind.partition("(")[0].partition("<")[0]
    known = {"timestamp": arrow.AWARE, "timestamp_ntz": "TIMESTAMP", "date": "DATE", "boolean": "BOOLEAN"}
    known |= {"double": "DOUBLE", "float": "FLOAT", "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER"}
    known |= {"bigint": "BIGINT", "decimal": kind.upper()}
    return known.get(head, "DOUBLE[]" if head == "array" else "VARCHAR")


def _address(path: str) -> str:
    """A file as every Spark reads it: of S3 only S3A, as Apache's calls its client."""
    return f"s3a://{path.removeprefix(S3)}" if path.startswith(S3) else f"file://{path}"


def _schema(columns: Columns) -> str:
    """Columns of files as Spark writes types: said, so that it reads none of them to find out."""
    return ", ".join(f"{_quoted(column)} {_kind(kind)}" for column, kind in columns.items())


def _kind(kind: str) -> str:
    if kind.endswith("[]"):
        return f"array<{_kind(kind.removesuffix('[]'))}>"
    known = {"VARCHAR": "string", arrow.AWARE: "timestamp", "TIMESTAMP": "timestamp_ntz"}
    return known.get(kind, kind.lower())


def _told(error: BaseException) -> WarehouseError:
    if error.__cause__ is not None and "RETRIES_EXCEEDED" in str(error):
        error = error.__cause__  # what it was tried against
    text = error.details() if hasattr(error, "details") else str(error)
    first = str(text).strip().split("\n", 1)[0]
    if "PATH_NOT_FOUND" in first:
        return FilesLacking(first[:500], hint=LACKING)
    return WarehouseError(first[:500], hint="Is the server there, and does the definition's SQL run on it?")
