"""What comes from outside as a name or leaves as a table: files nowhere but in the project, no formula in a CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

from metrics.presentation.export import csv_text
from tests.conftest import NOW, Builder, run_cli

pytestmark = pytest.mark.breadth(8, whole=True)

NAMES = (
    "../../x", "../x", "/tmp/x", "a/b", "..", ".", "", "a\\b", "..\\x", "C:x", "con", "com1", "nul", "x" * 300, "a b",
    "a\nb", "a\0b", "~x", "$HOME", "%2e%2e%2fx", "Ä", "a.yml", "-x",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_kpi_is_added_in_the_project_or_nowhere(project: Builder, name: str) -> None:
    project.rows("events", pd.DataFrame({"at": pd.to_datetime([NOW.replace(tzinfo=None)]), "v": [1]}))
    project.sync()
    home = project.folder.parent
    before = {path for path in home.rglob("*") if "data" not in path.parts}
    done = run_cli("add", "kpi", "--project", str(project.folder), "--", name, "agg=count")
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr, done.stdout
    assert {path for path in home.rglob("*") if "data" not in path.parts} == before
    assert not Path("/tmp/x.yml").exists()


FORMULAS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "=cmd|' /C calc'!A0",
    "-cmd",
    "＝1+1",
    "+49 30",
    "-",
)
PLAIN = ("-5", "+5.25", "-1e9", "-.5", "a=b", "", "ok", "'x", "1-1")


def test_what_a_spreadsheet_would_run_is_quoted_and_numbers_stay_numbers() -> None:
    lines = [{"=name": text, "n": -5, "x": -0.25, "b": True, "none": None} for text in (*FORMULAS, *PLAIN)]
    read = list(csv.reader(io.StringIO(csv_text(["=name", "n", "x", "b", "none"], lines), newline="")))
    assert read[0] == ["'=name", "n", "x", "b", "none"]
    assert [row[0] for row in read[1:]] == [f"'{text}".replace("\r", "\n") for text in FORMULAS] + list(PLAIN)
    assert {tuple(row[1:]) for row in read[1:]} == {("-5", "-0.25", "true", "")}
