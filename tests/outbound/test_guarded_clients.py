"""Nothing opens a connection but the guarded clients and what is named here, so a new source cannot forget them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_layers import files

# Modules that connect, and who may import them. Whatever is not here may not be imported at all; see NETWORK.
MAY: dict[str, tuple[str, ...]] = {
    "httpcore": ("connectors/outbound_http.py",),
    "httpx": (  # types and errors; its clients are made in outbound_http.py alone
        "connectors/outbound_http.py",
        "connectors/sources/files.py",
        "connectors/sources/rest/auth.py",
        "connectors/sources/rest/client.py",
    ),
    "http.client": ("connectors/channels/webhook.py",),
    "socket": (
        "connectors/channels/webhook.py",  # to what was permitted alone
        "connectors/outbound.py",
        "connectors/outbound_process.py",
        "connectors/outbound_proxy.py",
        "jobs/operations/hosts.py",  # which names this machine has
        "jobs/operations/serve.py",  # whether a port is free
        "jobs/outbox/deliver.py",  # this machine's name
        "jobs/scheduler/scheduler.py",  # the same
        "metrics/presentation/links.py",  # whether a host is a number
    ),
    "socketserver": ("connectors/outbound_proxy.py",),
    "urllib.request": ("connectors/outbound_process.py",),  # which proxies the environment names
    "google": ("ui/shell/middleware.py",),  # protobuf, which connects to nothing
    "smtplib": ("connectors/channels/mail.py",),  # in the guarded process of a message
    "apprise": ("connectors/channels/apprise.py",),  # the same
    "requests": ("connectors/outbound_process.py",),  # apprise's
    "pyarrow.fs": ("connectors/buckets.py", "connectors/warehouse/lake/bucket.py"),  # a lake is the operator's own
    "adbc_driver_postgresql": ("connectors/sources/sql.py", "connectors/warehouse/engines/postgres.py"),
    "clickhouse_connect": ("connectors/warehouse/engines/clickhouse.py",),  # as `warehouse` and `state` are
    "grpc": ("connectors/warehouse/engines/spark.py",),
    "pyspark": ("connectors/warehouse/engines/spark.py",),
}
NETWORK = {
    *MAY,
    *("aiohttp", "asyncio", "asyncpg", "boto3", "botocore", "ftplib", "fsspec"),
    *("imaplib", "nntplib", "paramiko", "poplib", "psycopg", "psycopg2", "pycurl", "pymysql", "s3fs", "telnetlib"),
    *("urllib3", "websocket", "websockets", "xmlrpc", "adbc_driver_manager.dbapi", "pyarrow.flight"),
}
# create_engine; the store is the operator's
ENGINES = ("connectors/sources/sql.py", "connectors/state/leading.py", "connectors/state/store.py")
# What reads at an address by itself, by the names of its functions.
READING = {"read_csv", "read_json", "read_parquet", "read_table", "read_html", "urlopen", "urlretrieve"}
MAKING = {"Client", "AsyncClient", "HTTPTransport", "request", "stream"}
MAKING |= {"get", "post", "put", "patch", "delete", "head", "options"}


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    """Every module that is imported anywhere in a file, and what is taken from it."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def connecting(name: str) -> Iterator[str]:
    """The modules of NETWORK that an imported name is one of, or is in."""
    parts = name.split(".")
    yield from (found for n in range(len(parts)) if (found := ".".join(parts[: n + 1])) in NETWORK)


def breaches(path: str, text: str) -> Iterator[str]:
    """What a file does that only named ones may. path: below the root."""
    nodes = list(ast.walk(ast.parse(text)))
    for name in imported(nodes):
        yield from (f"{path} imports {module}" for module in connecting(name) if path not in MAY.get(module, ()))
        if (
            name.removeprefix("httpx.") in MAKING
            and name.startswith("httpx.")
            and path != "connectors/outbound_http.py"
        ):
            yield f"{path} imports {name}"
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        of = called.value.id if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) else ""
        if of == "httpx" and name in MAKING and path != "connectors/outbound_http.py":
            yield f"{path} calls httpx.{name}"
        if name == "create_engine" and path not in ENGINES:
            yield f"{path} calls create_engine"
        if of in ("pd", "pandas", "urllib") and name in READING:
            yield f"{path} calls {of}.{name}"
        if name in ("__import__", "import_module") and node.args and isinstance(node.args[0], ast.Constant):
            yield from (f"{path} imports {module}" for module in connecting(str(node.args[0].value)))


def test_only_guarded_clients_connect() -> None:
    found = [str(path.relative_to(ROOT)) for path in files()]
    assert len(found) > 150
    assert [wrong for path in found for wrong in breaches(path, (ROOT / path).read_text())] == []
    named = {path for paths in MAY.values() for path in paths} | set(ENGINES)
    assert named - set(found) == set()  # what is allowed is there


@pytest.mark.parametrize(
    "text",
    [
        "import requests",
        "import http.client",
        "from http import client",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import urllib.request as ask",
        "def pull():\n    import socket",
        "from smtplib import SMTP",
        "from pyarrow import fs",
        "import pyarrow.fs",
        "import psycopg",
        "import importlib\nimportlib.import_module('requests')",
        "import sqlalchemy as sa\nsa.create_engine('x')",
        "import pandas as pd\npd.read_csv('http://x')",
    ],
)
def test_a_new_source_that_connects_by_itself_is_found(text: str) -> None:
    assert list(breaches("connectors/sources/new.py", text))


def test_a_client_of_httpx_is_made_in_one_place() -> None:
    for call in ("httpx.Client()", "httpx.post('x')", "httpx.stream('GET', 'x')"):
        assert list(breaches("connectors/sources/rest/client.py", f"import httpx\n{call}")), call
    for name in ("Client", "get", "HTTPTransport"):
        assert list(breaches("connectors/sources/rest/client.py", f"from httpx import {name}")), name


def test_the_guard_of_a_source_s_engine_is_there() -> None:
    text = Path(ROOT / "connectors/sources/sql.py").read_text()
    assert text.count("create_engine(") == text.count("guard(sa.create_engine(") == 1
