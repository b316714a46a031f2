"""The servers that are loaded, and what the system says of their processes (Linux)."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
NOW = "2026-11-23T02:30:00+00:00"  # the demo's story ends the day before
KPI = (sys.executable, "-m", "cli")
TICK = os.sysconf("SC_CLK_TCK")


def environment() -> dict[str, str]:
    """Ours, with the demo's clock."""
    return {**os.environ, "KPI_NOW": os.environ.get("KPI_NOW", NOW), "PYTHONPATH": str(ROOT)}


def kpi(*arguments: str) -> None:
    """Run a verb. Raises CalledProcessError, with what it said printed."""
    done = subprocess.run([*KPI, *arguments], env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()


class Server:
    """A server in a process of its own, until the block ends. most_files: its `ulimit -n`."""

    def __init__(self, command: Sequence[str], log: Path, most_files: int = 0) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._command, self._log, self._most_files = command, log, most_files

    def __enter__(self) -> Self:
        command = [part.format(port=self.port) for part in self._command]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log, stderr=log)
        if self._most_files:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (self._most_files, self._most_files))
        self._await()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _await(self) -> None:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_stcore/health", timeout=2) as answered:
                    if answered.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        self.__exit__(None, None, None)
        raise RuntimeError(f"no server: {self._log.read_text()}")

    def cpu(self) -> float:
        """CPU seconds so far, its live children's included."""
        return sum(_cpu(pid) for pid in _tree(self.process.pid))

    def memory(self) -> int:
        """Resident bytes of the server itself."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """How many files it has open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


def dashboard(project: Path, most_files: int = 0) -> Server:
    """`kpi run` of a project."""
    command = [*KPI, "run", "--project", str(project), "--port", "{port}"]
    return Server(command, project / "server.log", most_files)


def bare_page(folder: Path) -> Server:
    """One `st.write`, under the same settings of Streamlit."""
    page = str(Path(__file__).parent / "bare.py")
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        page,
        "--server.address",
        "127.0.0.1",
        "--server.port",
        "{port}",
    ]
    return Server(command, folder / "bare.log")


def _tree(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        found = []
    return [pid, *(below for child in found for below in _tree(int(child)))]


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK
