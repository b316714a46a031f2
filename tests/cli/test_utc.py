"""Times in JSON are UTC whatever the machine's zone is."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import copied_demo, run_process
from tests.sampling import cases

ZONES = ("UTC", "Pacific/Auckland", "America/Los_Angeles")[: cases(fast=2, slow=2, full=3)]
VERBS = (
    ("status", "--json"),
    ("validate", "--json"),
    ("list", "--json"),
    ("query", "sign_ups", "--json"),
    ("query", "error_free_sessions", "--grain", "hour", "--start", "2026-11-20", "--json"),
    ("alerts", "status", "--json"),
    ("alerts", "history", "--json"),
    ("alerts", "replay", "sign_ups", "--json"),
    ("alerts", "evaluate", "--json"),
    ("launch", "list", "--json"),
    ("launch", "show", "new_editor", "--json"),
    ("snapshot", "list", "--json"),
    ("snapshot", "show", "--json"),
    ("snapshot", "diff", "--json"),
    ("diff", "--json"),
    ("check", "--json"),
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?=(.{0,6}))")


def zoned(text: str) -> list[str]:
    """Moments of a text that do not say that they are UTC."""
    return [found[0] for found in MOMENT.finditer(text) if not re.match(r"Z|\+00:00| UTC", found[1])]


def test_the_search_can_find() -> None:
    assert zoned('"2026-11-23T02:30:00Z", "2026-11-23T02:30:00.5+00:00" 2026-11-23 02:30 UTC') == []
    assert len(zoned('"2026-11-23T02:30:00-08:00" "2026-11-23 02:30" "2026-11-23T02:30:00"')) == 3


def asked(folder: Path, zone: str, *verb: str) -> Any:
    done = run_process(*verb, "--project", str(folder), env={**os.environ, "TZ": zone})
    assert done.stdout and "Traceback" not in done.stderr, (verb, done.stderr)
    assert zoned(done.stdout) == [], verb
    return json.loads(done.stdout)


@pytest.mark.slow
def test_every_verb_says_the_same_in_every_zone(demo_folder: Path, tmp_path: Path) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    asked(folder, "UTC", "alerts", "evaluate", "--json")
    for verb in VERBS:
        said = [asked(folder, zone, *verb) for zone in ZONES]
        assert all(other == said[0] for other in said[1:]), verb


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES[1:])
def test_what_is_kept_is_utc(demo_folder: Path, tmp_path: Path, zone: str) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    asked(folder, zone, "sync", "--json")
    asked(folder, zone, "doctor", "--json")
    kept = (folder / "data" / "last_sync.json").read_text()
    assert zoned(kept) == []
    finished = json.loads(kept)["finished_at"]
    assert finished.startswith("2026-11-23T02:3") and finished.endswith("+00:00")
