"""Times in JSON are UTC whatever the machine's zone is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, copied_demo
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


# All verbs one after the other in one process, whose zone is the machine's: a process for each costs a second.
TOLD = """
import json, sys
from tests.conftest import run_cli
for verb in json.loads(sys.argv[1]):
    done = run_cli(*verb)
    print(json.dumps([done.stdout, done.stderr]))
"""


def asked(folder: Path, zone: str, *verbs: tuple[str, ...]) -> list[Any]:
    """What each verb says where the machine is in that zone."""
    commands = json.dumps([[*verb, "--project", str(folder)] for verb in verbs])
    done = subprocess.run(
        [sys.executable, "-c", TOLD, commands],
        env={**os.environ, "TZ": zone},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = []
    for verb, line in zip(verbs, done.stdout.splitlines(), strict=True):
        stdout, stderr = json.loads(line)
        assert stdout and "Traceback" not in stderr, (verb, stderr)
        assert zoned(stdout) == [], verb
        found.append(json.loads(stdout))
    return found


@pytest.mark.slow
def test_every_verb_says_the_same_in_every_zone(demo_folder: Path, tmp_path: Path) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    asked(folder, "UTC", ("alerts", "evaluate", "--json"))
    here, *others = (asked(folder, zone, *VERBS) for zone in ZONES)
    for other in others:
        for verb, mine, theirs in zip(VERBS, here, other, strict=True):
            assert mine == theirs, verb


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES[1:])
def test_what_is_kept_is_utc(demo_folder: Path, tmp_path: Path, zone: str) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    asked(folder, zone, ("sync", "--json"), ("doctor", "--json"))
    kept = (folder / "data" / "last_sync.json").read_text()
    assert zoned(kept) == []
    finished = json.loads(kept)["finished_at"]
    assert finished.startswith("2026-11-23T02:3") and finished.endswith("+00:00")
