"""The contract of the `kpi` command: verbs, JSON, exit statuses, words on stderr."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from connectors.sources.contract import source_types
from tests.conftest import Builder, run_cli, run_process

pytestmark = pytest.mark.breadth(8)

STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


@pytest.fixture(scope="module")
def demo(demo_folder: Path) -> str:
    return str(demo_folder)


def read(*arguments: str) -> Any:
    done = run_cli(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_query_json_has_the_contracts_keys(demo: str) -> None:
    found = read("query", "activation", "--by", "platform", "--start", "2026-10-01", "--json", "--project", demo)
    assert list(found) == ["kpi", "definition", "generation", "watermark", "grain", "unit", "rows"]
    assert (found["grain"], found["unit"]) == ("week", "percent") and STAMP.match(found["watermark"])
    row = found["rows"][0]
    assert list(row) == ["period", "platform", "value", "numerator", "denominator", "n", "complete"]
    assert row["period"] == "2026-09-28"  # the Monday on or before the 1st
    assert row["value"] == pytest.approx(row["numerator"] / row["denominator"]) and 0 < row["value"] < 1
    last = found["rows"][-1]
    assert last["complete"] is False and last["value"] is None


def test_formats_agree(demo: str) -> None:
    arguments = ["query", "sign_ups", "--by", "platform", "--project", demo, "--format"]
    rows = json.loads(run_cli(*arguments, "json").stdout)["rows"]
    lines = list(csv.DictReader(io.StringIO(run_cli(*arguments, "csv").stdout)))
    assert [(r["period"], r["platform"], r["value"]) for r in rows] == [
        (r["period"], r["platform"], float(r["value"])) for r in lines
    ]
    assert len(run_cli(*arguments, "table").stdout.splitlines()) == len(rows) + 1


def test_where_repeats_or_within_a_dimension_and_across(demo: str) -> None:
    def total(*where: str) -> Any:
        options = [part for w in where for part in ("--where", w)]
        return read("query", "sign_ups", "--grain", "total", *options, "--json", "--project", demo)["rows"][0]["value"]

    web, ios = total("platform=web"), total("platform=ios")
    assert total("platform=web", "platform=ios") == web + ios
    assert total("platform=web", "plan=free") < web
    assert total("country=(none)") > 0


def test_compare_adds_comparison_and_change(demo: str) -> None:
    rows = read("query", "sign_ups", "--compare", "previous_period", "--json", "--project", demo)["rows"]
    a, b = rows[-2], rows[-1]
    assert b["comparison"] == a["value"] and b["change"] == pytest.approx(b["value"] / a["value"] - 1)
    points = read("query", "activation", "--compare", "previous_period", "--json", "--project", demo)["rows"][-3]
    assert points["change"] == pytest.approx(points["value"] - points["comparison"])


def test_hours_have_their_z_and_total_is_total(demo: str) -> None:
    options = ["--start", "2026-11-20", "--end", "2026-11-21", "--json", "--project", demo]
    hours = read("query", "error_free_sessions", "--grain", "hour", *options)["rows"]
    assert len(hours) == 24 and hours[0]["period"] == "2026-11-20T00:00:00Z"
    total = read("query", "error_free_sessions", "--grain", "total", *options)["rows"]
    assert [r["period"] for r in total] == ["total"]
    assert total[0]["denominator"] == sum(h["denominator"] for h in hours)


def test_sql_and_explain_print_what_is_run(demo: str) -> None:
    assert "GROUP BY" in run_cli("query", "sign_ups", "--sql", "--project", demo).stdout
    words = run_cli("query", "sign_ups", "--explain", "--project", demo).stdout
    assert "How it is counted: Count of rows." in words and "Answered from: finished values" in words


def test_status_list_validate_check(demo: str) -> None:
    status = read("status", "--json", "--now", "2026-11-23T02:30:00Z", "--project", demo)
    assert STAMP.match(status["published_at"]) and {"generation", "datasets", "sources"} <= set(status)
    states = {d["name"]: d["state"] for d in status["datasets"]}
    assert states["tickets"] == "stale" and states["sessions"] == "fresh"
    listed = read("list", "--json", "--project", demo)
    keys = ["name", "label", "area", "type", "grain", "owner", "status", "additivity", "definition"]
    assert len(listed) == 16 and all(list(row) == keys for row in listed)
    assert {r["name"] for r in read("list", "--tag", "north_star", "--json", "--project", demo)} == {
        "sign_ups",
        "weekly_active_users",
    }
    valid = read("validate", "--json", "--project", demo)
    assert valid["ok"] is True
    assert all({"file", "line", "level", "code", "message", "hint"} == set(problem) for problem in valid["problems"])
    assert all(row["ok"] for row in read("check", "--json", "--project", demo))


def test_what_is_wrong_exits_1_and_wrong_usage_exits_2(demo: str, project: Builder) -> None:
    unknown = run_cli("query", "sgn_ups", "--project", demo)
    assert (unknown.returncode, unknown.stdout) == (1, "") and "Did you mean 'sign_ups'" in unknown.stderr
    assert run_cli("query", "sign_ups", "--grain", "minute", "--project", demo).returncode == 1
    assert run_cli("query", "sign_ups", "--by", "colour", "--project", demo).returncode == 1
    assert run_cli("query", "sign_ups", "--as-of", "never", "--project", demo).returncode == 1
    assert run_cli("query", "sign_ups", "--start", "soon", "--project", demo).returncode == 1
    assert run_cli("query").returncode == 2 and run_cli("qurey").returncode == 2
    assert run_cli("query", "sign_ups", "--format", "xml", "--project", demo).returncode == 2
    assert run_cli("status", "--project", "/nowhere").returncode == 1
    project.kpi("bad", "dataset: none\nagg: count")
    wrong = run_cli("validate", "--project", str(project.folder))
    assert wrong.returncode == 1 and "kpis/bad.yml:2: error: unknown dataset 'none'" in wrong.stdout
    empty = run_cli("query", "bad", "--project", str(project.folder))
    assert empty.returncode == 1 and "Traceback" not in empty.stderr


def test_a_failed_check_and_a_failed_source_exit_1(project: Builder) -> None:
    (project.folder / "files" / "a.csv").write_text("at,amount\n2026-11-02,5\n2026-11-03,50\n2026-11-04,5\n")
    project.source("- {name: t, type: files, table: t, path: files/a.csv}")
    project.source("- {name: gone, type: files, table: gone, path: files/gone.csv}")
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount\nchecks: [{between: [0, 10]}]")
    folder = str(project.folder)
    synced = run_cli("sync", "--json", "--project", folder)
    assert synced.returncode == 1 and "no file matches files/gone.csv" in synced.stderr
    assert {s["name"]: s["status"] for s in json.loads(synced.stdout)["sources"]} == {"t": "loaded", "gone": "failed"}
    checked = run_cli("check", "--json", "--project", folder)
    assert checked.returncode == 1 and "last 2026-11-03: 50" in json.loads(checked.stdout)[0]["detail"]


def test_every_verb_helps_with_one_example() -> None:
    verbs = re.findall(r"^  (\w+)  ", run_cli("--help").stdout, re.MULTILINE)
    assert set(verbs) == {
        "init",
        "run",
        "demo",
        "sync",
        "status",
        "sources",
        "list",
        "validate",
        "check",
        "query",
        "diff",
        "add",
        "backup",
        "restore",
        "upgrade",
        "doctor",
        "schedule",
        "alerts",
        "launch",
        "snapshot",
        "token",
        "scheduler",
        "due",
        "whoami",
        "access",
        "audit",
    }
    groups = [
        f"{group} {v}"
        for group in ("alerts", "launch", "snapshot", "token", "audit")
        for v in re.findall(r"^  (\w+)  ", run_cli(group, "--help").stdout, re.MULTILINE)
    ]
    assert len(groups) == 7 + 7 + 7 + 3 + 2
    for verb in [
        *set(verbs) - {"add", "alerts", "launch", "snapshot", "token", "audit"},
        "add source",
        "add kpi",
        *groups,
    ]:
        assert "example: kpi " + verb in run_cli(*verb.split(), "--help").stdout


def test_demo_is_idempotent(demo: str) -> None:
    done = run_cli("demo", demo, "--now", "2026-11-23T02:30:00Z")
    assert done.returncode == 0 and "is up to date" in done.stdout


def test_sources_lists_every_option() -> None:
    rows = read("sources", "--json")
    assert {"path", "delimiter", "text_columns", "primary_key"} <= {r["option"] for r in rows if r["type"] == "files"}
    keys = {(k["kind"], k["key"]): k["default"] for r in rows if r["type"] == "rest" for k in r["keys"]}
    known = {("bearer", "token"): "required", ("last_id", "size"): "100", ("none", ""): "", ("", "field"): "required"}
    assert known.items() <= keys.items()
    said = run_cli("sources").stdout
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "lookback 3d How many days back are read again: recent ones change." in lines
    assert any(line.startswith("auth: oauth2 A token for") and "client_id (required)" in line for line in lines)
    assert any(line.startswith("cursor.field required Where in a record") for line in lines)
    assert said.count("Table of the warehouse that the rows go to.") == 1 and "0:00:00" not in said


def test_sources_shows_an_example_of_each_type_that_its_options_take() -> None:
    said = run_cli("sources").stdout
    for name, kind in source_types().items():
        (entry,) = YAML(typ="safe").load(kind.example)
        assert kind.Options.model_validate(entry).type == name and kind.example in said


@pytest.mark.breadth(2)
@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (0, "query sign_ups --json"),
        (1, "query sgn_ups"),
        (2, "query sign_ups --format xml"),
        (0, "status --json"),
        (1, "alerts replay sign_ups --rule nothing"),
        (1, "launch show nothing"),
        (0, "snapshot list --json"),
    ],
)
def test_a_process_says_and_ends_as_the_verb_does(demo: str, status: int, arguments: str) -> None:
    """Elsewhere verbs run in the test's process."""
    asked = [*arguments.split(), "--project", demo]
    done, same = run_process(*asked), run_cli(*asked)
    assert done.returncode == same.returncode == status, done.stderr
    assert (done.stdout, done.stderr) == (same.stdout, same.stderr) and "Traceback" not in done.stderr


UNKNOWN_CSV = """\
Order No;Bestelldatum;Customer Email;Net Amount;Region;Channel
1;31/12/2025 10:00;a@x.de;10.5;North;web
2;01/01/2026 11:00;b@x.de;20;South;shop
3;13/01/2026 12:30;a@x.de;7.25;North;web
4;14/01/2026 08:30;c@x.de;70.25;North;web
"""


def test_init_from_an_unknown_file_gives_kpis_at_once(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(UNKNOWN_CSV)
    made = run_cli("init", "shop", "--from", "orders.csv", cwd=tmp_path)
    assert made.returncode == 0 and "time is 'Bestelldatum'" in made.stdout, made.stderr
    assert run_cli("sync", "--project", "shop", cwd=tmp_path).returncode == 0
    assert run_cli("validate", "--project", "shop", cwd=tmp_path).returncode == 0
    asked = run_cli("query", "total_net_amount", "--grain", "total", "--json", "--project", "shop", cwd=tmp_path)
    assert json.loads(asked.stdout)["rows"][0]["value"] == 108.0
    again = run_cli("init", "shop", "--from", "orders.csv", cwd=tmp_path)
    assert again.returncode == 1 and "is not empty" in again.stderr


def test_init_without_a_time_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n")
    done = run_cli("init", "shop", "--from", "a.csv", cwd=tmp_path)
    assert done.returncode == 1 and "looks like a date" in done.stderr and not (tmp_path / "shop").exists()


def test_validate_lists_problems_of_settings_and_sources_too(project: Builder) -> None:
    project.settings("timezone: Europe/Berln\nweek_strt: monday\n")
    project.source("- {name: a, type: file, table: a, path: a.csv}")
    project.source("- {name: b, type: files, table: a, pth: a.csv}")
    done = run_cli("validate", "--json", "--project", str(project.folder))
    found = [(Path(p["file"]).name, p["line"], p["code"]) for p in json.loads(done.stdout)["problems"]]
    assert done.returncode == 1 and found == [
        ("settings.yml", 1, "wrong_value"),
        ("settings.yml", 2, "unknown_key"),
        ("sources.yml", 1, "not_allowed"),
        ("sources.yml", 2, "missing_key"),
        ("sources.yml", 2, "unknown_key"),
    ]
    asked = run_cli("status", "--project", str(project.folder))
    assert asked.returncode == 1 and "Europe/Berlin" in asked.stderr


def test_times_are_utc_whatever_the_machines_zone(demo_folder: Path) -> None:
    asked = ("query", "sign_ups", "--json", "--project", str(demo_folder))
    zones = ("UTC", "Pacific/Auckland", "America/Los_Angeles")
    here, *there = (run_process(*asked, check=True, env={**os.environ, "TZ": zone}).stdout for zone in zones)
    assert json.loads(here)["watermark"] and there == [here, here]
