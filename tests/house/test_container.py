"""The image, read as text, and its entry run as the image would: its tree, a user without rights, one writable folder.

No container engine is needed. What is left to one is that the base exists and that pip installs the lock on it.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import REQUIRED, ROOT

NOBODY = 65534


def steps(text: str | None = None) -> list[tuple[str, str]]:
    """Instruction and argument of every step; lines that go on are joined."""
    joined = re.sub(r"\\\n\s*", " ", text if text is not None else (ROOT / "Dockerfile").read_text())
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def arguments(instruction: str) -> list[str]:
    return [argument for name, argument in steps() if name == instruction]


def in_image(file: str, patterns: list[str]) -> bool:
    """Whether .dockerignore lets the file through: the last pattern that names it or a folder of it decides."""
    kept = True
    above = [file, *(str(parent) for parent in Path(file).parents if str(parent) != ".")]
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if any(fnmatch.fnmatch(path, bare) for path in above):
            kept = pattern.startswith("!")
    return kept


def context() -> list[str]:
    """Files of the repository that reach the image."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    text = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in text if line and not line.startswith("#")]
    return [file for file in listed if in_image(file, patterns) and (ROOT / file).is_file()]


def test_the_base_is_pinned_to_a_version() -> None:
    (base,) = arguments("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", base)


def test_what_runs_is_not_root() -> None:
    names = [name for name, _ in steps()]
    (user,) = arguments("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "a number: orchestrators can tell that it is not root"
    assert "RUN" not in names[names.index("USER") :] and names.index("USER") < names.index("CMD")
    assert "sudo" not in (ROOT / "Dockerfile").read_text() and "ENTRYPOINT" not in names


def test_every_source_that_is_copied_exists_and_passes_dockerignore() -> None:
    passed = set(context())
    for argument in arguments("COPY"):
        *sources, _ = argument.split()
        assert sources and all(source == "." or source in passed for source in sources), argument


def test_the_image_holds_what_serves_and_nothing_else() -> None:
    tops = {file.split("/")[0] for file in context()}
    assert {"app.py", "connectors", "jobs", "metrics", "pages", "ui", "cli", "api", ".streamlit", "container"} <= tops
    assert not tops & {"tests", "data", "docs", "benchmarks", ".git", ".venv", ".github", "requirements.txt"}
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not in_image("metrics/definitions/launches/new_editor.yml", ignored)
    assert not in_image("container/company/secrets/STATE_URL", ignored) and in_image("container/with-secrets", ignored)


def test_its_commands_are_files_that_may_be_executed() -> None:
    health = json.loads(arguments("HEALTHCHECK")[0].split(" CMD ")[1])
    for command in (*json.loads(arguments("CMD")[0]), *health, "kpi"):
        assert os.access(ROOT / "container" / command, os.X_OK), command


def test_ports_agree_and_only_this_machine_reaches_them() -> None:
    (port,) = arguments("EXPOSE")
    assert f"${{PORT:-{port}}}" in (ROOT / "container" / "serve").read_text()
    assert f"${{PORT:-{port}}}" in (ROOT / "container" / "healthy").read_text()
    service = YAML(typ="safe").load(ROOT / "compose.yaml")["services"]["bellwether"]
    assert service["ports"] == [f"127.0.0.1:${{PORT:-{port}}}:{port}"]


def test_compose_takes_rights_away_and_keeps_the_data() -> None:
    told = YAML(typ="safe").load(ROOT / "compose.yaml")
    service = told["services"]["bellwether"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and "privileged" not in service
    (volume,) = arguments("VOLUME")
    assert service["volumes"] == [f"data:{volume}"] and "data" in told["volumes"]
    assert f"KPI_PROJECT={volume}/demo" in arguments("ENV")[0]


@pytest.fixture
def image() -> Iterator[Path]:
    """The tree of the image, which nobody may write to, beside a folder `data` that is nobody's own."""
    folder = Path(tempfile.mkdtemp(prefix="image"))  # not pytest's: those are closed to other users
    folder.chmod(0o755)
    for file in context():
        target = folder / "app" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, target)
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "."], cwd=folder / "app", check=True
    )  # as Dockerfile says
    (folder / "data").mkdir()
    if os.getuid() == 0:
        os.chown(folder / "data", NOBODY, NOBODY)
    else:
        subprocess.run(["chmod", "-R", "a-w", str(folder / "app")], check=True)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


def without_rights() -> list[str]:
    """What runs a command as nobody; nothing if this is not root anyway."""
    if os.getuid() != 0:
        return []
    reads = "-all,+dac_read_search"  # writes nothing of others; reads the Python under test, maybe in /root
    prefix = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--no-new-privs",
              f"--inh-caps={reads}", f"--ambient-caps={reads}", f"--bounding-set={reads}"]  # fmt: skip
    if not shutil.which("setpriv") or subprocess.run([*prefix, "true"], check=False).returncode:
        (pytest.fail if REQUIRED else pytest.skip)("setpriv (util-linux) cannot become nobody here")
    return prefix


def environment(image: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = f"{image}/app/container:{Path(sys.executable).parent}:/usr/bin:/bin"
    return {"PATH": path, "KPI_PROJECT": f"{image}/data/demo", "PORT": str(port), "HOME": f"{image}/data",
            "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}  # fmt: skip


@pytest.mark.slow
def test_the_entry_fills_and_serves_the_demo_as_nobody(image: Path) -> None:
    prefix, told = without_rights(), environment(image)
    files = sorted((image / "app").rglob("*"))
    log = (image / "log").open("w+")
    command = [*prefix, *json.loads(arguments("CMD")[0])]
    server = subprocess.Popen(command, cwd=image / "app", env=told, stdout=log, stderr=log)
    try:
        for _ in range(180):
            healthy = subprocess.run(
                [*prefix, "healthy"], cwd=image / "app", env=told, capture_output=True, check=False
            )
            if healthy.returncode == 0 or server.poll() is not None:
                break
            time.sleep(1)
        log.seek(0)
        assert healthy.returncode == 0, log.read()
        if os.getuid() == 0:
            assert f"\nUid:\t{NOBODY}\t" in Path(f"/proc/{server.pid}/status").read_text()
        assert listens_everywhere(int(told["PORT"]))
        with urllib.request.urlopen(f"http://127.0.0.1:{told['PORT']}/", timeout=5) as page:
            assert b"<title>" in page.read()
        asked = subprocess.run(
            [*prefix, "kpi", "status", "--json"], cwd="/", env=told, capture_output=True, text=True, check=True
        )
        assert json.loads(asked.stdout)["generation"]
    finally:
        server.send_signal(signal.SIGTERM)  # as `docker stop` does
        ended = server.wait(timeout=20)
        log.close()
    assert ended in (0, -signal.SIGTERM)
    assert sorted((image / "app").rglob("*")) == files


def listens_everywhere(port: int) -> bool:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1] == f"00000000:{port:04X}" and row[3] == "0A" for row in rows)
