"""Folders that cannot be written, full disks, clocks that jump, syncs that die: lines of docs/operations.md."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.errors import DiskFull, FolderError, SyncRunning
from tests.conftest import NOW, REQUIRED, ROOT
from tests.operations.conftest import DAYS, Shop

pytestmark = pytest.mark.breadth(3)

NOBODY = 65534
AS_NOBODY = """
import os, sys
sys.path.insert(0, {root!r})
import cli.app, jobs.query
from connectors.clock import utc_now
from jobs.operations.doctor import doctor
from jobs.project.project import open_project
from jobs.sync import sync
list(sync(open_project({folder!r}), dry_run=True, now=utc_now()))  # loads what only root may read: Python's own files
list(doctor(open_project({folder!r}), now=utc_now()))
os.setgroups([]); os.setgid({user}); os.setuid({user})
sys.argv = ["kpi", *sys.argv[1:]]
cli.app.main()
"""


def mounted(*arguments: str) -> None:
    made = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    if made.returncode:
        (pytest.fail if REQUIRED else pytest.skip)("mounting needs root")


@pytest.fixture
def read_only(shop: Shop) -> Iterator[Shop]:
    """The data folder on a mount that refuses writing, also root's."""
    with shop.open().state.reading():
        pass
    mounted("--bind", str(shop.data), str(shop.data))
    mounted("-o", "remount,ro,bind", str(shop.data))
    try:
        yield shop
    finally:
        subprocess.run(["umount", "-l", str(shop.data)], check=False)


def test_a_data_folder_that_is_read_only(read_only: Shop) -> None:
    shop = read_only
    assert shop.total() == DAYS and shop.incidents() == 1 and shop.open().warnings() == ()
    shop.kpi("status")
    assert "Read-only file system" in shop.kpi("doctor", status=1)
    with pytest.raises(FolderError, match="Nothing was changed; what was published can be read"):
        shop.builder.sync()
    subprocess.run(["umount", "-l", str(shop.data)], check=True)
    shop.recovered()


def test_a_read_only_data_folder_with_a_damaged_live_file(shop: Shop) -> None:
    """Readers fall back and write nothing."""
    shop.live.write_bytes(b"garbage")
    mounted("--bind", str(shop.data), str(shop.data))
    mounted("-o", "remount,ro,bind", str(shop.data))
    try:
        assert shop.total() == DAYS - 1 and "is read instead" in shop.open().warnings()[0]
        assert "cannot be written" in shop.kpi("doctor", "--repair", status=1)
    finally:
        subprocess.run(["umount", "-l", str(shop.data)], check=True)
    shop.recovered()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_data_folder_of_another_owner(shop: Shop) -> None:
    """As `nobody`, in a process that gives up being root, in a folder that it may enter."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "project"
        shutil.copytree(shop.folder, folder, symlinks=True)
        folder.chmod(0o755)
        _as_nobody(folder)
    shop.recovered()


def _as_nobody(folder: Path) -> None:
    script = AS_NOBODY.format(root=str(ROOT), folder=str(folder), user=NOBODY)

    def kpi(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *arguments, "--project", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    asked = kpi("query", "total", "--grain", "total", "--json")
    assert asked.returncode == 0 and f'"value": {DAYS}' in asked.stdout, asked.stderr
    synced = kpi("sync")
    assert synced.returncode == 1 and "It belongs to user 0, this is user 65534" in synced.stderr, synced.stderr
    told = kpi("doctor")
    assert told.returncode == 1 and "cannot be written" in told.stdout, told.stderr
    assert "Traceback" not in told.stderr


def test_a_full_disk_and_after_room_was_made(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system of 40 MB holds the data folder; a filler takes all of it, then goes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted("-t", "tmpfs", "-o", "size=40m", "tmpfs", str(place))
    try:
        shutil.copytree(shop.data, place / "data", symlinks=True)
        monkeypatch.setenv("KPI_DATA_DIR", str(place / "data"))
        shop.data = place / "data"
        filler = place / "filler"
        with pytest.raises(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        assert shop.total() == DAYS and shop.incidents() == 1
        shop.kpi("status")
        shop.kpi("doctor", status=1)
        shop.put(DAYS + 1)
        with pytest.raises(DiskFull, match="Make room and sync again"):
            shop.builder.sync()
        assert shop.total() == DAYS
        filler.unlink()
        assert shop.builder.sync().published and shop.total() == DAYS + 1
        assert shop.open().warnings() == () and shop.incidents() == 1
    finally:
        monkeypatch.undo()
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_clock_that_went_back(shop: Shop) -> None:
    for hour in range(1, 5):
        shop.put(DAYS + hour)
        assert shop.builder.sync(now=NOW - timedelta(days=30 * hour) if hour < 4 else NOW).published
    kept = sorted(path.stem for path in shop.generations.glob("*.duckdb"))
    assert len(kept) == 3 and kept == sorted(shop.ids()[-3:])  # by number
    shop.live.write_bytes(b"garbage")
    assert shop.open().reader().generation.id == shop.ids()[-1] and shop.open().reader().generation.sequence == 6


def test_a_clock_that_jumped_forward(shop: Shop) -> None:
    shop.put(DAYS + 1)
    assert shop.builder.sync(now=NOW + timedelta(days=3650)).published
    assert "in the future" in shop.kpi("doctor", status=1) and shop.total() == DAYS + 1
    shop.put(DAYS + 2)
    assert shop.builder.sync(now=NOW + timedelta(hours=1)).published and shop.total() == DAYS + 2


def test_times_of_files_in_another_order(shop: Shop) -> None:
    """A copy of the folder that kept no times: the newest by number is read, and the oldest goes."""
    newest = shop.ids()[-1]
    for age, path in enumerate(sorted(shop.generations.glob("*.duckdb"), reverse=True)):
        os.utime(path, (1_700_000_000 + age, 1_700_000_000 + age))
    (shop.data / "live").unlink()
    assert shop.open().reader().generation.id == newest
    shop.recovered()
    assert newest in [path.stem for path in shop.generations.glob("*.duckdb")]


def test_a_sync_that_died(shop: Shop) -> None:
    """What it left behind is removed; tests/warehouse/duckdb/test_crash.py kills one at every step."""
    for name in ("20261123T040000-deadbeef.staging", "20261123T040000-deadbeef.staging.wal", "x.sum"):
        (shop.generations / name).write_bytes(b"half")
    (shop.data / ".live-deadbeef").symlink_to("generations/nothing.duckdb")
    assert shop.total() == DAYS and shop.open().warnings() == ()
    shop.recovered()
    assert not list(shop.generations.glob("*deadbeef*")) and not list(shop.data.glob(".live-*"))


def test_a_sync_beside_another(shop: Shop) -> None:
    with shop.open().warehouse.staging(NOW):
        assert shop.total() == DAYS
        with pytest.raises(SyncRunning, match="another sync is running"):
            shop.builder.sync()
        assert "another sync is running" in shop.kpi("doctor", "--repair", status=1)
    shop.recovered()
