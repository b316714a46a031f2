"""Whole commands with their imports, and a rerun of the overview: CPU seconds, medians, ratios within one run."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measures import Measure

ROOT = Path(__file__).resolve().parent.parent
RUNS = 7
PART = "commands, the demo"
NOW = "2026-11-23T02:30:00Z"  # the clock of the demo that whole commands run on: nothing comes in between
# Whole commands with their children → most CPU seconds.
COMMANDS = {"sync": 0.8, "snapshot take": 1.2, "list": 1.6, "validate": 1.6}
ASKED = ["query", "sign_ups"]
# Imports what the query loaded from site-packages, and nothing of ours.
LOADED = (
    "import sys; sys.argv = ['kpi', *{asked}]\n"
    "from cli.app import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    "print('@' + ' '.join(m for m, v in sys.modules.items()"
    " if 'site-packages' in (getattr(v, '__file__', '') or '') and not m.startswith('kpi_transform')))"
)
KPI = [sys.executable, "-c", "from cli.app import command; command()"]


def cpu(command: list[str]) -> float:
    """CPU seconds, user and system, of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def demo(folder: Path) -> float:
    """Make the demo in a folder; CPU seconds of it. A sync after it leaves nothing new."""
    took = cpu([*KPI, "demo", str(folder), "--now", NOW])
    cpu([*KPI, "sync", "--project", str(folder), "--now", NOW])
    return took


def whole_commands(folder: Path) -> dict[str, float]:
    """Median CPU of each of COMMANDS on a demo."""
    asked = {verb: [*KPI, *verb.split(), "--project", str(folder), "--now", NOW] for verb in COMMANDS}
    return {verb: statistics.median(cpu(command) for _ in range(5)) for verb, command in asked.items()}


def query_against_imports(folder: Path) -> tuple[float, float]:
    """Median CPU of `kpi query` and of importing its third-party modules, interleaved."""
    asked = [*ASKED, "--project", str(folder)]
    code = LOADED.format(asked=asked)
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    modules = "import " + ", ".join(out.rsplit("@", 1)[-1].split())
    pairs = [(cpu([*KPI, *asked]), cpu([sys.executable, "-c", modules])) for _ in range(RUNS)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def overview_script(folder: Path, reruns: int = 25) -> float:
    """Median CPU seconds of one run of the overview's script (its thread), caches warm."""
    os.environ["KPI_PROJECT"] = str(folder)
    from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
    from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
    from streamlit.testing.v1 import AppTest

    found: list[float] = []
    run_script = ScriptRunner._run_script

    def timed(self: ScriptRunner, rerun_data: RerunData) -> None:
        before = time.thread_time()
        run_script(self, rerun_data)
        found.append(time.thread_time() - before)

    setattr(ScriptRunner, "_run_script", timed)  # noqa: B010 (a method of a library cannot be assigned, says mypy)
    gc.disable()  # as the server does between runs: runner.postScriptGC = false
    os.chdir(ROOT)
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60).run()
    for _ in range(reruns):
        app.run()
    return statistics.median(found[-reruns:])


def overview_on_the_server(folder: Path, reruns: int = 40) -> float:
    """CPU seconds of the server for one rerun of the overview, asked by a real browser, caches warm."""
    from playwright.sync_api import sync_playwright

    from tests.conftest import Server, chromium

    server = Server(folder)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(server.url)
            page.locator(".card").first.wait_for()
            page.wait_for_timeout(1500)
            runs = []
            for press in range(reruns + 5):
                if press == 5:
                    before = _server_cpu(server.process.pid)
                page.keyboard.press("r")
                page.wait_for_timeout(250)
            runs.append(_server_cpu(server.process.pid) - before)
            browser.close()
    finally:
        server.stop()
    return runs[0] / reruns


def _server_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(folder: Path) -> Iterator[Measure]:
    """Of the demo, made in a folder: commands with their children, and the overview's reruns."""
    yield Measure(PART, "kpi demo", demo(folder), "s", 25.0)
    for verb, seconds in whole_commands(folder).items():
        yield Measure(PART, f"kpi {verb}{', nothing new' if verb == 'sync' else ''}", seconds, "s", COMMANDS[verb])
    query, imports = query_against_imports(folder)
    yield Measure(PART, "kpi query / its imports", query / imports, "×", 1.2, f"{query:.2f} s")


def reruns(folder: Path) -> Iterator[Measure]:
    """Of the overview, caches warm: the script's thread, and the server that a browser asks."""
    yield Measure(PART, "overview rerun, its script", overview_script(folder) * 1000, "ms", 15.0)
    yield Measure(PART, "overview rerun, the whole server", overview_on_the_server(folder) * 1000, "ms")
