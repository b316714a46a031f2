"""Wrong keys do not hide wrong names: all problems of all files come in one run, and suggest what fits there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import did_you_mean
from metrics.catalog.loading import load
from metrics.catalog.types import kpi_type, type_names
from tests.sampling import SEED

TABLES = {
    "events": {
        "at": "TIMESTAMP",
        "created": "VARCHAR",
        "created_at": "TIMESTAMP",
        "amount": "DOUBLE",
        "amount_text": "VARCHAR",
        "user_id": "VARCHAR",
        "plan": "VARCHAR",
    }
}
DATASET = "name: events\nsource: events\ntime_dimension: at\nentity: user_id\ndimensions: [plan]\n"


def told(folder: Path, files: dict[str, str]) -> dict[str, list[str]]:
    """file → `line: message`, errors only."""
    for name, text in {"datasets/events.yml": DATASET, **files}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found: dict[str, list[str]] = {}
    for problem in load(folder, tables=TABLES).problems:
        if problem.level == "error":
            found.setdefault(problem.file, []).append(f"{problem.line}: {problem.message}")
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "dataset: events\nagg: sum\nexpr: amonut\nformt: percent",
            ["4: unknown column 'amonut'", "5: unknown key 'formt'"],
        ),
        (
            "dataset: evnts\nagg: cuont\nformt: x",
            ["2: unknown dataset 'evnts'", "3: 'agg' cannot be 'cuont'", "4: unknown key 'formt'"],
        ),
        (
            "dataset: evnts\nagg: count\ntransforms: [{rollin: {periods: 2}}]\nholidays: XX",
            ["2: unknown dataset 'evnts'", "4: unknown transform 'rollin'", "5: no holiday calendar for 'XX'"],
        ),
        (
            "dataset: events\nagg: sum\nfilter: paln = 'x'\ndimensions: [contry]",
            ["1: `agg: sum` needs `expr`", "4: unknown column 'paln'", "5: unknown dimension 'contry'"],
        ),
        (
            "dataset: events\nagg: count\nformat: percnt\nalerts: [{name: a, by: [pln], thresholds: {critical: low}}]",
            [
                "4: 'format': 'percnt' is no format",
                "5: 'alerts.0.thresholds.critical': 'low' is not",
                "5: unknown dimension 'pln'",
            ],
        ),
        (
            "type: ratio\nnumerator: nobody\ndenominator: {dataset: events, agg: sum, expr: amonut}\ndirektion: up",
            ["3: unknown KPI 'nobody'", "4: unknown column 'amonut'", "5: unknown key 'direktion'"],
        ),
        ("type: derived\nexpr: '{nobody} + 1'\nwindow: 3", ["3: unknown KPI 'nobody'", "4: unknown key 'window'"]),
        (
            "type: retention\ndataset: events\nstart: paln = 'x'\nreturn: {dataset: evnts}",
            ["1: missing key 'at'", "4: unknown column 'paln'", "5: unknown dataset 'evnts'"],
        ),
        (
            "type: funnel\ndataset: events\nsteps: [{name: a, filter: paln = 1}, {nme: b, filter: amonut = 1}]",
            ["4: missing key", "4: unknown column 'amonut'", "4: unknown column 'paln'", "4: unknown key 'nme'"],
        ),
        ("agg: count\nexpr: nothing\nfilter: plan = 'a'", ["1: missing key 'dataset'"]),
        (
            "type: survey\nscore: skore\nscale: npss\ndataset: events",
            ["3: unknown column 'skore'", "4: 'scale' cannot be 'npss'"],
        ),
    ],
)
def test_wrong_keys_do_not_hide_wrong_names_of_a_kpi(tmp_path: Path, text: str, wanted: list[str]) -> None:
    found = told(tmp_path, {"kpis/x.yml": f"name: x\n{text}\n"})["kpis/x.yml"]
    assert len(found) == len(wanted), found
    assert all(any(line.startswith(start) for line in found) for start in wanted), found


def test_datasets_launches_and_snapshots_tell_all_as_well(tmp_path: Path) -> None:
    files = {
        "datasets/more.yml": "name: more\nsource: events\ntime_dimension: creatd\nentty: user_id\nprimary_key: usr\n",
        "datasets/none.yml": "name: none\nsource: evnts\nlagg: 6h\n",
        "kpis/n.yml": "name: n\ndataset: events\nagg: count\n",
        "launches/l.yml": "name: l\nonn: 2026-01-01\nsuccess: [{kpi: nn}]\nadoption: {dataset: evnts, used: a = 1}\n",
        "snapshots/s.yml": "name: s\nsections: [{title: A, kpis: [nn]}]\nscheduel: monday\n",
    }
    found = told(tmp_path, files)
    assert found["datasets/more.yml"] == [
        "3: unknown column 'creatd'",
        "4: unknown key 'entty'",
        "5: unknown column 'usr'",
    ]
    assert found["datasets/none.yml"] == [
        "1: missing key 'time_dimension'",
        "2: unknown table 'evnts'",
        "3: unknown key 'lagg'",
    ]
    assert {"2: unknown key 'onn'", "3: unknown KPI 'nn'", "4: unknown dataset 'evnts'"} <= set(found["launches/l.yml"])
    assert set(found["snapshots/s.yml"]) == {"2: unknown KPI 'nn'", "3: unknown key 'scheduel'"}


def hints(folder: Path, files: dict[str, str]) -> dict[str, str]:
    told(folder, files)
    return {problem.message: problem.hint for problem in load(folder, tables=TABLES).problems}


def test_what_is_suggested_fits_there(tmp_path: Path) -> None:
    files = {
        "datasets/more.yml": "name: more\nsource: events\ntime_dimension: creatd\n",
        "kpis/a.yml": "name: a\ndataset: events\nagg: sum\nexpr: amount_txt\n",
        "kpis/people.yml": "name: people\ntype: ratio\nnumerator: oders\ndenominator: oders\n",
        "kpis/orders.yml": "name: orders\ndataset: events\nagg: count\n",
        "kpis/oders_rate.yml": "name: oders_rate\ntype: derived\nexpr: '{orders} / 2'\n",
        "kpis/w.yml": "name: w\ntype: derived\nexpr: '{orders}'\nnumerator: orders\n",
    }
    found = hints(tmp_path, files)
    assert found["unknown column 'creatd'"] == "Did you mean 'created_at'? Known: at, created_at."
    assert found["unknown column 'amount_txt'"] == "Did you mean 'amount'? Known: amount."
    assert (
        found["unknown KPI 'oders'"].startswith("Did you mean 'orders'?")
        and "oders_rate" not in found["unknown KPI 'oders'"]
    )
    assert found["unknown key 'numerator'"].startswith("It is a key of type ratio. ")


def test_the_nearest_of_many_come_first_and_case_does_not_matter() -> None:
    many = [f"column_{n:03}" for n in range(300)] + ["User_ID"]
    hint = did_you_mean("user_id", many)
    assert hint.startswith("Did you mean 'User_ID'? Known: User_ID, ") and hint.endswith("and 261 more.")
    assert did_you_mean("kep", ["keep", "change"]) == "Did you mean 'keep'? Known: keep, change."
    assert did_you_mean("x", []) == "Known: none."


@pytest.mark.parametrize(
    "format_", ["percnt", "Percent", "percent 1", "currency us", "currency usd", "dollars", "0.##", ""]
)
def test_a_format_that_means_nothing_is_an_error(tmp_path: Path, format_: str) -> None:
    found = told(tmp_path, {"kpis/x.yml": f"name: x\ndataset: events\nagg: count\nformat: '{format_}'\n"})
    assert found == {"kpis/x.yml": [f"4: 'format': '{format_}' is no format"]}


@pytest.mark.parametrize(
    "format_",
    [
        "number",
        "percent",
        "currency",
        "currency EUR",
        "duration",
        "#,##0",
        "#,##0.0",
        "0.0%",
        "0",
        "0.00 €",
        "$ #,##0",
        "0.0 pts",
    ],
)
def test_formats_that_mean_something(tmp_path: Path, format_: str) -> None:
    assert told(tmp_path, {"kpis/x.yml": f"name: x\ndataset: events\nagg: count\nformat: '{format_}'\n"}) == {}


@pytest.mark.parametrize(("unit", "at"), [("day", 7), ("week", 4), ("month", 2), ("", 4)])
def test_a_retention_without_grain_has_cohorts_of_its_unit(tmp_path: Path, unit: str, at: int) -> None:
    more = f"unit: {unit}\n" if unit else ""
    text = f"name: x\ntype: retention\ndataset: events\nat: {at}\n{more}"
    assert told(tmp_path, {"kpis/x.yml": text}) == {}
    assert load(tmp_path, tables=TABLES).kpis["x"].grain == (unit or "week")
    (tmp_path / "kpis" / "x.yml").write_text(f"{text}grain: month\n")
    assert load(tmp_path, tables=TABLES).kpis["x"].grain == "month"


VALUES: tuple[Any, ...] = ("x", "{a: 1}", "[1, {b: c}]", "7", "''", "null", "{dataset: nowhere, filter: zz = 1}")


@pytest.mark.breadth(3)
@pytest.mark.parametrize("kind", sorted(type_names()))
def test_whatever_a_file_holds_it_is_told_and_nothing_breaks(tmp_path: Path, kind: str) -> None:
    """Every key of every type with odd values, two at a time."""
    draw = random.Random(SEED)
    keys = [field.alias or name for name, field in kpi_type(kind).model_fields.items() if name not in ("name", "type")]
    for _ in range(60):
        chosen = draw.sample(keys, k=min(len(keys), draw.randint(1, 5)))
        lines = "".join(f"{key}: {draw.choice(VALUES)}\n" for key in chosen)
        text = f"name: x\ntype: {kind}\n{lines}nonsense: 1\n"
        found = told(tmp_path, {"kpis/x.yml": text})["kpis/x.yml"]
        assert any("unknown key 'nonsense'" in line for line in found), text
        assert not any("stand_in" in line for line in found), (text, found)
