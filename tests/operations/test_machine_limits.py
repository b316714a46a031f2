"""What the machine allows, by the control group too, and the shares that are taken by default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.machine import GB, OURS, Machine, built_in, this_machine
from connectors.settings import Settings, size


def system(root: Path, group: str, **files: str) -> Path:
    """A root folder with /proc/self/cgroup and files of control groups: path, `__` for a slash → text."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(group)
    for name, text in files.items():
        place = root / "sys/fs/cgroup" / name.replace("__", "/").replace("memory_", "memory.").replace("cpu_", "cpu.")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("group", "files", "memory", "cores"),
    [
        ("", {}, built_in(), CORES),
        ("0::/\n", {"memory_max": "3000000000\n", "cpu_max": "100000 100000\n"}, 3 * GB, 1),
        ("0::/\n", {"memory_max": "max\n", "cpu_max": "max 100000\n"}, built_in(), CORES),
        # Of the groups around it, too; the lowest holds.
        ("0::/a/b\n", {"a__memory_max": "2000000000", "a__b__memory_max": "3000000000"}, 2 * GB, CORES),
        ("0::/a/b\n", {"a__cpu_max": "50000 100000", "a__memory_max": "max"}, built_in(), 1),
        # Within a container: the path is the host's, the group is at the top.
        ("0::/docker/4f1\n", {"memory_max": "2500000000"}, 2_500_000_000, CORES),
        # Version 1: a tree for each controller, no limit is a number beyond every memory, or -1.
        ("4:memory:/a\n", {"memory__a__memory_limit_in_bytes": "2000000000"}, 2 * GB, CORES),
        ("4:memory:/\n", {"memory__memory_limit_in_bytes": "9223372036854771712"}, built_in(), CORES),
    ],
)
def test_the_lowest_limit_holds(tmp_path: Path, group: str, files: dict[str, str], memory: int, cores: int) -> None:
    found = this_machine(system(tmp_path, group, **files))
    assert (found.memory, found.cores) == (memory, cores)


def test_cores_of_version_one(tmp_path: Path) -> None:
    files = {"cpu,cpuacct__cpu.cfs_quota_us": "100000", "cpu,cpuacct__cpu.cfs_period_us": "100000"}
    assert this_machine(system(tmp_path, "3:cpu,cpuacct:/\n", **files)).cores == 1


@pytest.mark.parametrize("gigabytes", [2, 2.5, 3, 4, 6, 8, 16, 64, 512])
def test_who_loads_and_who_computes_stay_within_the_machine_together(gigabytes: float) -> None:
    machine = Machine(int(gigabytes * GB), cores=64)
    assert size(machine.loading) + size(machine.query) + OURS <= machine.memory
    assert 1 <= machine.threads <= min(8, gigabytes)
    assert Settings(query_memory=machine.query, memory_limit=machine.loading).memory_limit == machine.loading


def test_of_eight_gigabytes_half_loads_and_a_quarter_computes() -> None:
    machine = Machine(8 * GB, cores=2)
    assert (machine.loading, machine.query, machine.threads) == ("4000MB", "2000MB", 2)


def test_what_settings_state_holds() -> None:
    machine = this_machine()
    usual, stated = Settings(), Settings(memory_limit="700MB", threads=3, query_memory="1.5GB")
    assert (usual.memory_limit, usual.query_memory, usual.threads) == (machine.loading, machine.query, machine.threads)
    assert (stated.memory_limit, stated.threads, stated.limits.memory) == ("700MB", 3, 1_500_000_000)
