"""Eight machines that are elsewhere in time: the suite is run on each, with Debian's `faketime` (`make prove clock`).

What the product takes for the time is set in tests (connectors/clock.py), so this finds whatever asks the machine
itself: libraries, files' times, the browser, a database, the zone of the process.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MENDED = ROOT / "benchmarks" / "faketime"  # a sitecustomize.py
# Stopwatches stay right, so that waiting for something lasts as long as it says.
KEPT = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONPATH": os.pathsep.join(map(str, (ROOT, MENDED)))}
MISSING = "no faketime found: install it (Debian: apt-get install faketime)"


@dataclass(frozen=True)
class Clock:
    """A machine's clock: so many days off, or just before midnight of a day; and its zone."""

    name: str
    days: int = 0
    midnight: str = ""  # "sunday" or "31 december": 23:58 of the next one in UTC
    zone: str = ""

    def ahead(self, now: datetime) -> timedelta:
        """How far it is ahead of a machine on which it is `now`, in UTC."""
        if not self.midnight:
            return timedelta(days=self.days)
        late = now.replace(hour=23, minute=58, second=0, microsecond=0)
        if self.midnight == "sunday":
            return late + timedelta(days=6 - now.weekday()) - now
        return late.replace(month=12, day=31) - now

    def command(self, command: list[str], now: datetime) -> list[str]:
        """The command as that machine would run it."""
        seconds = round(self.ahead(now).total_seconds())
        return ["faketime", "-m", "-f", f"{seconds:+d}s", *command] if seconds else command

    def environment(self) -> dict[str, str]:
        """Its variables, also where this machine's clock is moved itself."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("FAKETIME", "LD_PRELOAD"))}
        return {**own, **KEPT, **({"TZ": self.zone} if self.zone else {})}


CLOCKS = (
    Clock("3 days ahead", days=3),
    Clock("40 days ahead", days=40),
    Clock("400 days ahead", days=400),
    Clock("30 days behind", days=-30),
    Clock("Sunday, 23-58", midnight="sunday"),
    Clock("31 December, 23-58", midnight="31 december"),
    Clock("in Pacific/Auckland", zone="Pacific/Auckland"),
    Clock("in America/Los_Angeles", zone="America/Los_Angeles"),
)
# A machine that is elsewhere in date and in zone, on which `make slow` runs the sample.
FAR = Clock("40 days ahead in Pacific/Auckland", days=40, zone="Pacific/Auckland")
# What meets a clock most: ages on pages, the overview in a browser, when rules are evaluated.
SAMPLE = (
    "tests/test_pages.py",
    "tests/e2e/test_dashboard.py::test_the_overview_is_filled_and_a_card_opens_its_kpi",
    "tests/jobs/test_evaluate_alerts.py::test_one_message_when_it_fires_and_one_when_it_is_over",
)


def available() -> bool:
    """Whether clocks can be moved here."""
    return shutil.which("faketime") is not None
