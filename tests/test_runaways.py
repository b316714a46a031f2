"""What would compute for ever or eat all memory ends within its limits, as one definition's error; the others go on."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.cage.asker import asker, computes_for
from connectors.cage.cage import Cage, Worker, WorkerError, cage
from connectors.cage.limits import LARGEST_ANSWER, Limits
from connectors.errors import QueryLimit, TransformError
from metrics.kpi_views.card import card
from metrics.kpi_views.overview import overview
from tests.conftest import NOW, Builder, run_cli
from tests.runaways import SELECTS, VALUES
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(3)

SETTINGS = "timezone: UTC\nquery_timeout: 3s\nquery_memory: 1GB\n"
LIMITS = Limits(10**9, 3.0, 2)
DRAW = random.Random(SEED)
TRIED = DRAW.sample(range(len(SELECTS)), cases(fast=3, slow=7, full=len(SELECTS)))
PLACED = DRAW.sample(VALUES, cases(fast=1, slow=3, full=len(VALUES)))
ROOM = 2.0  # seconds beyond the limit
MOST = 2_000  # MB


def world(project: Builder) -> None:
    at = pd.date_range("2026-11-01", periods=48, freq="6h")
    project.rows("t", pd.DataFrame({"at": at, "id": range(48), "amount": 1.5, "a": "x"}), entity="id")
    project.kpi("good", "dataset: t\nagg: sum\nexpr: amount")
    project.settings(SETTINGS)


class Watched:
    """Peak memory of this process's workers, MB, and the seconds of their longest answer."""

    peak, longest, looks = 0, 0.0, 0


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    found, done, answer = Watched(), threading.Event(), Worker._answer

    def timed(self: Worker, *asked: Any) -> Any:
        started = time.monotonic()
        try:
            return answer(self, *asked)
        finally:
            found.longest = max(found.longest, time.monotonic() - started)

    monkeypatch.setattr(Worker, "_answer", timed)

    def look() -> None:
        while not done.wait(0.02):
            found.looks += 1
            found.peak = max([found.peak, *(memory(child) for child in children())])

    thread = threading.Thread(target=look)
    thread.start()
    yield found
    done.set()
    thread.join()
    assert found.peak < MOST and found.longest < LIMITS.seconds + ROOM


def children() -> list[str]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    found: list[str] = []
    for task in tasks.glob("*"):
        with suppress(OSError):  # a thread that has ended
            found += (task / "children").read_text().split()
    return found


def memory(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        started = b"connectors.cage" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmRSS")), 0) if started else 0


@pytest.mark.sampled(len(TRIED))
@pytest.mark.parametrize("number", TRIED)
def test_a_runaway_is_its_own_end(project: Builder, seen: Watched, number: int) -> None:
    """In a sync, asked from a shell, and on a page; nothing else waits longer than for the limit."""
    world(project)
    sql = SELECTS[number]
    project.kpi("bad", f"type: sql\ndataset: t\nsql: >-\n  {sql}\n")
    assert not project.open().catalogue().broken, "it is valid: only running it shows what it is"
    problems = project.sync().problems
    told = [(Path(p.file).name, p.code) for p in problems if p.level == "error"]
    assert told in ([("bad.yml", "query_limit")], [("bad.yml", "warehouse")])
    assert project.values("good", grain="total") == {"total": 72.0}
    with pytest.raises(QueryLimit, match=r"settings\.yml"):
        project.ask("bad", facts=True)
    assert seen.looks, "it was looked at"
    shown = card(project.open().context(NOW), "bad")
    assert shown.status.slug == "waiting_for_data" and "not computed at the last sync" in shown.status.why


@pytest.mark.sampled(len(PLACED))
@pytest.mark.parametrize("value", PLACED)
def test_wherever_an_expression_stands(project: Builder, seen: Watched, value: str) -> None:
    """A measure, a filter, a dimension, a dataset's own SELECT: each alone takes its KPI down, and nothing else."""
    world(project)
    head = "source: t\ntime_dimension: at\nentity: id\n"
    project.kpi("measured", f"dataset: t\nagg: max\nexpr: >-\n  {value} + id * 0\n")
    project.write("datasets", "filtered", f"name: filtered\n{head}filter: >-\n  {value} > id\n")
    project.write("datasets", "parted", f"name: parted\n{head}dimensions:\n  bad: >-\n    ({value})::VARCHAR || a\n")
    project.write(
        "datasets", "read", f"name: read\ntime_dimension: at\nsource: >-\n  SELECT *, {value} + id * 0 AS v FROM t\n"
    )
    project.kpi("on_filtered", "dataset: filtered\nagg: count")
    project.kpi("on_parted", "dataset: parted\nagg: count")
    project.kpi("on_read", "dataset: read\nagg: max\nexpr: v")
    problems = project.sync().problems
    assert {p.code for p in problems if p.level == "error"} <= {"query_limit", "warehouse", "sql", "broken_reference"}
    assert project.values("good", grain="total") == {"total": 72.0}


def test_values_are_kept_and_told_where_the_next_sync_takes_too_long(project: Builder) -> None:
    """What was published stays, with its date; what it lacks is not zero; and the sync after makes up for all of it."""
    world(project)
    slow = "CASE WHEN id >= 100 THEN levenshtein(repeat('ab', 100000), repeat('ba', 100000 + id)) ELSE amount END"
    project.kpi("slow", f"dataset: t\nagg: sum\nexpr: >-\n  {slow}\n")
    project.sync()
    before = project.values("slow")
    assert set(before.values()) == {6.0} and len(before) == 12

    def add(last: int, *, slow: bool) -> None:
        at = pd.date_range("2026-11-01", periods=last, freq="6h")
        number = [n + (100 if slow and n >= 48 else 0) for n in range(last)]
        frame = pd.DataFrame({"at": at, "id": number, "amount": 1.5, "a": "x"})
        frame.to_parquet(project.folder / "files" / "t.parquet", index=False)

    add(56, slow=True)
    result = project.sync(now=NOW + pd.Timedelta(days=1))
    assert result.published and [p.code for p in result.problems if p.level == "error"] == ["query_limit"]
    assert len(project.values("good")) == 14
    series = project.ask("slow")
    assert project.values("slow") == before, "and no period after them, with or without a zero"
    assert "not computed since 23 Nov 2026, 02:30: took longer than 3 s" in series.notes
    context = project.open().context(NOW)
    assert "Not computed since 23 Nov 2026, 02:30" in card(context, "slow").notice
    assert overview(context).behind == ("Slow",) and card(context, "good").notice == ""

    add(60, slow=False)
    assert not [p for p in project.sync(now=NOW + pd.Timedelta(days=2)).problems if p.level == "error"]
    assert project.values("slow") == {**project.values("good")} and len(project.values("slow")) == 15
    assert project.ask("slow").notes == () and overview(project.open().context(NOW)).behind == ()


def test_a_definition_that_no_sync_has_tried_runs_for_its_author_and_on_no_page(project: Builder) -> None:
    world(project)
    project.sync()
    project.kpi("fresh", "dataset: t\nagg: count")
    assert project.values("fresh", grain="total") == {"total": 48}
    context = project.open().context(NOW)
    shown = card(context, "fresh")
    assert (shown.status.slug, shown.status.why) == ("waiting_for_data", "computes at the next sync")
    asked = run_cli("query", "fresh", "--grain", "total", "--project", str(project.folder))
    assert asked.returncode == 0 and "48" in asked.stdout
    project.sync()
    assert card(project.open().context(NOW), "fresh").status.slug == "no_target"
    project.kpi("good", "dataset: t\nagg: sum\nexpr: amount * 2")
    assert card(project.open().context(NOW), "good").status.why == "computes at the next sync"


NOWS = (
    *("now()", "current_timestamp", "get_current_timestamp()", "transaction_timestamp()", "localtimestamp"),
    *("current_localtimestamp()", "current_date", "today()", "ago(INTERVAL 0 DAY)", "current_date + current_time"),
    *("current_date + localtime", "now()::TIMESTAMP", "current_date + current_localtime()", "current_timestamp::DATE"),
)


@pytest.mark.breadth(3)
@pytest.mark.parametrize("now", NOWS)
def test_now_is_the_moment_of_the_sync_whoever_asks_whenever(project: Builder, now: str) -> None:
    world(project)
    project.kpi("so_far", f"dataset: t\nagg: count\nfilter: at <= {now}")
    at = pd.Timestamp("2026-11-05 12:00")
    assert not [p for p in project.sync(now=at.tz_localize("UTC").to_pydatetime()).problems if p.level == "error"]
    days = now in ("current_date", "today()", "current_timestamp::DATE")
    expected = {"total": 17 if days else 19}  # every six hours since the first; the fifth day's midnight, or noon
    assert project.values("so_far", grain="total") == expected
    stored, counted = project.values("so_far"), project.values("so_far", facts=True)
    assert stored == counted and sum(v or 0 for v in stored.values()) == expected["total"]


def test_an_age_says_since_when(project: Builder) -> None:
    world(project)
    project.kpi("old", "dataset: t\nagg: count\nfilter: age(at) > INTERVAL 1 DAY")
    project.kpi("older", "dataset: t\nagg: count\nfilter: age(now(), at) > INTERVAL 1 DAY")
    (problem,) = [p for p in project.sync().problems if p.level == "error"]
    assert problem.file.endswith("kpis/old.yml") and "age(now(), x)" in problem.hint


TRANSFORMS = {
    "endless": "def endless(values):\n    while True:\n        pass\n",
    "hungry": "def hungry(values):\n    return [bytearray(1 << 20) for _ in range(10**6)]\n",
    "deep": "def deep(values):\n    return deep(values)\n",
    "dies": "import os\ndef dies(values):\n    os._exit(3)\n",
    "endless_import": "while True:\n    pass\ndef endless_import(values):\n    return values\n",
    "powers": "def powers(values):\n    return values * len(str(7 ** (7 ** 9)))\n",
    "sleeps": "import time\ndef sleeps(values):\n    time.sleep(1000)\n",
    "asks": "import os\ndef asks(values):\n    return values * int('KPI_CANARY' not in ' '.join(os.environ))\n",
    "prints": "def prints(values):\n    print('x' * 10**6)\n    return values\n",
}


@pytest.mark.slow
def test_a_transform_of_ones_own_has_the_same_limits(
    project: Builder, seen: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KPI_CANARY", "secret")
    world(project)
    for name, code in TRANSFORMS.items():
        project.write("transforms", name, code)
        project.kpi(f"with_{name}", f"dataset: t\nagg: sum\nexpr: amount\ntransforms: [{name}]")
    project.sync()
    assert set(project.open().catalogue(project.open().reader()).broken) == {"with_endless_import"}
    for name in TRANSFORMS.keys() - {"endless_import", "asks", "prints"}:
        with pytest.raises((QueryLimit, TransformError), match=f"transform {name}"):
            project.ask(f"with_{name}")
    assert seen.longest > LIMITS.seconds, "it was looked at"
    for name in ("asks", "prints"):  # it knows no variable of ours, and what it says is nobody's output
        assert set(project.values(f"with_{name}").values()) == {6.0}


def test_more_than_compute_at_a_time_wait_and_are_told_when_it_takes_too_long() -> None:
    limits = Limits(10**9, 1.5, 1)
    made = Cage(limits)
    found: list[object] = []

    def ask() -> None:
        try:
            found.append(made.ask("time:sleep", 1.2))
        except QueryLimit as error:
            found.append(error.message)

    made.ask("time:sleep", 0)  # started
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert sorted(map(str, found)) == ["None", "None", "waited 1.5 s for others to end"]


class Peaks(Cage):
    """Notes how many compute for whom at a time."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.now, self.peak, self._counting = Counter[str](), Counter[str](), threading.Lock()

    def take(self) -> Worker:
        with self._counting:
            self.now[asker()] += 1
            self.peak |= self.now
        return super().take()

    def give_back(self, worker: Worker) -> None:
        with self._counting:
            self.now[asker()] -= 1
        super().give_back(worker)


@pytest.mark.parametrize("places", [1, 2, 4])
def test_one_who_asks_without_end_leaves_a_place_for_others(places: int) -> None:
    made, waited = Peaks(Limits(10**9, 60.0, places)), dict[str, float]()
    workers = [made.take() for _ in range(places)]
    for worker in workers:
        worker.ask("time:sleep", 0)  # it is there, and has loaded what it needs
        made.give_back(worker)
    made.now.clear()
    made.peak.clear()

    def asks(whose: str, seconds: float) -> None:
        computes_for(whose)
        begun = time.monotonic()
        made.ask("time:sleep", seconds)
        waited[whose] = time.monotonic() - begun

    greedy = [threading.Thread(target=asks, args=("greedy", 2.0)) for _ in range(places + 1)]
    for thread in greedy:
        thread.start()
    while made.now["greedy"] < max(1, places - 1):
        time.sleep(0.01)
    other = threading.Thread(target=asks, args=("other", 0.0))
    other.start()
    for thread in (other, *greedy):
        thread.join()
    made.close()
    assert made.peak["greedy"] == max(1, places - 1) and made.peak["other"] == 1
    assert places == 1 or waited["other"] < 1.5, "it waited for none of them"


def test_a_worker_is_replaced_when_it_ended_and_its_errors_are_told_apart() -> None:
    made = Cage(Limits(2 * 10**9, 3.0, 1))
    with pytest.raises(QueryLimit, match="longer than 3 s"):
        made.ask("time:sleep", 100)
    with pytest.raises(QueryLimit, match="2 GB of memory"):
        made.ask("builtins:bytearray", 3 * 10**9)
    with pytest.raises(QueryLimit, match=f"at most {LARGEST_ANSWER >> 20} MB"):
        made.ask("builtins:bytes", 300 << 20)
    with pytest.raises(QueryLimit, match=r"memory, or failed \(SIGABRT\)"):
        made.ask("os:abort")
    with pytest.raises(QueryLimit, match=r"exit status 3"):
        made.ask("os:_exit", 3)
    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        made.ask("operator:truediv", 1, 0)
    assert made.ask("builtins:sum", [1, 2]) == 3
    made.close()


def test_a_worker_ends_with_the_process_that_asks() -> None:
    """Killed, not closed: nobody is left to end a query that computes for ever."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        worker = Worker(Limits(10**9, 300.0, 1))
        os.write(write, str(worker._process.pid).encode())
        worker.ask("time:sleep", 300)
        os._exit(0)
    os.close(write)
    pid = int(os.read(read, 20))
    os.close(read)
    time.sleep(0.5)
    os.kill(child, 9)
    os.waitpid(child, 0)
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < until, "it still is there"
        time.sleep(0.1)


def test_one_cage_serves_a_process() -> None:
    assert cage(LIMITS) is cage(Limits(10**9, 3.0, 2)) and cage(LIMITS) is not cage(Limits())
