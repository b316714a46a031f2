"""The compose file of a company, read as text, and its services run by their own commands beside a real PostgreSQL."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML
from sqlalchemy import create_engine, text

from connectors.state.leading import LEADER
from jobs.scheduler import book
from tests.conftest import REQUIRED, ROOT, Builder, run_cli

FOLDER = ROOT / "container" / "company"
OURS = ("app-1", "app-2", "scheduler")


def told() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(FOLDER / "compose.yaml"))


def service(name: str) -> dict[str, Any]:
    return dict(told()["services"][name])


@pytest.mark.parametrize("name", OURS)
def test_what_runs_of_ours_has_no_rights_and_ends_whole(name: str) -> None:
    of = service(name)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", of["user"]) and of["read_only"] is True and of["cap_drop"] == ["ALL"]
    assert of["security_opt"] == ["no-new-privileges:true"] and "ports" not in of and "privileged" not in of
    assert of["volumes"] == ["data:/data"] and of["deploy"]["resources"]["limits"]["memory"]
    assert "--allow-open" not in of["command"], "only behind a sign-in"
    seconds = {"30s": 30, "1m": 60}[of["stop_grace_period"]]
    grace = float(of["command"][of["command"].index("--grace") + 1]) if "--grace" in of["command"] else 20
    assert seconds > grace + 5


def test_only_the_proxy_is_reached_from_outside_and_the_database_by_ours() -> None:
    services = told()["services"]
    assert [name for name, of in services.items() if "ports" in of] == ["proxy"]
    assert services["postgres"]["networks"] == ["back"] and told()["networks"]["back"] == {"internal": True}
    assert "back" not in services["proxy"]["networks"]
    for name in ("postgres", "proxy"):
        assert re.fullmatch(r"\w+:\d+\.\d+-alpine", services[name]["image"]), "pinned"


def test_secrets_are_files_that_git_does_not_take() -> None:
    files = {Path(of["file"]) for of in told()["secrets"].values()}
    for file in files:
        ignored = subprocess.run(["git", "check-ignore", "-q", FOLDER / file], cwd=ROOT, check=False)
        assert ignored.returncode == 0, file
    named = {
        s if isinstance(s, str) else s["source"] for of in told()["services"].values() for s in of.get("secrets", ())
    }
    assert named == set(told()["secrets"])
    assert "password" not in re.sub(
        r"postgres_password|POSTGRES_PASSWORD_FILE", "", (FOLDER / "compose.yaml").read_text()
    )


def test_the_proxy_knows_every_server() -> None:
    text = (FOLDER / "Caddyfile").read_text()
    (upstreams,) = re.findall(r"reverse_proxy (.*) \{", text)
    apps = [name for name in told()["services"] if name.startswith("app-")]
    ports = {service(name)["command"][-1] for name in apps}
    assert upstreams.split() == [f"{name}:{port}" for name in apps for port in ports] and "lb_policy cookie" in text
    assert "{$SITE}" in text and "SITE" in service("proxy")["environment"]


def test_secrets_become_variables(tmp_path: Path) -> None:
    (tmp_path / "STATE_URL").write_text("postgresql://a:b c$d@e/f\n")
    (tmp_path / "sign_in").write_text("no variable")
    asked = subprocess.run(
        [ROOT / "container" / "with-secrets", "sh", "-c", 'echo "$STATE_URL|${sign_in:-none}"'],
        env={"PATH": os.environ["PATH"], "SECRETS": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert asked.stdout == "postgresql://a:b c$d@e/f|none\n"


def until(found: Callable[[], object], what: str, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, what
        time.sleep(0.1)


class Company:
    """The services that are ours, each by its command, with paths, addresses and ports of this machine."""

    def __init__(self, project: Builder, secrets: Path) -> None:
        self.project, self.running = project, dict[str, subprocess.Popen[bytes]]()
        self.ports = dict.fromkeys(OURS[:2], 0)
        for name in self.ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports[name] = probe.getsockname()[1]
        self._secrets = secrets

    def start(self, name: str) -> None:
        of = service(name)
        port, path = str(self.ports.get(name, "")), f"{ROOT}/container:{Path(sys.executable).parent}:/usr/bin:/bin"
        here = {"8501": port, "0.0.0.0": "127.0.0.1"}
        environment = {
            **{key: os.environ[key] for key in ("KPI_NOW", "HOME") if key in os.environ},
            **of["environment"],
        }
        environment |= {"KPI_PROJECT": str(self.project.folder), "SECRETS": str(self._secrets), "PATH": path}
        with (self.project.folder / f"{name}.log").open("a") as log:
            self.running[name] = subprocess.Popen(
                [here.get(word, word) for word in of["command"]], env=environment, cwd=ROOT, stdout=log, stderr=log
            )

    def healthy(self, name: str) -> bool:
        asked = subprocess.run(
            [ROOT / "container" / service(name)["healthcheck"]["test"][1]],
            env={"PORT": str(self.ports[name]), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
            capture_output=True, check=False,
        )  # fmt: skip
        return asked.returncode == 0

    def restart(self, name: str) -> None:
        process = self.running[name]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
        self.start(name)


@pytest.fixture
def company(project: Builder, postgres: str, tmp_path: Path) -> Iterator[Company]:
    project.settings("timezone: UTC\nsign_in: true\nstate: '${STATE_URL}'\n")
    project.rows("events", pd.DataFrame({"at": pd.date_range("2026-11-01", periods=20), "v": 1.0}))
    project.kpi("k", "label: Orders\ndataset: events\nagg: sum\nexpr: v")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "STATE_URL").write_text(postgres)
    made = Company(project, secrets)
    yield made
    for process in made.running.values():
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_services_run_by_their_commands_and_are_restarted_one_by_one(company: Company, postgres: str) -> None:
    for name in OURS:
        company.start(name)
    until(lambda: all(company.healthy(name) for name in OURS[:2]), "both servers are healthy")
    data = company.project.folder / "data"
    until(lambda: (data / "live").exists(), "the scheduler syncs")
    engine = create_engine(postgres)
    with engine.connect() as connection:
        holders = connection.execute(
            text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock"), {"lock": LEADER}
        ).scalar()
    engine.dispose()
    assert holders == 1 and not (data / "scheduler.lock").exists()
    for name, other in (("app-1", "app-2"), ("app-2", "app-1")):
        company.restart(name)
        assert company.healthy(other), "one serves while the other starts"
        until(lambda name=name: company.healthy(name), f"{name} is healthy again")  # type: ignore[misc]
    before = book.read(data)
    company.restart("scheduler")
    until(lambda: (kept := book.read(data)) and before and kept.leader not in ("", before.leader), "the next leads")
    kept = book.read(data)
    assert kept is not None and kept.ran["sync"].failures == 0 and kept.ran["sync"].ended_at is not None
    environment = {"STATE_URL": postgres}
    assert (
        '"state": "done"'
        in run_cli("status", "--json", "--project", str(company.project.folder), env=environment).stdout
    )


@pytest.mark.slow
def test_requests_pass_through_the_proxy(company: Company, tmp_path: Path) -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        words = "no caddy on this machine (Debian: apt-get install caddy), so the proxy is not tried"
        (pytest.fail if REQUIRED else pytest.skip)(words)
    for name in OURS[:2]:
        company.start(name)
    until(lambda: all(company.healthy(name) for name in OURS[:2]), "both servers are healthy")
    written = (FOLDER / "Caddyfile").read_text()
    for name, port in company.ports.items():
        written = written.replace(f"{name}:8501", f"127.0.0.1:{port}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + written)
    environment = {**os.environ, "SITE": f"http://127.0.0.1:{port}", "HOME": str(tmp_path)}
    log = (tmp_path / "caddy.log").open("w")
    command = [caddy, "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
    proxy = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def passes() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                return b"<title>" in page.read()
        except OSError:
            return False

    try:
        until(passes, "a page comes through the proxy")
        for name in company.ports:
            company.restart(name)
            assert passes(), f"requests go to the other one while {name} starts"
            until(lambda name=name: company.healthy(name), f"{name} is healthy again")  # type: ignore[misc]
            time.sleep(3)  # until the proxy has seen that, too
    finally:
        proxy.terminate()
        proxy.wait(20)
        log.close()
