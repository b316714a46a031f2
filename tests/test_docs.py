"""The docs are true: everything public is in them, their links hold, their examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import urllib.request
from pathlib import Path

import pandas as pd

import connectors.errors
from connectors.settings import Settings
from connectors.sources.contract import SourceOptions, source_types
from jobs.authoring.validate import validate
from metrics.alerts.rules import rules_of
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import AGGS
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.snapshot import Schedule, Section, Snapshot
from metrics.catalog.types import kpi_type, type_names
from metrics.transforms import known_transforms
from tests.conftest import NOW, ROOT, Builder, Server, known, run_cli

DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def words(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def documented(names: set[str], text: str) -> set[str]:
    return {n for n in names if f"`{n}`" in text or f"`{n}:" in text}


def test_every_verb_is_documented() -> None:
    verbs = set(re.findall(r"^  (\w+)  ", run_cli("--help").stdout, re.MULTILINE))
    for group in ("alerts", "launch", "snapshot"):
        verbs |= {f"{group} {v}" for v in re.findall(r"^  (\w+)  ", run_cli(group, "--help").stdout, re.MULTILINE)}
    assert verbs and {v for v in verbs if f"`kpi {v}" not in words("cli.md")} == set()


def test_every_option_of_query_is_documented() -> None:
    options = set(re.findall(r"--[a-z-]+", run_cli("query", "--help").stdout)) - {"--help", "--no", "--from"}
    assert {o for o in options if o not in words("cli.md")} == set()


def test_every_setting_is_documented() -> None:
    names = set(Settings.model_fields)
    assert documented(names, words("settings.md")) == names


def test_every_source_option_is_documented() -> None:
    common = set(SourceOptions.model_fields)
    assert documented(common, words("sources.md")) == common
    for name, kind in source_types().items():
        own = ROOT / "docs" / "sources" / f"{name}.md"
        text = own.read_text() if own.exists() else words("sources.md").partition(f"## `{name}`")[2]
        names = set(kind.Options.model_fields) - common
        assert documented(names, text) == names, name


def test_every_error_code_is_documented() -> None:
    codes = {c.code for c in vars(connectors.errors).values() if isinstance(c, type) and hasattr(c, "code")}
    source = "".join(p.read_text() for p in (ROOT / "metrics" / "catalog").glob("*.py"))
    problem_codes = set(re.findall(r'problem\(\s*\(?[^()"]*(?:\([^()]*\))?[^"]*?\)?, "([a-z_]+)"', source))
    assert len(problem_codes) > 5
    names = {c for c in codes if isinstance(c, str)} | problem_codes - {"dataset", "expr", "sql", "by"}
    assert names - documented(names, words("errors.md")) == set()


def test_every_definition_key_is_documented() -> None:
    text = words("definitions.md")
    keys = {f.alias or name for kind in type_names() for name, f in kpi_type(kind).model_fields.items()}
    names = set(Dataset.model_fields) | keys | set(AGGS) | set(type_names())
    assert names - documented(names, text) == set()


def test_every_transform_and_its_options_are_documented() -> None:
    text = words("definitions.md")
    names = set(known_transforms(ROOT / "none")[0])
    assert names - documented(names, text) == set()


def test_links_hold() -> None:
    links = [(path, t) for path in DOCS for t in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())]
    own = [(path, target) for path, target in links if not target.startswith("http")]
    assert len(own) > 50
    assert [f"{path.name} links to {t}" for path, t in own if not (path.parent / t).exists()] == []


def test_the_examples_of_definitions_md_are_valid_and_answer(project: Builder) -> None:
    rows = ["ordered_at,customer_id,country,amount,status"]
    rows += [
        f"2026-{9 + i % 3:02d}-{i % 22 + 1:02d},{i % 9},{'NO' if i % 2 else 'SE'},{i * 7 % 200},paid"
        for i in range(200)
    ]
    (project.folder / "files" / "orders.csv").write_text("\n".join(rows) + "\n")
    project.source("- {name: orders, type: files, table: orders, path: files/orders.csv}")
    _usage(project)
    text = words("definitions.md") + (ROOT / "README.md").read_text()
    found = re.findall(r"```(?:yaml|python)\n# (?:shop/)?(\w+)/(\w+)\.\w+\n(.*?)```", text, re.DOTALL)
    assert len(found) >= 8
    for part, name, body in found:
        project.write(part, name, body)
    project.kpi("uses_own", "dataset: orders\nagg: count\ntransforms: [{above: {level: 1}}]")
    result = project.sync()
    assert not result.failed and result.problems == ()
    catalogue = project.open().catalogue()
    assert [p for p in catalogue.problems if p.level == "error"] == []
    for name in catalogue.kpis:
        assert project.ask(name).frame["value"].notna().any(), name
    assert 0 < project.values("repeat_buyers")["2026-10-01"] <= 1


def _usage(project: Builder) -> None:
    """Users, their events, their answers, and balances: the tables that the examples of the types read."""
    names = ("open", "view_pricing", "create_doc", "start_checkout", "purchase", "invite_received")
    day = pd.Timestamp("2026-09-01")
    events = pd.DataFrame(
        [
            {
                "event_id": i,
                "user_id": (i * i * 7 + i // 5) % 40,
                "occurred_at": day + pd.Timedelta(hours=i * 4 + i % 3),
                "event_name": names[i // 3 % 6],
                "platform": ("web", "ios")[i % 2],
            }
            for i in range(480)
        ]
    )
    users = pd.DataFrame(
        [
            {
                "user_id": i,
                "signed_up_at": day + pd.Timedelta(days=i * 37 % 60),
                "plan": ("free", "pro")[i % 2],
                "channel": ("ads", "organic", "friends")[i % 3],
            }
            for i in range(40)
        ]
    )
    answers = pd.DataFrame(
        [
            {"answered_at": day + pd.Timedelta(days=i % 70), "score": i * 7 % 11, "comment": "fine" if i % 3 else ""}
            for i in range(200)
        ]
    )
    balances = pd.DataFrame(
        [{"account_id": i % 6, "on_day": day + pd.Timedelta(days=i // 6), "balance": i % 13 * 10.0} for i in range(300)]
    )
    for name, frame in (("events", events), ("users", users), ("answers", answers), ("balances", balances)):
        frame.to_parquet(project.folder / "files" / f"{name}.parquet", index=False)
        project.source(f"- {{name: {name}, type: files, table: {name}, path: files/{name}.parquet}}")
    project.write("datasets", "answers", "name: answers\nsource: answers\ntime_dimension: answered_at\n")
    project.write("datasets", "balances", "name: balances\nsource: balances\ntime_dimension: on_day\n")


TUTORIAL = re.search(r"<!-- tutorial.*?-->\n```shell\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readmes_tutorial_gives_kpi_cards_in_at_most_five_lines(tmp_path: Path) -> None:
    assert TUTORIAL is not None
    lines = TUTORIAL[1].strip().splitlines()
    assert len(lines) <= 5 and lines[0] == "make setup" and lines[-1].startswith(".venv/bin/kpi run")
    rows = [
        f"{i};2026-10-{i % 28 + 1:02d} 1{i % 10}:00;user{i % 7}@x.example;{i * 3}.5;{'A' if i % 3 else 'B'}"
        for i in range(90)
    ]
    (tmp_path / "orders.csv").write_text("Order ID;Created;Customer;Total;Shop\n" + "\n".join(rows) + "\n")
    for line in lines[1:-1]:
        done = run_cli(*shlex.split(line)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    server = Server(tmp_path / "shop")
    try:
        with urllib.request.urlopen(server.url) as answer:
            assert answer.status == 200
    finally:
        server.stop()
    listed = run_cli("list", "--project", str(tmp_path / "shop")).stdout
    assert all(name in listed for name in ("orders_count", "\ntotal ", "average_total", "active_customers"))


def test_no_file_names_a_place_on_the_machine_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    places = {str(ROOT), str(Path.home()) + "/"} - {"//"}
    text = {name: (ROOT / name).read_text(errors="ignore") for name in listed if (ROOT / name).is_file()}
    assert [name for name, words in text.items() if any(place in words for place in places)] == []


def test_the_rules_and_contact_points_of_the_docs_are_valid(project: Builder) -> None:
    rows = pd.DataFrame({"at": pd.to_datetime(["2026-11-01"]), "plan": ["free"]})
    project.rows("t", rows, dimensions="{plan: plan}")
    rules = re.search(r"```yaml\n# kpis/weekly_active_users.yml\n(.*?)```", words("alerts.md"), re.DOTALL)
    points = re.search(r"```yaml\n(contact_points:.*?)```", words("settings.md"), re.DOTALL)
    assert rules and points
    project.kpi("weekly_active_users", f"dataset: t\nagg: count\nowner: ana@example.com\n{rules.group(1)}")
    project.settings(points.group(1))
    project.sync()
    opened = project.open()
    assert [p for p in validate(opened, [], now=NOW) if p.code not in ("constant",)] == []
    assert [rule.name for rule in rules_of(opened.catalogue().kpi("weekly_active_users"))] == [
        "thresholds",
        "drop",
        "unusual",
    ]
    assert known(opened.settings.contact("ana@example.com")).url.endswith("?to=ana@example.com")


def test_every_key_of_launches_is_documented() -> None:
    text = words("definitions.md").split("## Launches")[1].split("\n## ")[0]
    assert {k for k in Launch.model_fields if f"`{k}`" not in text} - {"name", "meta"} == set()


def test_every_key_of_snapshots_is_documented_and_the_example_is_valid(project: Builder) -> None:
    text = words("snapshots.md")
    keys = {*Snapshot.model_fields, *Section.model_fields, *Schedule.model_fields}
    assert keys - documented(keys, text) == set()
    example = re.search(r"```yaml\n# snapshots/weekly.yml\n(.*?)```", text, re.DOTALL)
    assert example
    rows = pd.DataFrame({"at": pd.to_datetime(["2026-11-01"]), "platform": ["ios"]})
    project.rows("t", rows, dimensions="[platform]")
    project.kpi("paid_share", "dataset: t\nagg: count\narea: Sales")
    project.kpi("weekly_buyers", "dataset: t\nagg: count\ngrain: week")
    (project.folder / "snapshots").mkdir()
    project.write("snapshots", "weekly", example.group(1))
    project.settings(
        "contact_points: [{name: leads, url: 'json://x.example'}, {name: o, url: 'mailto://x.example?to={owner}'}]"
    )
    assert validate(project.open(), [], now=NOW) == []
