"""Definitions: every problem at once, with file and line; one bad file never blocks the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from connectors.errors import DefinitionError
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.document import read_document
from metrics.catalog.loading import load
from metrics.catalog.schema import schemas
from tests.conftest import ROOT

TABLES = {
    "events": {"at": "TIMESTAMP", "user_id": "BIGINT", "amount": "DOUBLE", "plan": "VARCHAR", "country": "VARCHAR"}
}
DATASET = "name: events\nsource: events\ntime_dimension: at\nentity: user_id\ndimensions: [plan, country]\n"


def catalogue(folder: Path, **kpis: str) -> Catalogue:
    (folder / "datasets").mkdir(exist_ok=True)
    (folder / "kpis").mkdir(exist_ok=True)
    if not (folder / "datasets" / "events.yml").exists():
        (folder / "datasets" / "events.yml").write_text(DATASET)
    for name, text in kpis.items():
        (folder / "kpis" / f"{name}.yml").write_text(f"name: {name}\n{text}\n")
    return load(folder, tables=TABLES)


def told(found: Catalogue) -> list[tuple[str, int, str]]:
    return [(p.file, p.line, p.code) for p in found.problems if p.level == "error"]


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    found = catalogue(
        tmp_path,
        good="dataset: events\nagg: count",
        bad="dataset: evnts\nagg: count",
        worse="dataset: events\nagg: cuont\nformt: percent\nthresholds: {warning: low}",
    )
    assert told(found) == [
        ("kpis/bad.yml", 2, "unknown_dataset"),
        ("kpis/worse.yml", 3, "not_allowed"),
        ("kpis/worse.yml", 4, "unknown_key"),
        ("kpis/worse.yml", 5, "wrong_value"),
    ]
    hints = {p.line: p.hint for p in found.problems if p.file == "kpis/worse.yml"}
    assert "Did you mean 'count'" in hints[3] and "Did you mean 'format'" in hints[4]
    assert list(found.kpis) == ["good"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("dataset: events\nagg: sum", 1, "needs `expr`"),
        ("dataset: events\nagg: sum\nexpr: amonut", 4, "unknown column 'amonut'"),
        ("dataset: events\nagg: sum\nexpr: amount)", 4, "cannot be parsed"),
        ("dataset: events\nagg: sum\nexpr: sum(amount)", 4, "must not aggregate"),
        ("dataset: events\nsql: amount", 3, "must aggregate rows"),
        ("dataset: events\nagg: count\nfilter: getenv('HOME') = ''", 4, "function 'getenv' is not allowed"),
        ("dataset: events\nagg: count\nfilter: user_id IN (SELECT 1)", 4, "no SELECT inside"),
        ("dataset: events\nagg: count\ndimensions: [plattform]", 4, "unknown dimension 'plattform'"),
        ("dataset: events\nagg: count\ntransforms: [{rollin: {periods: 2}}]", 4, "unknown transform 'rollin'"),
        ("dataset: events\nagg: count\ntransforms: [{rolling: {period: 2}}]", 4, "unknown option 'period'"),
        ("dataset: events\nagg: count\ntransforms: [{rolling: {periods: many}}]", 4, "'periods' cannot be 'many'"),
        ("dataset: events\nagg: percentile\nexpr: amount", 1, "percentile: 0.95"),
        ("dataset: events\nagg: count\nwindow: 36h", 4, "a window is whole days"),
        ("type: rato\nnumerator: a\ndenominator: b", 2, "unknown type 'rato'"),
        ("type: ratio\nnumerator: nobody\ndenominator: nobody", 3, "unknown KPI 'nobody'"),
        ('type: derived\nexpr: "{nobody} * 2"', 3, "unknown KPI 'nobody'"),
        ('type: derived\nexpr: "2 * 2"', 3, "no KPI is named"),
        ('type: derived\nexpr: "{x} + now()"', 3, "is not arithmetic"),
        ("type: sql\ndataset: events\nsql: SELECT 1 AS value FROM events", 4, "no column `period`"),
        ("type: sql\ndataset: events\nsql: SELECT at AS period, 1 AS value FROM evnts", 4, "unknown table 'evnts'"),
        ("type: sql\ndataset: events\nsql: SELECT * FROM read_csv('/etc/passwd')", 4, "not"),
        ("type: sql\ndataset: events\nsql: SELECT 1 AS period, 1 AS value; DROP TABLE events", 4, "one statement"),
        ("type: sql\ndataset: events\nsql: DELETE FROM events", 4, "one SELECT is wanted"),
    ],
)
def test_a_wrong_definition_says_what_and_where(tmp_path: Path, text: str, line: int, words: str) -> None:
    found = catalogue(tmp_path, x=text)
    messages = [f"{p.message} {p.hint}" for p in found.problems if p.file == "kpis/x.yml" and p.line == line]
    assert any(words in m for m in messages), found.problems
    with pytest.raises(DefinitionError):
        found.kpi("x")


def test_a_circle_is_found_and_dependants_of_a_broken_kpi_say_so(tmp_path: Path) -> None:
    found = catalogue(
        tmp_path,
        a='type: derived\nexpr: "{b} + 1"',
        b='type: derived\nexpr: "{a} + 1"',
        c='type: derived\nexpr: "{d} + 1"',
        d="dataset: events\nagg: sum",
        e="dataset: events\nagg: count",
    )
    assert list(found.kpis) == ["e"]
    text = {name: problems[0].message for name, problems in found.broken.items()}
    assert "refers to itself" in text["a"] and "invalid definition" in text["c"]


def test_yaml_is_1_2_so_norway_is_no(tmp_path: Path) -> None:
    found = catalogue(tmp_path, x="dataset: events\nagg: count\nfilter: country = 'NO'\ntags: [NO, off, y]")
    assert found.kpis["x"].tags == ("NO", "off", "y")


def test_a_file_that_is_no_yaml_is_one_problem_with_its_line(tmp_path: Path) -> None:
    found = catalogue(tmp_path, x="label: [a, b\nagg: count", y="dataset: events\nagg: count")
    assert [(p.file, p.code) for p in found.problems] == [("kpis/x.yml", "yaml")] and found.problems[0].line > 1
    assert list(found.kpis) == ["y"]


def test_a_date_that_no_calendar_has_is_one_problem_with_its_line(tmp_path: Path) -> None:
    """Nor does it end in a traceback."""
    path = tmp_path / "x.yml"
    path.write_text("name: x\nchanges:\n  - {on: 2026-02-28, why: a}\n  - {on: 2026-02-30, why: b}\n")
    (problem,) = read_document(path, shown_as="x.yml")[1]
    assert problem.line == 4 and "a date that does not exist" in problem.message and "2026-11-23" in problem.hint


def test_the_name_is_the_files_stem_and_yaml_is_called_yml(tmp_path: Path) -> None:
    catalogue(tmp_path)
    (tmp_path / "kpis" / "one.yml").write_text("name: two\ndataset: events\nagg: count\n")
    (tmp_path / "kpis" / "three.yaml").write_text("name: three\n")
    found = load(tmp_path, tables=TABLES)
    assert {p.code for p in found.problems} == {"name", "file_name"}


def test_features_of_later_versions_are_kept_and_told(tmp_path: Path) -> None:
    found = catalogue(
        tmp_path,
        x="dataset: events\nagg: count\ndrivers: [y]\nalerts: [{name: low, thresholds: {warning: '< 3'}, for: 2}]",
    )
    assert told(found) == [] and {p.code for p in found.problems} == {"not_used_yet"}
    assert found.kpis["x"].alerts[0].for_ == 2


@pytest.mark.parametrize(
    ("rule", "code", "says"),
    [
        ("{name: a, compare: previous_period}", "missing_key", "rule 'a' has no threshold"),
        ("{name: a}", "missing_key", "rule 'a' has no threshold"),
        ("{name: a, thresholds: {critical: '< 3'}, by: [contry]}", "unknown_dimension", "unknown dimension 'contry'"),
        ("{name: a, thresholds: {critical: '< 3'}, of: trend}", "unknown_companion", "`of: trend` is no companion"),
        (
            "{name: a, thresholds: {critical: '< 3', critical_recovery: '< 4'}}",
            "not_allowed",
            "recovers in the direction",
        ),
        (
            "{name: a, compare: target, thresholds: {critical: '< -5% of target'}}",
            "not_allowed",
            "'of target' goes with",
        ),
        ("{name: a, compare: yesterday}", "not_allowed", "cannot be 'yesterday'"),
        ("{name: a, thresholds: {critical: '< 3'}, for: 0}", "wrong_value", "must be at least 1"),
        ("{name: a, thresholds: {critical: low}}", "wrong_value", "'low' is not a threshold"),
    ],
)
def test_a_wrong_rule_is_told_with_its_line(tmp_path: Path, rule: str, code: str, says: str) -> None:
    text = f"name: x\ndataset: events\nagg: count\ndimensions: [country]\nalerts:\n  - {rule}"
    found = catalogue(tmp_path, x=text.removeprefix("name: x\n"))
    problems = [p for p in found.problems if p.level == "error"]
    assert [p.code for p in problems] == [code] and says in problems[0].message, problems
    assert problems[0].line == 6


def test_rules_are_named_once_and_thresholds_of_an_expected_range_are_ignored_aloud(tmp_path: Path) -> None:
    rule = "{name: a, compare: expected_range, thresholds: {critical: '< 3'}}"
    found = catalogue(tmp_path, x=f"dataset: events\nagg: count\nalerts: [{rule}, {rule}]\nholidays: XX")
    assert sorted(p.code for p in found.problems) == ["not_used", "twice", "unknown_country"]


def test_the_hash_changes_with_numbers_and_not_with_words(tmp_path: Path) -> None:
    text = "dataset: events\nagg: count\nlabel: A\nowner: a@x"
    first = catalogue(tmp_path, x=text, y='type: derived\nexpr: "{x} * 2"')
    words = catalogue(tmp_path, x=text.replace("A", "B").replace("a@x", "b@x") + "\ntargets: [{value: 3}]")
    assert words.definition("x") == first.definition("x")
    numbers = catalogue(tmp_path, x=text + "\nfilter: amount > 3")
    assert numbers.definition("x") != first.definition("x") and numbers.definition("y") != first.definition("y")
    (tmp_path / "datasets" / "events.yml").write_text(DATASET + "timezone: Asia/Tokyo\n")
    assert load(tmp_path, tables=TABLES).definition("x") != numbers.definition("x")
    zone = load(tmp_path, tables=TABLES, timezone="Asia/Tokyo")
    assert zone.definition("x") != load(tmp_path, tables=TABLES).definition("x")


def test_the_hash_covers_the_code_of_a_transform(tmp_path: Path) -> None:
    (tmp_path / "transforms").mkdir()
    path = tmp_path / "transforms" / "half.py"
    path.write_text("def half(values):\n    return values / 2\n")
    first = catalogue(tmp_path, x="dataset: events\nagg: count\ntransforms: [half]").definition("x")
    path.write_text("def half(values):\n    return values * 0.5\n")
    assert load(tmp_path, tables=TABLES).definition("x") != first


@pytest.mark.parametrize("name", sorted(schemas()))
def test_json_schemas_are_the_published_ones(name: str) -> None:
    path = ROOT / "docs" / "schema" / f"{name}.schema.json"
    assert json.loads(path.read_text()) == schemas()[name], "run `make schema`"


def test_the_demos_definitions_meet_the_schema() -> None:
    meets, paths = (
        jsonschema.Draft202012Validator(schemas()["kpi"]).validate,
        sorted((ROOT / "metrics" / "definitions" / "kpis").glob("*.yml")),
    )
    assert len(paths) > 10
    for path in paths:
        data = json.loads(json.dumps(YAML(typ="safe", pure=True).load(path.read_text()), default=str))
        meets(data)


def test_the_demos_definitions_are_right_before_it_is_made(tmp_path: Path) -> None:
    """Its launches follow yesterday and are written with its data: a fresh clone has none."""
    for part in ("datasets", "kpis", "snapshots", "transforms"):
        if (ROOT / "metrics" / "definitions" / part).is_dir():
            shutil.copytree(ROOT / "metrics" / "definitions" / part, tmp_path / part)
    problems = load(tmp_path).problems
    assert {(p.level, p.code) for p in problems} == {("warning", "unknown_launch")}


def test_the_schema_refuses_what_the_catalogue_refuses() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "dataset": "d", "agg": "cuont"}, schemas()["kpi"])


def test_reading_one_kpi_gives_what_reading_all_gives(tmp_path: Path) -> None:
    catalogue(
        tmp_path, a="dataset: events\nagg: count", b="dataset: nowhere\nagg: count", c='type: derived\nexpr: "{a} * 2"'
    )
    whole, part = load(tmp_path, tables=TABLES), load(tmp_path, tables=TABLES, only="c")
    assert sorted(part.kpis) == ["a", "c"] and part.definition("c") == whole.definition("c")
    assert sorted(load(tmp_path, tables=TABLES, only="none").kpis) == sorted(whole.kpis)


REFERENCE = """\
label: Weekly active users
description: People with a core action in the last 7 days.
area: Engagement
type: simple
dataset: events
agg: count_distinct
expr: user_id
filter: plan = 'core_action'
window: 7 days
grain: day
grains: [day, week, month]
dimensions: [plan, country]
direction: up_is_good
format: "#,##0"
thresholds: {warning: "< 10500", critical: "< 9500"}
targets: [{grain: week, path: {2026-W40: 12000, 2026-W52: 15000}, between: linear}]
transforms:
  - rolling: {periods: 4, agg: mean, as: trend}
alerts:
  - name: wau_drop
    compare: previous_period
    thresholds: {warning: "< -5%", critical: "< -10%", critical_recovery: "> -7%"}
    for: 2
    min_volume: 500
    by: [plan]
    no_data: stale
    sensitivity: default
    of: trend
    renotify_after: 3d
    notify: [growth_team]
drivers: [new_users, resurrected_users]
checks: [{between: [0, 1000000]}]
owner: growth@example.com
status: live
changes: [{on: 2026-11-12, by: ana, why: "bots excluded"}]
tags: [north_star]
holidays: US
synonyms: [WAU]
meta: {}"""
FOLLOWING = {
    "conversion": "dataset: events\nbase: plan = 'a'\nconversion: {dataset: events, filter: plan = 'b'}\n"
    "window: 7 days\ncalculation: rate\nof: entities",
    "funnel": "dataset: events\nsteps: [{name: a, filter: plan = 'a'}, {name: b, filter: plan = 'b'}]\n"
    "window: 7 days\norder: strict\nper: attempt",
    "retention": "dataset: events\nstart: plan = 'a'\nreturn: plan = 'b'\nunit: week\nat: 4\ncohort: first",
    "lifecycle": "dataset: events\nactivity: plan = 'a'",
    "stickiness": "dataset: events\nactivity: plan = 'a'\nshort: day\nlong: month",
    "survey": "dataset: events\nscore: amount\nscale: nps\ncomment: plan",
}


def test_every_key_of_the_reference_definition_is_accepted(tmp_path: Path) -> None:
    found = catalogue(tmp_path, weekly_active_users=REFERENCE)
    assert told(found) == []
    assert {p.code for p in found.problems} == {"not_used_yet"}


@pytest.mark.parametrize("kind", sorted(FOLLOWING))
def test_every_type_that_follows_entities_is_accepted(tmp_path: Path, kind: str) -> None:
    found = catalogue(tmp_path, x=f"type: {kind}\n{FOLLOWING[kind]}")
    assert told(found) == [] and "x" in found.kpis
    assert [p.code for p in found.problems] == (["no_order"] if kind == "funnel" else [])  # told, not refused


def test_a_bare_currency_is_that_of_the_settings(tmp_path: Path) -> None:
    catalogue(tmp_path, x="dataset: events\nagg: sum\nexpr: amount\nformat: currency")
    found = load(tmp_path, tables=TABLES, currency="EUR")
    assert found.kpis["x"].format == "currency EUR"
    assert found.definition("x") == load(tmp_path, tables=TABLES).definition("x")  # words, not numbers
