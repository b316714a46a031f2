"""A backup is whole or it is none; a restored project answers as the first did."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from connectors.errors import BackupError
from jobs.operations.backup import backup, programs_in, restore
from jobs.project.project import open_project
from tests.conftest import NOW, Builder, run_cli


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


def test_a_backup_cannot_write_outside_of_the_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../evil.txt", "x")
        manifest = {"format": 1, "generation": None, "files": {"../evil.txt": "2d711642"}}
        archive.writestr("manifest.json", json.dumps(manifest))
    with pytest.raises(BackupError, match="outside of the project"):
        restore(tmp_path / "evil.zip", tmp_path / "again")


def test_before_the_first_sync_definitions_are_kept(project: Builder, tmp_path: Path) -> None:
    project.kpi("n", "dataset: none\nagg: count")
    result = run_cli("backup", str(tmp_path / "b.zip"), "--project", str(project.folder))
    assert result.returncode == 0 and "generation none, verified" in result.stdout
