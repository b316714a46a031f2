"""What the benchmarks' table says of a figure, and what it is read from (benchmarks/table.py)."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks import hand_sql, others, refreshing, table, workload
from benchmarks.measures import Measure, as_table, best, cpu_seconds, watched
from tests.conftest import ROOT

SPEND = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


@pytest.mark.parametrize(
    ("figure", "bar", "of", "code", "state"),
    [
        (1.5, 1.5, "", 0, "met"),
        (1.6, 1.5, "", 1, "**missed**"),
        (float("nan"), 1.5, "", 1, "**missed**"),
        (1.6, 1.5, "10M", 0, ""),
        (1.6, None, "", 0, ""),
        (0, 0, "", 0, "met"),
        (3, 0, "", 2, "**missed**"),
    ],
)
def test_a_limit_that_is_missed_is_the_exit_code(
    figure: float, bar: float | None, of: str, code: int, state: str
) -> None:
    measure = Measure("refresh", "one new day", figure, "s", bar, "beside", of)
    assert table.exit_code([Measure("refresh", "told only", 9, "s"), measure]) == code
    assert measure.cells()[4] == state
    assert [cell.strip() for cell in as_table([measure]).splitlines()[2].strip("|").split("|")] == list(measure.cells())


def test_cpu_counts_children_that_run_and_that_ended() -> None:
    before = cpu_seconds()
    subprocess.run([sys.executable, "-c", SPEND.format(0.2)], check=True)
    ended = cpu_seconds() - before
    running = SPEND.format(0.2) + "print(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", running], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        both = cpu_seconds() - before
        child.communicate(b"\n")
    assert ended >= 0.2 and both - ended >= 0.2
    assert best(lambda: subprocess.run([sys.executable, "-c", SPEND.format(0.05)], check=True), 1) >= 0.05


def test_memory_is_that_since_the_line_before() -> None:
    code = (
        "import time\nbig = b'x' * 200_000_000\ntime.sleep(0.5)\ndel big\nprint('{\"a\": 1}', flush=True)\n"
        "time.sleep(0.5)\nprint('{\"a\": 2}', flush=True)"
    )
    lines = list(watched([sys.executable, "-c", code]))
    assert [line["a"] for line, _ in lines] == [1, 2]
    assert lines[0][1] >= 190 and lines[1][1] < 100


def test_a_process_that_fails_is_no_figure() -> None:
    with pytest.raises(Exception, match="exit status 3"):
        list(watched([sys.executable, "-c", "raise SystemExit(3)"]))


def test_values_that_differ_are_told() -> None:
    inside, before = f"{hand_sql.FIRST}", "2020-01-01"
    assert workload.differing({(inside, ""): 1.0}, {(inside, ""): 1.0, (before, ""): 5.0}, "nps", "day") == ()
    assert workload.differing({(inside, ""): 1.0}, {(inside, ""): 1.1}, "nps", "day") == (((inside, ""), 1.0, 1.1),)
    assert workload.differing({}, {(inside, ""): 1.0}, "nps", "day") == (((inside, ""), None, 1.0),)
    assert workload.differing({}, {(inside, ""): 0.0}, "dau", "day") == ()  # nobody came, which may be left out


def test_what_the_docs_name_is_there() -> None:
    text = (ROOT / "docs" / "performance.md").read_text() + (ROOT / "benchmarks" / "README.md").read_text()
    files = set(re.findall(r"benchmarks/([\w/]+\.py)", text)) | set(re.findall(r"`([\w/]+\.py)`", text))
    files = {name.removeprefix("benchmarks/") for name in files}
    assert len(files) > 15
    assert [name for name in files if not (ROOT / "benchmarks" / name).exists()] == []
    asked = re.findall(r"^\.venv/bin/python benchmarks/table\.py([^\n#]*)", text, re.MULTILINE)
    assert {word for line in asked for word in line.split() if word.isalpha()} == set(table.PARTS)
    help_ = subprocess.run([sys.executable, table.__file__, "--help"], capture_output=True, text=True).stdout
    assert {o for line in asked for o in re.findall(r"--\w+", line)} - set(re.findall(r"--\w+", help_)) == set()
    assert {part for part in table.PARTS if part not in help_} == set()


def test_what_others_answer_is_held_against_sql_by_hand() -> None:
    day, early = f"{hand_sql.LAST_DAY}", f"{hand_sql.LAST_DAY - timedelta(days=20)}"
    hand: hand_sql.Values = {(early, ""): 0.25, (day, ""): None}
    assert others.rightly({(early, ""): 0.25, (day, ""): 0.1}, hand, "activation", "day")  # that day is not mature
    assert others.rightly({(early, ""): 0.25 + 1e-8}, hand, "activation", "day")
    assert not others.rightly({(early, ""): 0.26}, hand, "activation", "day")
    assert not others.rightly({}, hand, "activation", "day")
    assert others.rightly({}, {(early, ""): 0.0}, "dau", "day")
    assert not others.rightly({(early, ""): 3.0}, {}, "dau", "day")


@pytest.mark.slow
def test_a_tool_that_is_not_installed_gives_no_figure(tmp_path: Path) -> None:
    data = workload.make("5000", tmp_path)
    assert list(others.measured(sys.executable, [], data, "5000")) == []


@pytest.mark.proof
@pytest.mark.slow
def test_what_a_refresh_stores_is_exact_and_nothing_new_costs_little(tmp_path: Path) -> None:
    data, cases = workload.make("5000", tmp_path), ("first", "late", "nothing")
    found = {m.what: m.figure for m in refreshing.measured("5000", data, tmp_path / "refresh", cases)}
    assert found["stored values, not as computed in full"] == 0
    assert found["29 rows ten days late / first sync"] > 0
    assert 0 < found["nothing new, without the command's imports"] < found["first sync"] / 2
