"""Databases at addresses that a file or a form names: what a driver is about to connect to is looked at first.

libpq is told the addresses that were permitted. Other drivers resolve a name once more by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from connectors.errors import OutboundRefused
from connectors.outbound import SETTING, permitted

LOCAL = ("sqlite",)
LIBPQ = ("psycopg", "psycopg2")
HOSTS = ("host", "hostaddr", "hostname", "server", "server_hostname", "address", "endpoint", "proxy_host")
TEXTS = ("conninfo", "dsn", "odbc_connect", "connection_string")
IN_TEXT = re.compile(
    r"\b(?:host|hostaddr|hostname|server|address|addr|data source|network address)\s*=\s*'?(?:tcp:|np:|lpc:)?"
    r"([^;,\s')]+)",
    re.IGNORECASE,
)
IN_ADDRESS = re.compile(r"://(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:,]*)")
# Whose hosts their addresses do not name.
SERVED = {"bigquery": "bigquery.googleapis.com", "snowflake": "{host}.snowflakecomputing.com"}
# What leads to a host that stands in a file of this machine.
ELSEWHERE = ("service", "servicefile", "read_default_file", "read_default_group")


def guard(engine: sa.Engine, allow: tuple[str, ...], *, where: str) -> sa.Engine:
    """The engine, whose every connection goes to a permitted host, or raises OutboundRefused; OSError for no host."""

    def permit(dialect: sa.Dialect, _record: object, cargs: Sequence[Any], cparams: dict[str, Any]) -> None:
        port = _port(str(cparams.get("port", "")))
        try:
            if dialect.name in SERVED:
                host = SERVED[dialect.name].format(host=(engine.url.host or "").removesuffix(".snowflakecomputing.com"))
                permitted(host, 443, allow, private=True)
                return
            named = list(_hosts(cargs, cparams))
            if allow and dialect.name not in LOCAL and (not named or any(cparams.get(key) for key in ELSEWHERE)):
                raise OutboundRefused(
                    "no connection: its address does not say to which host",
                    hint=f"Where {SETTING} is set, write the host in `url`.",
                )
            found = {host: permitted(host, port, allow, private=True) for host in named if not _is_socket(host)}
        except OutboundRefused as error:
            raise OutboundRefused(error.message, where=where, hint=error.hint) from None
        if dialect.driver in LIBPQ and cparams.get("host") and not cparams.get("hostaddr"):
            cparams |= _pinned(cparams, found)

    event.listen(engine, "do_connect", permit)
    return engine


def _port(text: str) -> int:
    """Of one host or of the first; nothing hangs on it."""
    first = text.split(",")[0]
    return int(first) if first.isdigit() and int(first) < 65536 else 0


def _hosts(cargs: Sequence[Any], cparams: Mapping[str, Any]) -> Iterator[str]:
    """Every host that a driver's arguments name."""
    for key in HOSTS:
        value = cparams.get(key)
        for item in value if isinstance(value, (list, tuple)) else [value]:
            yield from (part.strip() for part in str(item or "").split(",") if part.strip())
    for text in (*cargs, *(cparams.get(key) for key in TEXTS)):
        if isinstance(text, str):
            yield from IN_TEXT.findall(text)
            yield from (host for host in IN_ADDRESS.findall(text) if host)


def _is_socket(host: str) -> bool:
    """Whether a host of libpq is a Unix socket of this machine."""
    return host.startswith(("/", "@"))


def _pinned(cparams: Mapping[str, Any], found: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """host, hostaddr and port of libpq, an entry for each address; the name is still what TLS compares."""
    hosts = str(cparams["host"]).split(",")
    ports = str(cparams.get("port", "")).split(",")
    ports = ports if len(ports) == len(hosts) else [ports[0]] * len(hosts)
    each = [
        (host, address, port)
        for host, port in zip(hosts, ports, strict=True)
        for address in found.get(host.strip(), ("",))
    ]
    columns = [",".join(column) for column in zip(*each, strict=True)]
    return {"host": columns[0], "hostaddr": columns[1], "port": columns[2]}
