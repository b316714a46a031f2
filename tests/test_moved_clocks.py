"""What meets a clock most passes on a machine whose clock or zone is elsewhere; `make prove clock` runs everything."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from benchmarks.clocks import CLOCKS, FAR, MISSING, SAMPLE, available
from tests.conftest import NOW, REQUIRED, ROOT


@pytest.mark.proof
@pytest.mark.slow
def test_a_sample_passes_where_the_machines_clock_and_zone_are_elsewhere() -> None:
    if not available():
        (pytest.fail if REQUIRED else pytest.skip)(MISSING)
    environment = {name: value for name, value in FAR.environment().items() if not name.startswith("PYTEST_")}
    command = FAR.command([sys.executable, "-m", "pytest", "-q", *SAMPLE], NOW)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_clocks_are_as_far_ahead_as_they_say() -> None:
    now = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)  # a Monday
    there = {clock.name: f"{now + clock.ahead(now):%a %Y-%m-%d %H:%M}" for clock in CLOCKS}
    assert there == {
        "3 days ahead": "Thu 2026-11-26 02:30",
        "40 days ahead": "Sat 2027-01-02 02:30",
        "400 days ahead": "Tue 2027-12-28 02:30",
        "30 days behind": "Sat 2026-10-24 02:30",
        "Sunday, 23-58": "Sun 2026-11-29 23:58",
        "31 December, 23-58": "Thu 2026-12-31 23:58",
        "in Pacific/Auckland": "Mon 2026-11-23 02:30",
        "in America/Los_Angeles": "Mon 2026-11-23 02:30",
    }
    assert [clock.zone for clock in CLOCKS if clock.command(["x"], now) == ["x"]] == [
        "Pacific/Auckland",
        "America/Los_Angeles",
    ]


def test_a_moved_clock_reaches_what_is_started() -> None:
    if not available():
        (pytest.fail if REQUIRED else pytest.skip)(MISSING)
    asked = [sys.executable, "-c", "import datetime as d, time; time.sleep(0.1); print(d.datetime.now(d.UTC).date())"]
    here, there = (
        subprocess.run(command, env=CLOCKS[2].environment(), capture_output=True, text=True, check=True).stdout.strip()
        for command in (asked, CLOCKS[2].command(asked, NOW))
    )
    assert (datetime.fromisoformat(there) - datetime.fromisoformat(here)).days in (400, 401)
