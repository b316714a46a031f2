"""`sc://host:port`: Spark Connect, as Apache Spark, Databricks and Sail speak it. Rows come as Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from connectors.errors import WarehouseError
from connectors.warehouse.contract import Columns
from connectors.warehouse.engines import arrow
from connectors.warehouse.engines.session import settings

if TYPE_CHECKING:
    import pandas as pd


RETRIES = {"max_retries": 3, "initial_backoff": 50, "max_backoff": 1_000, "jitter": 50}  # milliseconds


class SparkEngine:
    """An Engine over one session of a Spark Connect server."""

    dialect = "spark"

    def __init__(self, url: str, session: Sequence[str]) -> None:
        """session: what it begins with, as `SET name = value`. Raises WarehouseError, ImportError."""
        from grpc import RpcError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
        from pyspark.sql.connect.client.retries import DefaultPolicy

        self._is_another_s = "session_id=" in url
        self._refused: tuple[type[Exception], ...] = (PySparkException, RpcError)
        try:
            self.session = SparkSession.builder.remote(url).create()
            # Its own would ask a server that is gone for ten minutes; whoever asks us has a patience of their own.
            self.session.client.set_retry_policies([DefaultPolicy(**RETRIES)])
            for name, value in settings(session).items():
                self.session.conf.set(name, value)
        except self._refused as error:
            raise _told(error) from None

    def frame(self, sql: str) -> pd.DataFrame:
        """The rows of one SELECT. Raises WarehouseError."""
        try:
            return arrow.frame(self.session.sql(sql).toArrow())
        except self._refused as error:
            raise _told(error) from None

    def columns(self, sql: str) -> Columns:
        """Columns and types of one SELECT, without running it. Raises WarehouseError."""
        try:
            fields = self.session.sql(sql).schema.fields
        except self._refused as error:
            raise _told(error) from None
        return {field.name: _sql_type(field.dataType.simpleString()) for field in fields}

    def tables(self) -> Mapping[str, Columns]:
        """Tables and views of the current database."""
        try:
            names = [table.name for table in self.session.catalog.listTables()]
        except self._refused as error:
            raise _told(error) from None
        return {name: self.columns(f"SELECT * FROM {_quoted(name)}") for name in sorted(names)}

    def close(self) -> None:
        """End the session; one that the URL names is another's, who has made tables in it: it goes on."""
        if self._is_another_s:
            self.session.client.close()
        else:
            self.session.stop()


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _sql_type(kind: str) -> str:
    """The name that DuckDB has for a type of Spark."""
    head = kind.partition("(")[0].partition("<")[0]
    known = {"timestamp": arrow.AWARE, "timestamp_ntz": "TIMESTAMP", "date": "DATE", "boolean": "BOOLEAN"}
    known |= {"double": "DOUBLE", "float": "FLOAT", "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER"}
    known |= {"bigint": "BIGINT", "decimal": kind.upper()}
    return known.get(head, "DOUBLE[]" if head == "array" else "VARCHAR")


def _told(error: Exception) -> WarehouseError:
    text = error.details() if hasattr(error, "details") else str(error)
    first = str(text).strip().split("\n", 1)[0]
    return WarehouseError(first[:500], hint="Is the server there, and does the definition's SQL run on it?")
