"""What a sync of one new day costs where generations share files, and where each is copied: CPU, bytes, memory.

    python benchmarks/sharing.py --scale 10M [--data FOLDER] [--only shared] [--memory 4GB]

The dashboard workload (benchmarks/workload.py). Each sync is a process of its own, which has its own peak of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.syncing import NEW_DAY, TIMES  # noqa: E402  (found by the line above)
from benchmarks.workload import PROJECT, make  # noqa: E402

NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
BLOCK = 512  # bytes, of what the system counts as written
# `share_from`: small enough for 1M.
HOW = {"shared": "20MB", "copied": "1000GB"}


def held_back(data: Path, folder: Path, memory: str) -> None:
    """Put all rows but the last day's into `first`, and those into `later`, a file for each table."""
    connection = duckdb.connect(config={"memory_limit": memory, "threads": 1, "preserve_insertion_order": True})
    for table, at in TIMES.items():
        for place, which in (("first", "<"), ("later", "=")):
            (folder / place / table).mkdir(parents=True)
            rows = f"SELECT * FROM '{data}/{table}/*.parquet' WHERE CAST({at} AS DATE) {which} '{NEW_DAY}'"
            connection.execute(f"COPY ({rows}) TO '{folder}/{place}/{table}/{place}.parquet'")


class Peak(threading.Thread):
    """Memory that this process and its children have together, at the most, as seen every few milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0

    def run(self) -> None:
        """Look until the process ends."""
        own = os.getpid()
        children = Path(f"/proc/{own}/task/{own}/children")
        while True:
            pids = [str(own), *children.read_text().split()]
            self.bytes = max(self.bytes, sum(map(_resident, pids)))
            time.sleep(0.02)


def _resident(process: str) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):  # it has ended
        return 0


def one_sync(project: Path, day: int) -> None:
    """Sync in this process, and print what it took, as JSON."""
    from jobs.project.project import open_project
    from jobs.sync import SyncResult, sync

    peak = Peak()
    peak.start()
    *_, result = sync(open_project(project), now=NOW + timedelta(days=day))
    assert isinstance(result, SyncResult) and result.published and not result.problems, result
    from connectors.cage.cage import cage

    cage(open_project(project).settings.limits).close()  # ended workers are counted
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    told = {
        "cpu": own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime,
        "written": (own.ru_oublock + workers.ru_oublock) * BLOCK,
        "peak": peak.bytes,
    }
    print(json.dumps(told))


def measured(how: str, folder: Path, memory: str) -> None:
    """Print a line for the first sync, and for one more with a new day."""
    project, data = folder / how, folder / f"{how}-data"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("data"))
    with (project / "settings.yml").open("a") as file:
        file.write(f"\nshare_from: {HOW[how]}\nmemory_limit: {memory}\nquery_timeout: 10 min\n")
    for day, place in enumerate(("first", "later")):
        for table in TIMES:
            (data / table).mkdir(parents=True, exist_ok=True)
            os.link(folder / place / table / f"{place}.parquet", data / table / f"{place}.parquet")
        command = [sys.executable, __file__, "--project", str(project), "--day", str(day)]
        environment = {**os.environ, "WORKLOAD_DATA": str(data)}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        took = json.loads(done.stdout.splitlines()[-1])
        kept = _size(project / "data" / "generations")
        print(
            f"{how:8} {'one new day' if day else 'first sync':12} {took['cpu']:7.1f} s CPU  "
            f"{took['written'] / 1e9:6.2f} GB written  {kept / 1e9:6.2f} GB kept  "
            f"peak {took['peak'] / 1e9:.2f} GB",
            flush=True,
        )


def _size(folder: Path) -> int:
    """Bytes on the disk, each file once."""
    found = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return sum(found.values())


def main() -> None:
    """Print a line for each sync."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--scale", default="1M")
    arguments.add_argument("--data", type=Path, help="made by generate.py before")
    arguments.add_argument("--only", choices=HOW)
    arguments.add_argument("--memory", default="4GB")
    arguments.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--day", type=int, help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.project:
        one_sync(asked.project, asked.day)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        held_back(asked.data or make(asked.scale, folder), folder, asked.memory)
        for how in [asked.only] if asked.only else HOW:
            measured(how, folder, asked.memory)


if __name__ == "__main__":
    main()
