"""Any database that SQLAlchemy speaks to: a table or a query, whole or what is new since last time, streamed.

PostgreSQL is read through ADBC (Arrow, column by column) where its driver is installed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pydantic import Field, field_validator, model_validator

from connectors.errors import SourceError, did_you_mean
from connectors.outbound_sql import guard
from connectors.settings import Span
from connectors.sources.contract import FUTURE, Batch, Cursor, IdLink, Source, SourceOptions

ROWS = 50_000  # rows of one batch
PRESETS = {
    # Event tables of a customer data platform: an id may come twice, the loader's clock is the one that only rises.
    "segment": {"primary_key": ("id",), "cursor": "uuid_ts", "lookback": "1d"},
    "rudderstack": {"primary_key": ("id",), "cursor": "uuid_ts", "lookback": "1d"},
}
SAID_BY_EVENTS = (  # of the tables of a preset; `aliases` alone has previous_id
    IdLink(("user_id",), ("anonymous_id",), "timestamp"),
    IdLink(("user_id",), ("previous_id",), "timestamp", merges=True),
)
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
PACKAGES = {  # of dialects that are not installed with this
    "bigquery": "sqlalchemy-bigquery",
    "snowflake": "snowflake-sqlalchemy",
    "databricks": "databricks-sqlalchemy",
    "clickhousedb": "clickhouse-connect",
    "trino": "'trino[sqlalchemy]'",
}
WAITING = ("postgresql", "mysql", "mariadb")  # their drivers would wait for a silent host without end
CONNECT_SECONDS = 20
# PostgreSQL's type number → how it is selected; anything not listed is read as text.
PLAIN = {16, 20, 21, 23, 25, 700, 701, 1042, 1043, 1082, 1114, 1184}
NUMERIC = 1700
SAFE_DIGITS = 18  # that a 64-bit integer holds whatever they are


class SqlOptions(SourceOptions):
    """Options of `type: sql`."""

    url: str = Field(description="SQLAlchemy address, such as postgresql://user:${PASSWORD}@host/db or sqlite:///a.db")
    remote_table: str = Field(
        "", description="Table of the database, maybe with its schema; default `table`, the name here."
    )
    query: str = Field("", description="A SELECT to read, in place of a table.")
    cursor: str = Field("", description="Column that only rises (updated_at, id): each sync reads on from there.")
    lookback: Span = Field(
        timedelta(0), description="How far before the last cursor to read again, such as 2d; needs a primary key."
    )
    types: dict[str, str] = Field(
        default_factory=dict, description="Column → SQL type; rows that do not fit go to quarantine."
    )
    preset: Literal["", "segment", "rudderstack"] = Field(
        "", description="Defaults of primary_key, cursor and lookback for the tables of a known product."
    )

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: Any) -> Any:
        known = PRESETS.get(str(data.get("preset", ""))) if isinstance(data, Mapping) else None
        return {**known, **data} if known else data

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        try:
            sa.make_url(url)
        except sa.exc.ArgumentError:
            raise ValueError(
                "is no database address\nWrite one such as postgresql://user:${PASSWORD}@host/db."
            ) from None
        return url

    @model_validator(mode="after")
    def _fit(self) -> SqlOptions:
        if self.query and self.remote_table:
            raise ValueError("write either `query` or `remote_table`")
        if self.lookback and not (self.cursor and self.primary_key):
            raise ValueError("`lookback` reads rows twice, so it needs `cursor` and `primary_key`")
        if self.cursor and self.load == "replace":
            raise ValueError("`load: replace` reads everything each time, so `cursor` has no use\nLeave one out.")
        return self

    @property
    def load_mode(self) -> str:
        """As stated; else merge with a primary key, append with a cursor alone, replace without either."""
        return self.load or ("merge" if self.primary_key else "append" if self.cursor else "replace")


class Sql(Source):
    """Rows of one table or query. The cursor is the greatest value of its column that was seen."""

    Options = SqlOptions
    example = """\
- name: app
  type: sql
  table: events
  url: postgresql://reader:${DB_PASSWORD}@db.example.com/app
  primary_key: event_id
  cursor: updated_at
  lookback: 2d"""
    watermark = "sync"

    def id_links(self) -> tuple[IdLink, ...]:
        """Of a customer data platform: anonymous ids that came with a user's, and aliases."""
        return SAID_BY_EVENTS if self.options.preset else ()

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield batches in the order of the cursor column. Raises SourceError, retryable if a server was gone."""
        since = _from_text(cursor["value"], cursor["type"]) if cursor.get("value") else None
        engine = self._engine()
        try:
            with engine.connect() as connection:
                yield from self._batches(connection, since, cursor)
        except (sa.exc.SQLAlchemyError, OSError, pa.ArrowException, *_driver_errors()) as error:
            raise self._said(error, engine) from None
        finally:
            engine.dispose()

    def probe(self) -> str:
        """Connect, and look whether the table is there."""
        engine = self._engine()
        try:
            with engine.connect() as connection:
                self._rows(connection)
                return f"{connection.dialect.name} answers"
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise self._said(error, engine) from None
        finally:
            engine.dispose()

    def _engine(self) -> sa.Engine:
        url = sa.make_url(self.options.url)
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        if url.get_backend_name() in WAITING and "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
        if url.drivername.startswith("sqlite") and url.database and url.database != ":memory:":
            path = self.folder / Path(url.database).expanduser()
            if not path.exists():
                raise SourceError(
                    f"no file {url.database}",
                    where=f"source {self.options.name}",
                    hint="A path is relative to the project folder; an absolute one has four slashes: sqlite:////data/a.db.",
                )
            url = url.set(database=str(path))
        try:
            return guard(sa.create_engine(url), self.allow, where=f"source {self.options.name}")
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise SourceError(
                f"no driver for {url.drivername}: {error}",
                where=f"source {self.options.name}",
                hint=f"Install it: .venv/bin/pip install {PACKAGES.get(url.get_backend_name(), 'its driver')}; "
                "docs/sources.md lists them.",
            ) from None

    def _batches(self, connection: sa.Connection, since: Any, cursor: Cursor) -> Iterator[Batch]:
        rows = self._rows(connection)
        declared = self._declared(connection)
        statement = self._statement(rows, since)
        most = since
        order = self.options.cursor
        if connection.dialect.name == "postgresql":
            tables = _postgres(connection, statement, order)
        else:
            tables = _streamed(connection, _ordered(statement, order))
        restart = self.options.load_mode == "replace"
        for table in tables:
            if self.options.cursor:
                most = self._greatest(table, most)
            done = {"value": _to_text(most), "type": _kind(most)} if most is not None else dict(cursor)
            yield Batch(self.options.table, table, done, restart, types={**declared, **self.options.types}, whole=True)
            restart = False

    def _rows(self, connection: sa.Connection) -> sa.TextClause | sa.TableClause:
        """What is read: the query as a subquery, or the table, which must exist. Raises SourceError."""
        if self.options.query:
            # A colon is a bound parameter to SQLAlchemy: in someone's own SQL it is a colon.
            return sa.text("(" + self.options.query.strip().rstrip(";").replace(":", "\\:") + ") AS pulled")
        name, schema = self._remote()
        known = [*sa.inspect(connection).get_table_names(schema), *sa.inspect(connection).get_view_names(schema)]
        if name not in known:
            raise SourceError(
                f"the database has no table '{self.options.remote_table or self.options.table}'",
                where=f"source {self.options.name}",
                hint=did_you_mean(name, sorted(known)),
            )
        return sa.table(name, schema=schema)

    def _remote(self) -> tuple[str, str | None]:
        schema, _, name = (self.options.remote_table or self.options.table).rpartition(".")
        return name, schema or None

    def _declared(self, connection: sa.Connection) -> dict[str, str]:
        """Types that SQLite's columns were declared with: it holds times as text and anything anywhere."""
        if connection.dialect.name != "sqlite" or self.options.query:
            return {}
        kinds = (
            (sa.DateTime, "TIMESTAMP"),
            (sa.Date, "DATE"),
            (sa.Boolean, "BOOLEAN"),
            (sa.Integer, "BIGINT"),
            (sa.Numeric, "DOUBLE"),
            (sa.Float, "DOUBLE"),
        )
        name, schema = self._remote()
        found = {}
        for column in sa.inspect(connection).get_columns(name, schema):
            kind = next((k for type_, k in kinds if isinstance(column["type"], type_)), None)
            if kind and not isinstance(column["type"], sa.types.NullType):
                found[str(column["name"])] = kind
        return found

    def _statement(self, rows: sa.TextClause | sa.TableClause, since: Any) -> sa.Select[Any]:
        statement: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(rows)
        if not self.options.cursor:
            return statement
        column: sa.ColumnClause[Any] = sa.column(self.options.cursor)
        if self.options.load_mode == "merge":
            # Rows of the same moment may still come, so the last moment is read again; the key keeps them single.
            return statement if since is None else statement.where(column >= sa.literal(self._earlier(since)))
        if since is not None:
            statement = statement.where(column > sa.literal(since))
            if (edge := self._edge(since)) is not None:  # a row from the future would be appended at each sync
                statement = statement.where(column <= sa.literal(edge))
        return statement

    def _earlier(self, since: Any) -> Any:
        """The cursor, the look-back before it. Raises SourceError if it is no time."""
        back = self.options.lookback
        at = _as_time(since)
        if not back:
            return since
        if at is None:
            raise SourceError(
                f"`lookback` is a span of time, but cursor column '{self.options.cursor}' holds {_kind(since)}",
                where=f"source {self.options.name}",
                hint="Leave `lookback` out, or choose a column with times.",
            )
        return _like(since, at - back)

    def _edge(self, like: Any) -> Any:
        """The latest moment a cursor may have, in the form of `like`; None if that is no time."""
        at = _as_time(like)
        return (
            None
            if at is None
            else _like(like, self.now + FUTURE if at.tzinfo else (self.now + FUTURE).replace(tzinfo=None))
        )

    def _greatest(self, table: pa.Table, most: Any) -> Any:
        """The greatest cursor so far; a moment in the future does not count, or nothing would be new any more."""
        if self.options.cursor not in table.column_names:
            raise SourceError(
                f"cursor column '{self.options.cursor}' is not in the source",
                where=f"source {self.options.name}",
                hint=did_you_mean(self.options.cursor, table.column_names),
            )
        column = table[self.options.cursor]
        top = _top(column)
        edge = None if top is None else self._edge(top)
        try:
            if edge is not None and top > edge:
                top = _top(column.filter(pc.less_equal(column, pa.scalar(edge, column.type))))
            return max((v for v in (most, top) if v is not None), default=None)
        except TypeError:
            raise SourceError(
                f"cursor column '{self.options.cursor}' holds values of several types",
                where=f"source {self.options.name}",
                hint="Choose a column of one type, or pull everything: leave `cursor` out.",
            ) from None

    def _said(self, error: Exception, engine: sa.Engine) -> SourceError:
        """The driver's error without anything that an address hides."""
        origin = getattr(error, "orig", None) or error
        words = str(origin).strip().split("\n")[0]
        for hidden in (self.options.url, str(engine.url), engine.url.password or ""):
            words = words.replace(str(hidden), "***") if hidden else words
        gone = getattr(error, "connection_invalidated", False) or isinstance(error, (sa.exc.OperationalError, OSError))
        return SourceError(
            words,
            where=f"source {self.options.name}",
            retryable=bool(gone),
            hint=f"Address: {engine.url.render_as_string(hide_password=True)}. Nothing of this pull was loaded.",
        )


def _driver_errors() -> tuple[type[Exception], ...]:
    with contextlib.suppress(ImportError):
        from adbc_driver_manager import Error

        return (Error,)
    return ()


def _streamed(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[pa.Table]:
    """Rows through SQLAlchemy's own streaming, at least one table even without rows."""
    result = connection.execution_options(stream_results=True, max_row_buffer=ROWS).execute(statement)
    names, any_rows = list(result.keys()), False
    for part in result.partitions(ROWS):
        any_rows = True
        columns = list(zip(*part, strict=True))
        yield pa.table({name: _array(values) for name, values in zip(names, columns, strict=True)})
    if not any_rows:
        yield pa.table({name: pa.nulls(0) for name in names})


def _array(values: tuple[Any, ...]) -> pa.Array:
    """Values of one column: as they are if of one type, numbers as the wider one, else text."""
    kinds = {type(v) for v in values if v is not None}
    if not kinds:
        return pa.nulls(len(values))
    if kinds <= {int, float, Decimal} and kinds != {int}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):
        return pa.array(values, pa.int64())
    if kinds == {datetime}:
        zoned = any(v is not None and v.tzinfo for v in values)
        return pa.array(values, pa.timestamp("us", "UTC" if zoned else None))
    if len(kinds) == 1 and kinds <= {bool, str, date}:
        return pa.array(values)
    return pa.array([None if v is None else v.hex() if isinstance(v, bytes) else str(v) for v in values], pa.string())


def _ordered(statement: sa.Select[Any], cursor: str) -> sa.Select[Any]:
    return statement.order_by(sa.column(cursor)) if cursor else statement


def _postgres(connection: sa.Connection, statement: sa.Select[Any], order: str) -> Iterator[pa.Table]:
    """Arrow batches by ADBC, or by the driver's stream where ADBC is not installed; same types either way."""
    described = connection.execute(statement.where(sa.false()))
    description = described.cursor.description if described.cursor is not None else []
    described.close()
    chosen = [_selected(column[0], column[1], column[4], column[5]) for column in description or []]
    wrapped = _ordered(sa.select(*chosen).select_from(statement.subquery("read")), order)
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        yield from _streamed(connection, wrapped)
        return
    plain = _same_server(connection).render_as_string(hide_password=False)
    text = str(wrapped.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})).replace("%%", "%")
    with dbapi.connect(plain) as direct, direct.cursor() as cursor:
        cursor.execute(text)
        reader, any_rows = cursor.fetch_record_batch(), False
        for batch in reader:
            any_rows = True
            yield pa.Table.from_batches([batch])
        if not any_rows:
            yield reader.schema.empty_table()


def _same_server(connection: sa.Connection) -> sa.URL:
    """The address for libpq, of the very server that was connected to: its name is not asked for again."""
    info = connection.connection.driver_connection.info  # type: ignore[union-attr]  # psycopg's
    there = {"host": info.host, "hostaddr": getattr(info, "hostaddr", ""), "port": str(info.port)}
    url = connection.engine.url.set(drivername="postgresql", host=None, port=None)
    url = url.difference_update_query((*there, "conninfo"))
    return url.update_query_dict({key: value for key, value in there.items() if value})


def _selected(name: str, kind: Any, precision: int | None, scale: int | None) -> sa.ColumnElement[Any]:
    """One column as a type that Arrow and DuckDB have: amounts as double, whole numbers whole, the rest as text."""
    column: sa.ColumnElement[Any] = sa.column(name)
    if kind in PLAIN:
        return column
    if kind == NUMERIC and scale == 0 and precision is not None:
        wanted: Any = sa.BigInteger if precision <= SAFE_DIGITS else sa.Text
        return sa.cast(column, wanted).label(name)
    return sa.cast(column, sa.Double if kind == NUMERIC else sa.Text).label(name)


def _top(column: pa.ChunkedArray) -> Any:
    """The greatest value; of texts the greatest that is a time, if any is: SQLite lets `soon` into a date column."""
    if pa.types.is_null(column.type):
        return None
    if pa.types.is_string(column.type):
        texts = [v for v in column.to_pylist() if v is not None]
        return max([v for v in texts if _as_time(v)] or texts, default=None)
    return pc.max(column).as_py()


def _as_time(value: Any) -> datetime | None:
    """A cursor as a moment; None if it is none."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    return None


def _like(value: Any, at: datetime) -> Any:
    """A moment in the form that the cursor has: SQLite keeps times as text, which is compared as text."""
    if isinstance(value, datetime):
        return at
    if isinstance(value, date):
        return at.date()
    return f"{at:%Y-%m-%d}" if len(value) <= len("2026-11-23") else at.isoformat(sep=value[10])


def _kind(value: Any) -> str:
    return type(value).__name__


def _to_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _from_text(text: str, kind: str) -> Any:
    """The cursor's value as it was. Raises ValueError for a kind no cursor has."""
    if kind == "datetime":
        return datetime.fromisoformat(text)
    if kind == "date":
        return date.fromisoformat(text)
    if kind in ("int", "float"):
        return int(text) if kind == "int" else float(text)
    return text
