"""Which engine a URL means. An engine's package is loaded when its URL is opened, not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from connectors.errors import SettingsError, did_you_mean
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.files import Files

# Scheme → sqlglot's name of its SQL, and the file that lists what it needs; empty = it is in the base.
SCHEMES = {
    "postgresql": ("postgres", ""),
    "clickhousedb": ("clickhouse", "requirements-clickhouse.txt"),
    "sc": ("spark", "requirements-spark.txt"),
}

# Dialects that SQL is written in and that nothing here opens: their names are also their schemes.
WRITTEN = ("bigquery", "databricks", "snowflake", "trino")
NO_FILES: Files = MappingProxyType({})


def dialect_of(url: str) -> str:
    """sqlglot's name of the SQL of the engine at a URL, also of one that is only written. Raises SettingsError."""
    scheme = url.partition("://")[0].partition("+")[0]
    return scheme if scheme in WRITTEN else SCHEMES[_scheme(url)][0]


def refuse_unopened(url: str, *, lake: bool = False) -> None:
    """Raises SettingsError for a URL that `open_engine` would not take. lake: whether it is to read Parquet files."""
    scheme = _scheme(url)
    if lake and scheme not in _READS_FILES:
        hint = f"{' and '.join(f'{one}://' for one in _READS_FILES)} do. Or leave `lake` out: it has tables of its own."
        raise SettingsError(f"`{scheme}://` reads no Parquet files, so it cannot compute from a lake", hint=hint)
    if lake and "session_id=" in url:
        hint = "Leave `session_id` out of the URL: each generation's files are known in a session of their own."
        raise SettingsError("a session that others share cannot hold the files of a lake", hint=hint)


def open_engine(url: str, session: Mapping[str, Sequence[str]], files: Files = NO_FILES) -> Engine:
    """The engine at a URL. session: dialect → statements that its sessions begin with. files: tables besides its own.

    Raises SettingsError for a URL of no engine, or one whose package is not installed; WarehouseError if it is away.
    """
    scheme = _scheme(url)
    dialect, needs = SCHEMES[scheme]
    began = session.get(dialect, ())
    try:
        return _READS_FILES[scheme](url, began, files) if scheme in _READS_FILES else _postgres(url, began)
    except ImportError as error:
        raise SettingsError(
            f"what `{scheme}://` needs is not installed: {error}",
            hint=f"Install it: .venv/bin/pip install -r {needs}" if needs else "Run `make setup`.",
        ) from None


def _scheme(url: str) -> str:
    scheme = url.partition("://")[0].partition("+")[0]
    if "://" not in url or scheme not in SCHEMES:
        known = [f"{one}://" for one in SCHEMES]
        if "://" not in url:  # nothing of it: it may hold a password
            raise SettingsError("there is no engine for '…'", hint=f"Write a URL. Known: {', '.join(known)}.")
        raise SettingsError(f"there is no engine for '{scheme}'", hint=did_you_mean(f"{scheme}://", known))
    return scheme


def _postgres(url: str, session: Sequence[str]) -> Engine:
    from connectors.warehouse.engines.postgres import PostgresEngine

    return PostgresEngine(url, session)


def _clickhouse(url: str, session: Sequence[str], files: Files) -> Engine:
    from connectors.warehouse.engines.clickhouse import ClickHouseEngine

    return ClickHouseEngine(url, session, files)


def _spark(url: str, session: Sequence[str], files: Files) -> Engine:
    from connectors.warehouse.engines.spark import SparkEngine

    return SparkEngine(url, session, files)


_READS_FILES: Mapping[str, Callable[[str, Sequence[str], Files], Engine]] = {
    "clickhousedb": _clickhouse,
    "sc": _spark,
}
