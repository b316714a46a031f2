"""Measure what the acceptance limits speak of. CPU seconds, best of several runs, ratios within one run."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RUNS = 7
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
KPI = [sys.executable, "-c", "from cli.app import main; main()"]


def cpu(command: list[str]) -> float:
    """CPU seconds, user and system, of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def whole_commands() -> dict[str, float]:
    """Median CPU of each of COMMANDS on a demo of its own, after a sync that left nothing new."""
    with tempfile.TemporaryDirectory() as folder:
        cpu([*KPI, "demo", folder, "--now", NOW])
        asked = {verb: [*KPI, *verb.split(), "--project", folder, "--now", NOW] for verb in COMMANDS}
        cpu(asked["sync"])
        return {verb: statistics.median(cpu(command) for _ in range(5)) for verb, command in asked.items()}


def query_against_imports() -> tuple[float, float]:
    """Median CPU of `kpi query` and of importing its third-party modules, interleaved."""
    code = LOADED.format(asked=ASKED)
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    modules = "import " + ", ".join(out.rsplit("@", 1)[-1].split())
    pairs = [(cpu([*KPI, *ASKED]), cpu([sys.executable, "-c", modules])) for _ in range(RUNS)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def overview_script(reruns: int = 25) -> float:
    """Median CPU seconds of one run of the overview's script (its thread), caches warm."""
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


def overview_on_the_server(reruns: int = 40) -> float:
    """CPU seconds of the server for one rerun of the overview, asked by a real browser, caches warm."""
    from playwright.sync_api import sync_playwright

    from tests.conftest import DEFAULT_DEMO, Server, chromium

    server = Server(DEFAULT_DEMO)
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


def main() -> None:
    """Print one line per measure."""
    for verb, seconds in whole_commands().items():
        print(f"kpi {verb} {seconds:.2f} s CPU on the demo, children included (limit {COMMANDS[verb]})")
    query, imports = query_against_imports()
    print(f"kpi query {query:.3f} s CPU, imports {imports:.3f} s CPU, ratio {query / imports:.2f} (limit 1.20)")
    print(f"overview rerun {overview_script() * 1000:.1f} ms CPU of its script (limit 15)")
    print(f"overview rerun {overview_on_the_server() * 1000:.1f} ms CPU of the whole server, sockets included")


if __name__ == "__main__":
    main()
