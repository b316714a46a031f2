"""Whatever starts a process loads numpy with one BLAS thread: in the real processes, without variables of the user."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.clocks import MENDED
from tests.conftest import KPI, ROOT

# Python runs sitecustomize.py at its start, before the process has done anything.
COUNT = """
import ctypes, json, pathlib

def count():
    import numpy, scipy.linalg
    found = {}
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        path = line.split()[-1]
        if "openblas" in path and ".so" in path:
            library = ctypes.CDLL(path)
            names = [f"{a}openblas_get_num_threads{b}" for a in ("", "scipy_") for b in ("", "64_", "_64")]
            found[path] = next(getattr(library, name)() for name in names if hasattr(library, name))
    return json.dumps(sorted(found.values()))
"""
AT_THE_END = (
    COUNT
    + """
import atexit, sys
atexit.register(lambda: print("BLAS", count(), file=sys.stderr))
"""
)
WHEN_ASKED = (
    COUNT
    + """
import os, threading, time

def wait():
    folder = pathlib.Path(os.environ["ASKED_IN"])
    while not (folder / "ask").exists():
        time.sleep(0.05)
    (folder / "fresh").write_text(count())
    (folder / "fresh").rename(folder / "told")

threading.Thread(target=wait, daemon=True).start()
"""
)

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/maps").exists() or (os.cpu_count() or 1) < 2, reason="needs Linux and a second core"
)


def environment(folder: Path, code: str, **more: str) -> dict[str, str]:
    mended = (MENDED / "sitecustomize.py").read_text() if "FAKETIME" in os.environ else ""
    (folder / "sitecustomize.py").write_text(mended + code)
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_NUM_THREADS", "_MAXIMUM_THREADS"))}
    return {**kept, "PYTHONPATH": str(folder), **more}


def test_the_command_has_one(tmp_path: Path, demo_folder: Path) -> None:
    command = [*KPI, "query", "sign_ups", "--project", str(demo_folder)]
    for more in ({}, {"OMP_NUM_THREADS": "2"}, {"OPENBLAS_NUM_THREADS": "2"}):
        done = subprocess.run(
            command, env=environment(tmp_path, AT_THE_END, **more), capture_output=True, text=True, check=True
        )
        assert done.stderr.strip() == "BLAS [1, 1]", "numpy brings one library, scipy another"


def test_the_count_can_be_more(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "pass"],
        env=environment(tmp_path, AT_THE_END),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() not in ("", "BLAS []", "BLAS [1, 1]")


def test_the_launcher_has_one_however_it_is_started(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "app.py"),
        "--server.port",
        str(port),
        "--server.address",
        "127.0.0.1",
        "--server.headless",
        "true",
    ]
    env = environment(tmp_path, WHEN_ASKED, ASKED_IN=str(tmp_path))
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as process:
        try:
            _wait(lambda: _answers(port), tmp_path / "log")
            (tmp_path / "ask").touch()
            _wait((tmp_path / "told").exists, tmp_path / "log")
        finally:
            process.terminate()
    assert (tmp_path / "told").read_text() == "[1, 1]"


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answered:
            return bool(answered.status == 200)
    except OSError:
        return False


def _wait(done: Callable[[], bool], log: Path) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
