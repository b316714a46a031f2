"""Which engine a URL means. An engine's package is loaded when its URL is opened, not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from connectors.errors import SettingsError, did_you_mean
from connectors.warehouse.engines.contract import Engine

# Scheme → sqlglot's name of its SQL, and the file that lists what it needs; empty = it is in the base.
SCHEMES = {
    "postgresql": ("postgres", ""),
    "clickhousedb": ("clickhouse", "requirements-clickhouse.txt"),
    "sc": ("spark", "requirements-spark.txt"),
}

# Dialects that SQL is written in and that nothing here opens: their names are also their schemes.
WRITTEN = ("bigquery", "databricks", "snowflake", "trino")


def dialect_of(url: str) -> str:
    """sqlglot's name of the SQL of the engine at a URL, also of one that is only written. Raises SettingsError."""
    scheme = url.partition("://")[0].partition("+")[0]
    return scheme if scheme in WRITTEN else SCHEMES[_scheme(url)][0]


def refuse_unopened(url: str) -> None:
    """Raises SettingsError for a URL that `open_engine` would not take."""
    _scheme(url)


def open_engine(url: str, session: Mapping[str, Sequence[str]]) -> Engine:
    """The engine at a URL. session: dialect → statements that its sessions begin with.

    Raises SettingsError for a URL of no engine, or one whose package is not installed; WarehouseError if it is away.
    """
    scheme = _scheme(url)
    dialect, needs = SCHEMES[scheme]
    try:
        return _OPENED[scheme](url, session.get(dialect, ()))
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


def _clickhouse(url: str, session: Sequence[str]) -> Engine:
    from connectors.warehouse.engines.clickhouse import ClickHouseEngine

    return ClickHouseEngine(url, session)


def _spark(url: str, session: Sequence[str]) -> Engine:
    from connectors.warehouse.engines.spark import SparkEngine

    return SparkEngine(url, session)


_OPENED: Mapping[str, Callable[[str, Sequence[str]], Engine]] = {
    "postgresql": _postgres,
    "clickhousedb": _clickhouse,
    "sc": _spark,
}
