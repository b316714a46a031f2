"""What a running sync says of how long it takes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.project.pace import Pace, Progress, time_left
from tests.conftest import ROOT, Builder
from tests.jobs.conftest import GOOD, LOW, day, make, write

Run = list[tuple[float, int, str]]  # seconds that pass before a step, how many are done, its text


def lefts(before: dict[str, float], run: Run, end: float = 0.0) -> tuple[list[float | None], dict[str, float]]:
    """What each step of a run says is left, of ten; and how long each took."""
    now = 0.0

    def steps() -> Iterator[Progress | str]:
        nonlocal now
        for seconds, done, text in run:
            now += seconds
            yield Progress(done, 10, text)
        now += end
        yield "result"

    pace = Pace(before, lambda: now)
    found = [step.left for step in pace.timed(steps()) if isinstance(step, Progress)]
    return found, pace.took


def test_a_first_sync_says_nothing_and_then_goes_by_what_is_done() -> None:
    found, took = lefts({}, [(0, 0, "a"), (4, 1, "b"), (4, 2, "b: 7 rows"), (2, 5, "c")], end=3)
    assert found == [None, None, 32.0, 10.0]
    assert took == {"a": 4.0, "b": 6.0, "c": 3.0}


def test_a_later_one_goes_by_the_last() -> None:
    before = {"a": 4.0, "b": 6.0, "c": 10.0}
    assert lefts(before, [(0, 0, "a"), (4, 1, "b"), (3, 1, "b: 9 rows"), (3, 2, "c"), (15, 2, "c: more")])[0] == [
        *(20.0, 16.0, 13.0, 10.0),
        0.0,
    ]
    slow, fast = ([(0.0, 0, "a"), (seconds, 1, "b")] for seconds in (40.0, 1.0))
    assert lefts(before, slow)[0][-1] == 160.0 and lefts(before, fast)[0][-1] == 4.0
    assert lefts(before, [(0, 0, "new"), (7, 1, "a")])[0] == [20.0, 20.0], "of a step that is new nothing is known"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.0, "a few seconds left"),
        (14.9, "about 10 seconds left"),
        (89.0, "about 90 seconds left"),
        (90.0, "about 2 minutes left"),
        (3601.0, "about 60 minutes left"),
    ],
)
def test_words(seconds: float | None, words: str) -> None:
    assert time_left(seconds) == words


def test_a_sync_keeps_how_long_its_steps_took(project: Builder) -> None:
    make(project, GOOD, LOW)
    assert project.open().sync_log.steps() == {}
    project.sync(day(5))
    steps = project.open().sync_log.steps()
    assert {"Pulling events", "Computing k", "Publishing", "Evaluating alerts"} <= set(steps)
    project.sync(day(5, 2))
    assert project.open().sync_log.steps() == steps, "one without news says nothing of the next that has some"
    path = project.open().data / "last_sync.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "steps": {"a": "b", "c": 1, "d": -1}}))
    assert project.open().sync_log.steps() == {"c": 1.0}


SLOW = "import cli.sync; cli.sync.QUIET = 0.0; from cli.app import main; import sys; sys.argv[1:1] = ['sync']; main()"


@pytest.mark.slow
def test_lines_in_a_log_and_a_bar_on_a_terminal(project: Builder) -> None:
    make(project, GOOD, LOW)
    command: list[Any] = [sys.executable, "-c", SLOW, "--project", str(project.folder), "--now", "2026-11-06T01:00:00Z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if " of " in line]
    assert lines[0] == "0 of 3  Pulling events" and "1 of 3  Computing k" in lines
    write(project, {**GOOD, 5: 100.0})
    mine, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        while chunk := _read(mine):
            shown += chunk
        assert child.wait() == 0
    os.close(mine)
    assert "Pulling events, a few seconds left" in shown.decode() and "━" in shown.decode()


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:  # Linux says so that the other end is closed
        return b""
