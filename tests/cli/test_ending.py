"""The end of a verb's process: at once, but with everything done that waits for the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "import sys; from cli.ending import ended_at_once\n"


def ended(code: str, **streams: object) -> subprocess.CompletedProcess[str]:
    """A process of its own that runs this."""
    streams.setdefault("stdout", subprocess.PIPE)
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        **streams,  # type: ignore[call-overload]
    )
    return done


@pytest.mark.parametrize(
    ("raised", "status"),
    [("SystemExit", 0), ("SystemExit(0)", 0), ("SystemExit(2)", 2), ("SystemExit(257)", 1), ("ValueError('x')", 1)],
)
def test_the_status_is_pythons(raised: str, status: int) -> None:
    """Whatever leaves the block, the shell sees what Python would have told it."""
    found = ended(f"print('told')\nwith ended_at_once():\n    raise {raised}")
    assert (found.returncode, found.stdout) == (status, "told\n")
    assert ("ValueError: x" in found.stderr) is raised.startswith("ValueError")


def test_words_as_a_status_are_printed() -> None:
    """`sys.exit("words")` is words on stderr, and 1."""
    found = ended("with ended_at_once():\n    sys.exit('words')")
    assert (found.returncode, found.stderr) == (1, "words\n")


def test_threads_and_other_endings_come_first() -> None:
    """What a thread does yet, and what others registered for the end, is not lost; nothing is taken apart."""
    found = ended(
        "import atexit, threading, time\n"
        "class Kept:\n    def __del__(self): print('taken apart', flush=True)\n"
        "kept = Kept()\n"
        "with ended_at_once():\n"
        "    atexit.register(print, 'registered')\n"
        "    threading.Thread(target=lambda: (time.sleep(.3), print('thread'))).start()\n"
        "    sys.exit(3)"
    )
    assert (found.returncode, found.stdout) == (3, "thread\nregistered\n")


def test_output_that_cannot_be_written_is_told() -> None:
    """A full disk at the last flush is an exit status of Python's own, not 0."""
    with Path("/dev/full").open("w") as full:
        found = ended("print('x' * 10)\nwith ended_at_once():\n    sys.exit(0)", stdout=full)
    assert found.returncode == 120
    assert "No space left" in found.stderr
