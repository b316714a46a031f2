"""A canary in every place that takes a secret, where it works and where it fails; then all that was written is read."""

from __future__ import annotations

import base64
import http.server
import re
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
import sqlalchemy as sa

from connectors.secrets import hide
from tests.conftest import Builder, run_cli, run_process

PLACES = (
    *("PG_USER", "PG_PASSWORD", "PG_QUERY", "PG_STATEMENT", "MY_PASSWORD", "FILE_USER", "FILE_PASSWORD", "FILE_QUERY"),
    *("FILE_FRAGMENT", "HOOK_PATH", "HOOK_USER", "HOOK_HEADER", "MAIL_USER", "MAIL_PASSWORD", "MMOST", "NTFY", "SLACK"),
    *("STATE", "WAREHOUSE", "AUDIT"),
)


KINDS = ("json_good", "json_bad", "json_gone", "xml_bad", "mmost_bad", "ntfy_good", "ntfy_gone", "mail_gone")


def canary(place: str) -> str:
    """A word of its own for each place, that an address must quote."""
    return f"cnry+{place.lower().replace('_', '-')}/7f3a"


CANARIES = {f"CANARY_{place}": canary(place) for place in PLACES}


def filled(text: str) -> str:
    """As somebody would type it who has the secret."""
    return text.replace("${CANARY_SLACK}", CANARIES["CANARY_SLACK"])


def forms(value: str) -> set[bytes]:
    """What would give a canary away: itself, quoted, in base64 wherever it begins."""
    found = {value, quote(value, safe=""), quote(value), quote(value, safe="").lower()}
    for offset, skipped in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(b"-" * offset + value.encode()).decode()
        found.add(whole[skipped : (offset + len(value)) * 8 // 6])
    return {text.encode() for text in found}


def leaks(place: str, data: bytes) -> list[str]:
    """Canaries that are in some bytes."""
    return [f"{name} in {place}" for name, value in CANARIES.items() if any(form in data for form in forms(value))]


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and every file within an archive."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield str(path), path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield from ((f"{path}:{name}", archive.read(name)) for name in archive.namelist())


@pytest.fixture
def web() -> Iterator[str]:
    """A real server: gives rows to who knows user and password, takes messages, echoes what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = f"{CANARIES['CANARY_FILE_USER']}:{CANARIES['CANARY_FILE_PASSWORD']}".encode()
            good = self.headers.get("Authorization") == f"Basic {base64.b64encode(given).decode()}"
            self.send_response(200 if good and "good.csv" in self.path else 404, f"no {self.path}")
            self.end_headers()
            self.wfile.write(b"at,v\n2026-11-01,1\n2026-11-02,2\n")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(
                500 if "bad" in self.path else 200, f"asked {self.path} {self.headers}"[:60].split("\n")[0]
            )
            self.end_headers()
            self.wfile.write(f"{self.path} {self.headers}".encode())

        do_PUT = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def contacts(web: str) -> dict[str, str]:
    """Contact points of several kinds, each once where somebody answers and once where nobody does."""
    found: dict[str, str] = {}
    for name, host in (("good", web), ("bad", web), ("gone", "127.0.0.1:9")):
        all_of_kind = {
            f"json_{name}": f"json://${{CANARY_HOOK_USER}}:${{CANARY_HOOK_HEADER}}@{host}/{name}/${{CANARY_HOOK_PATH}}?+X-Api-Key=${{CANARY_HOOK_HEADER}}&rto=2",
            f"xml_{name}": f"xml://${{CANARY_HOOK_USER}}:${{CANARY_HOOK_HEADER}}@{host}/{name}/${{CANARY_HOOK_PATH}}?rto=2",
            f"mmost_{name}": f"mmost://{host}/{name}/${{CANARY_MMOST}}?rto=2",
            f"ntfy_{name}": f"ntfy://${{CANARY_HOOK_USER}}:${{CANARY_NTFY}}@{host}/{name}?rto=2",
            f"mail_{name}": f"mailto://${{CANARY_MAIL_USER}}:${{CANARY_MAIL_PASSWORD}}@{host}?from=kpi@example.com&to=ana@example.com",
        }
        found |= {n: url for n, url in all_of_kind.items() if n in KINDS}
    found["slack_wrong"] = "slack://${CANARY_SLACK}"
    return found


def sources(web: str, folder: str) -> str:
    """Sources of every kind that takes a secret, where they work and in each way they fail."""
    user = "${CANARY_FILE_USER}:${CANARY_FILE_PASSWORD}"
    login = "${CANARY_PG_USER}:${CANARY_PG_PASSWORD}"
    tail = "application_name=${CANARY_PG_QUERY}"
    files = {
        "file_good": f"http://{user}@{web}/good.csv?t=${{CANARY_FILE_QUERY}}#${{CANARY_FILE_FRAGMENT}}",
        "file_404": f"http://{user}@{web}/bad.csv?t=${{CANARY_FILE_QUERY}}#${{CANARY_FILE_FRAGMENT}}",
        "file_gone": f"http://{user}@127.0.0.1:9/good.csv?t=${{CANARY_FILE_QUERY}}",
        "file_odd": f"http://{user}@127.0.0.1:x/good.csv?t=${{CANARY_FILE_QUERY}}",
    }
    tables = {
        "pg_good": f"postgresql://{login}@/postgres?host={folder}&{tail}",
        "pg_nowhere": f"postgresql://{login}@/nowhere?host={folder}&{tail}",
        "pg_gone": f"postgresql://{login}@127.0.0.1:9/postgres?{tail}",
        "pg_odd": f"postgresql://{login}@127.0.0.1:9/postgres?${{CANARY_PG_QUERY}}=1",
        "my_gone": "mysql://ana:${CANARY_MY_PASSWORD}@127.0.0.1:9/shop?passwd=${CANARY_MY_PASSWORD}",
    }
    lines = [f"- {{name: {n}, type: files, table: {n}, path: '{p}'}}" for n, p in files.items()]
    lines += [f"- {{name: {n}, type: sql, table: {n}, url: '{u}', query: SELECT 1 AS v}}" for n, u in tables.items()]
    asked = "SELECT CAST('${CANARY_PG_STATEMENT}' AS integer) AS v"
    lines += [f'- {{name: pg_echo, type: sql, table: pg_echo, url: "{tables["pg_good"]}", query: "{asked}"}}']
    return "\n".join(lines)


@pytest.fixture
def planted(project: Builder, web: str, postgres: str, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """A project with all of them, a KPI that fires, and a role that may sign in."""
    for name, value in CANARIES.items():
        raw = name == "CANARY_PG_STATEMENT"
        monkeypatch.setenv(name, value if raw else quote(value, safe=""))
    monkeypatch.setenv("KPI_AUDIT_KEY", 3 * CANARIES["CANARY_AUDIT"])
    engine = sa.create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        role = CANARIES["CANARY_PG_USER"]
        connection.execute(sa.text(f'DROP ROLE IF EXISTS "{role}"'))
        connection.execute(sa.text(f'CREATE ROLE "{role}" LOGIN SUPERUSER'))
    engine.dispose()
    points = "".join(f"  - {{name: {name}, url: '{url}'}}\n" for name, url in contacts(web).items())
    project.settings(f"name: Shop\ncontact_points:\n{points}")
    project.source(sources(web, postgres.partition("host=")[2]))
    project.rows("events", pd.DataFrame({"at": pd.to_datetime(["2026-11-01", "2026-11-02"]), "v": [1, 2]}))
    everyone = ", ".join(contacts(web))
    project.kpi(
        "k",
        f"dataset: events\nagg: count\nalerts: [{{name: low, thresholds: {{critical: '< 9'}}, notify: [{everyone}]}}]",
    )
    return project


VERBS = (
    ("validate", "--json"),
    ("sync", "--json", "--events"),
    ("sync", "--debug"),
    ("status", "--json"),
    ("doctor", "--json"),
    ("alerts", "evaluate", "--json"),
    ("alerts", "status", "--json"),
    ("sources", "--json"),
    ("sync", "--by", "https://ana:${CANARY_SLACK}@example.com/${CANARY_SLACK}"),
    ("audit", "list", "--json"),
    ("audit", "list", "--csv"),
    ("audit", "verify", "--json"),
)


@pytest.mark.slow
def test_no_canary_is_in_anything_that_is_written(
    planted: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: str
) -> None:
    monkeypatch.setenv("KPI_LOG_LEVEL", "debug")
    monkeypatch.setattr("jobs.outbox.deliver.PATIENCE_SECONDS", 0.2)
    place = ("--project", str(planted.folder))
    found, said = [], []
    for verb in VERBS:
        done = run_cli(*map(filled, verb), *place)
        said.append(done.stdout + done.stderr)
        found += leaks(" ".join(verb), (done.stdout + done.stderr).encode())
    for name in contacts(web):
        done = run_cli("alerts", "test", name, *place)
        assert (done.returncode == 0) == name.endswith("good"), (name, done.stderr)
        found += leaks(f"alerts test {name}", (done.stdout + done.stderr).encode())
    run_cli("backup", str(tmp_path / "b.zip"), *place, check=True)
    for name, data in written(tmp_path):
        found += leaks(name, data)
    assert found == []
    synced = said[1]
    failed = re.findall(r'"name": "(\w+)", "status": "failed"', synced)
    assert set(failed) == {
        "file_404",
        "file_gone",
        "file_odd",
        "pg_nowhere",
        "pg_gone",
        "pg_odd",
        "my_gone",
        "pg_echo",
    }, synced
    assert "invalid input syntax" in synced and "404" in synced and "refused" in synced, "the cause is told"


@pytest.mark.breadth(3, whole=True)
@pytest.mark.parametrize(
    "setting",
    [
        "state: 'postgresql://ana:${CANARY_STATE}@127.0.0.1:9/state?application_name=${CANARY_STATE}'",
        "state: 'postgresql://ana:${CANARY_STATE}@127.0.0.1:9/state?${CANARY_STATE}=1'",
        "state: 'nothing://${CANARY_STATE}'",
        "state: '${CANARY_STATE}'",
        "warehouse: 'clickhouse://me:${CANARY_WAREHOUSE}@db/x?key=${CANARY_WAREHOUSE}'",
        "timezone: '${CANARY_STATE}'",
        "sync_every: '${CANARY_STATE}'",
    ],
)
def test_a_setting_that_fails_does_not_tell_its_secret(
    project: Builder, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, quote(value, safe=""))
    project.rows("events", pd.DataFrame({"at": pd.to_datetime(["2026-11-01"]), "v": [1]}))
    project.kpi("k", "dataset: events\nagg: count\nalerts: [{name: low, thresholds: {critical: '< 9'}}]")
    project.settings(f"name: Shop\n{setting}\n")
    place = ("--project", str(project.folder))
    found = []
    for verb in (*VERBS, ("status", "--debug"), ("backup", str(project.folder.parent / "b"))):
        done = run_cli(*verb, *place)
        found += leaks(" ".join(verb), (done.stdout + done.stderr).encode())
    for name, data in written(project.folder.parent):
        found += leaks(name, data)
    assert found == []


def test_the_search_can_find(tmp_path: Path) -> None:
    """Every form of a canary, in a file and in an archive; and `--debug` masks in a process of its own, too."""
    value = CANARIES["CANARY_STATE"]
    for number, form in enumerate(sorted(forms(value))):
        (tmp_path / f"{number}.txt").write_bytes(b"a" + form + b"b")
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", value)
    found = [leak for name, data in written(tmp_path) for leak in leaks(name, data)]
    assert len(found) == len(forms(value)) + 1
    basic = base64.b64encode(f"someone:{value}".encode())
    assert leaks("header", basic), "as a header has it"


def test_debug_shows_a_traceback_without_secrets(project: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_STATE", "canary-in-debug")
    hide("canary-in-debug")
    project.settings("state: 'nothing://${CANARY_STATE}'\n")
    project.source("[")
    done = run_process("sync", "--debug", "--project", str(project.folder))
    assert done.returncode == 1 and "Traceback (most recent call last)" in done.stderr
    assert "canary-in-debug" not in done.stderr
