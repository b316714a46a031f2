"""A backup is whole or it is none; a restored project answers as the first did."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.errors import BackupError
from jobs.operations.backup import MOST_MANIFEST, backup, programs_in, restore
from jobs.project.project import open_project
from tests.conftest import NOW, Builder, run_cli
from tests.sampling import cases


@pytest.fixture
def filled(project: Builder) -> Builder:
    project.rows(
        "events", pd.DataFrame({"at": pd.date_range("2026-11-01", periods=30, freq="7h"), "amount": range(30)})
    )
    project.kpi("total", "dataset: events\nagg: sum\nexpr: amount")
    project.write("transforms", "twice", "def apply(values):\n    return values * 2\n")
    project.sync()
    return project


@pytest.mark.parametrize("name", ["b.zip", "b"])
def test_a_restored_project_answers_as_the_first_did(filled: Builder, tmp_path: Path, name: str) -> None:
    made = backup(filled.open(), tmp_path / name, now=NOW)
    assert "transforms/twice.py" in made.files and made.generation
    again = tmp_path / "again"
    restore(tmp_path / name, again, lambda names: list(names) == ["transforms/twice.py"])
    asked = ["query", "total", "--json", "--project"]
    first, second = run_cli(*asked, str(filled.folder)).stdout, run_cli(*asked, str(again)).stdout
    assert json.loads(first)["rows"] and first == second
    # A sync of the copy goes on where the first had been.
    assert run_cli("sync", "--project", str(again)).returncode == 1  # its files were not part of the project folder
    assert open_project(again).reader().generation.sequence == 1


def test_programs_in_a_backup_are_named_and_need_a_yes(filled: Builder, tmp_path: Path) -> None:
    backup(filled.open(), tmp_path / "b.zip", now=NOW)
    given = ("restore", str(tmp_path / "b.zip"), str(tmp_path / "again"))
    refused = run_cli(*given)
    assert refused.returncode == 1 and "transforms/twice.py" in refused.stderr
    assert "--trust-transforms" in refused.stderr and not (tmp_path / "again").exists()
    assert run_cli(*given, "--trust-transforms").returncode == 0
    assert (tmp_path / "again" / "transforms" / "twice.py").exists()


@pytest.mark.parametrize(
    "name", ["transforms/a.PY", "kpis/a.py", "transforms/a.so", "transforms\\a.py", "TRANSFORMS/b.pyc"]
)
def test_a_program_is_one_however_it_is_named(name: str) -> None:
    assert programs_in(["kpis/k.yml", name, "settings.yml"]) == [name]


def test_nothing_is_overwritten(filled: Builder, tmp_path: Path) -> None:
    backup(filled.open(), tmp_path / "b.zip", now=NOW)
    with pytest.raises(BackupError, match="exists already"):
        backup(filled.open(), tmp_path / "b.zip", now=NOW)
    with pytest.raises(BackupError, match="not empty"):
        restore(tmp_path / "b.zip", filled.folder)


def test_a_damaged_backup_is_refused_in_whole(filled: Builder, tmp_path: Path) -> None:
    backup(filled.open(), tmp_path / "b", now=NOW)
    generation = next((tmp_path / "b" / "data" / "generations").iterdir())
    generation.write_bytes(generation.read_bytes()[:-1] + b"?")
    with pytest.raises(BackupError, match=r"generations/.* is damaged"):
        restore(tmp_path / "b", tmp_path / "again")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(BackupError, match="no whole backup"):
        restore(tmp_path / "cut.zip", tmp_path / "again")
    assert not (tmp_path / "again").exists() and not list(tmp_path.glob(".again*"))


OUTSIDE = (
    "../evil.txt", "kpis/../../evil.txt", "/tmp/evil.txt", "kpis//evil.yml", "./settings.yml", "kpis/./a.yml", "..",
    "", "C:\\evil.txt", "C:evil.txt", "kpis/..\\..\\evil.txt", "kpis\\a.yml", "\\\\host\\share\\a", "//host/share/a",
    "kpis/a\nb.yml", "kpis/a\0b.yml", "audit.key", "audit.head", "data/audit.key", "data/live", "data/damaged/x",
    "app.py", ".git/hooks/post-merge", ".streamlit/secrets.toml", "settings.yml/x", "SETTINGS.YML", "kpis", "kpis/",
    "manifest.json", "data/generations/../../x",
)  # fmt: skip


def forged(target: Path, files: dict[str, bytes], *, generation: object = None, **more: Any) -> Path:
    """A backup whose checksums are right, as zip or as folder, with names as they are given."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = json.dumps({"format": 1, "generation": generation, "files": sums, **more})
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for name, content in (*files.items(), ("manifest.json", manifest.encode())):
                archive.writestr(zipfile.ZipInfo(name), content)
        return target
    for name, content in (*files.items(), ("manifest.json", manifest.encode())):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    return target


def refuses(source: Path, words: str) -> None:
    """Nothing is there afterwards that was not there before, and it is told in words."""
    before = {path: path.lstat().st_mtime_ns for path in source.parent.rglob("*")}
    done = run_cli("restore", str(source), str(source.parent / "again"), "--trust-transforms")
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert {path: path.lstat().st_mtime_ns for path in source.parent.rglob("*")} == before


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_backup_cannot_write_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = forged(tmp_path / "evil.zip", {"settings.yml": b"timezone: UTC\n", name: b"x"})
    refuses(made, "outside of the project")
    assert not Path("/tmp/evil.txt").exists()


@pytest.mark.parametrize(
    ("one", "other"),
    [("kpis/a.yml", "kpis/A.yml"), ("kpis/\u00e9.yml", "kpis/e\u0301.yml"), ("kpis/ss", "kpis/\u00df")],
)
def test_names_that_are_one_file_elsewhere_are_refused(tmp_path: Path, one: str, other: str) -> None:
    refuses(forged(tmp_path / "evil.zip", {one: b"name: a", other: b"name: b"}), "one file on some systems")


def test_a_file_that_is_a_folder_too_leaves_nothing(tmp_path: Path) -> None:
    refuses(forged(tmp_path / "evil.zip", {"kpis/a": b"x", "kpis/a/b": b"x"}), "cannot be written")


@pytest.mark.parametrize("generation", ["../../evil", "x", ["a"], {"a": 1}, 7, "", False])
def test_a_generation_that_it_does_not_hold_is_refused(tmp_path: Path, generation: object) -> None:
    refuses(forged(tmp_path / "evil.zip", {"settings.yml": b""}, generation=generation), "has no generation")


def test_links_and_devices_in_a_folder_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "outside" / "secret.yml"
    secret.parent.mkdir()
    secret.write_bytes(b"secret")
    makes: list[Callable[[Path], object]] = [
        lambda place: place.symlink_to(secret),
        lambda place: place.symlink_to("/dev/zero"),
        os.mkfifo,
        Path.mkdir,
    ]
    for number, make in enumerate(makes):
        made = forged(tmp_path / f"b{number}", {"kpis/a.yml": b"secret"})
        (made / "kpis" / "a.yml").unlink()
        make(made / "kpis" / "a.yml")
        refuses(made, "kpis/a.yml")
    made = forged(tmp_path / "linked", {"kpis/secret.yml": b"secret"})
    shutil.rmtree(made / "kpis")
    (made / "kpis").symlink_to(secret.parent)
    refuses(made, "out of the backup")


def test_a_link_in_a_zip_is_only_its_text(tmp_path: Path) -> None:
    target = b"/etc/passwd"
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        link = zipfile.ZipInfo("kpis/a.yml")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
        sums = {"kpis/a.yml": hashlib.sha256(target).hexdigest()}
        archive.writestr("manifest.json", json.dumps({"format": 1, "generation": None, "files": sums}))
    restore(tmp_path / "b.zip", tmp_path / "again")
    made = tmp_path / "again" / "kpis" / "a.yml"
    assert made.read_bytes() == target and not made.is_symlink()


def test_what_would_not_fit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("settings.yml", b"#" * 5_000_000)
        sums = {"settings.yml": hashlib.sha256(b"#" * 5_000_000).hexdigest()}
        archive.writestr("manifest.json", json.dumps({"format": 1, "generation": None, "files": sums}))
    assert (tmp_path / "evil.zip").stat().st_size < 20_000
    room = shutil.disk_usage(tmp_path)._replace(free=4_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    monkeypatch.setattr("jobs.operations.backup.verify", lambda *_, **__: pytest.fail("it was read"))
    refuses(tmp_path / "evil.zip", "there is room for")


def test_what_is_no_backup_is_told_in_words(tmp_path: Path) -> None:
    good = forged(tmp_path / "good.zip", {"settings.yml": b"timezone: UTC\n" * 50}).read_bytes()
    chance = random.Random(20261123)
    for number in range(cases(fast=60, slow=400, full=4000)):
        spoiled = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        (tmp_path / "evil.zip").write_bytes(spoiled)
        try:
            restore(tmp_path / "evil.zip", tmp_path / f"again{number}")
        except BackupError:
            continue  # every other error fails the test
        assert (tmp_path / f"again{number}" / "settings.yml").read_bytes() == b"timezone: UTC\n" * 50
    for text in (
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"files": 1}',
        b'{"files": [1]}',
        b'{"format": 1, "files": {"a": []}}',
    ):
        with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
            archive.writestr("manifest.json", text)
        refuses(tmp_path / "evil.zip", "backup")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * (MOST_MANIFEST + 1))
    refuses(tmp_path / "evil.zip", "is longer than")


def test_before_the_first_sync_definitions_are_kept(project: Builder, tmp_path: Path) -> None:
    project.kpi("n", "dataset: none\nagg: count")
    result = run_cli("backup", str(tmp_path / "b.zip"), "--project", str(project.folder))
    assert result.returncode == 0 and "generation none, verified" in result.stdout
