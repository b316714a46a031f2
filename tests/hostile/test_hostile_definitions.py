"""Definitions that are wrong in every way: what is wrong is said, and harms nothing else."""

from __future__ import annotations

import json

import pytest

from connectors.errors import KpiError, Problem
from metrics.kpi_views.card import card
from tests.conftest import NOW, Builder, run_cli
from tests.hostile.conftest import TOTAL, total

pytestmark = pytest.mark.breadth(4)


def problems(project: Builder, name: str = "bad") -> list[Problem]:
    found = project.open().catalogue()
    assert name not in found.kpis and set(found.kpis) >= {"total", "n"}
    assert total(project) == TOTAL and not project.sync().failed and total(project) == TOTAL
    return list(found.broken.get(name, ()))


@pytest.mark.breadth(6)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("type: sql\ndataset: t\nsql: SELECT 1 AS period, 2 AS value; SELECT 3", "exactly one statement"),
        ("type: sql\ndataset: t\nsql: DROP TABLE t", "one SELECT is wanted"),
        ("type: sql\ndataset: t\nsql: DELETE FROM t", "one SELECT is wanted"),
        ("type: sql\ndataset: t\nsql: COPY t TO '/tmp/x.csv'", "one SELECT is wanted"),
        ("type: sql\ndataset: t\nsql: ATTACH '/tmp/x.db'", "one SELECT is wanted"),
        ("type: sql\ndataset: t\nsql: SELECT at AS period, 1 AS value FROM read_csv('/etc/passwd')", "not allowed"),
        ("type: sql\ndataset: t\nsql: SELECT 1 AS period, 1 AS value FROM '/etc/passwd'", "unknown table"),
        ("type: sql\ndataset: t\nsql: SELECT 1 AS period, 1 AS value FROM glob('/etc/*')", "not allowed"),
        ("type: sql\ndataset: t\nsql: SELECT period, value FROM duckdb_settings()", "not allowed"),
        ("type: sql\ndataset: t\nsql: SELECT 1 AS period, 1 AS value FROM bellwether.kpi_values", "outside the loaded"),
        ("dataset: t\nagg: sum\nexpr: amount; DROP TABLE t", "exactly one statement"),
        ("dataset: t\nagg: sum\nexpr: getenv('HOME')", "'getenv' is not allowed"),
        ("dataset: t\nagg: count\nfilter: note = getenv('HOME')", "'getenv' is not allowed"),
        ("dataset: t\nagg: count\nfilter: note IN (SELECT note FROM t)", "no SELECT inside"),
        ("dataset: t\nagg: count\nfilter: current_setting('home_directory') = ''", "not allowed"),
        ("dataset: t\nagg: count\nfilter: note = 'a", "cannot be parsed"),
        ("dataset: t\nagg: sum\nexpr: note", "'note' is text"),
        ("dataset: t\nagg: sum\nexpr: sum(amount)", "must not aggregate"),
        ("dataset: t\nagg: sum\nexpr: amuont", "unknown column 'amuont'"),
        ("dataset: tt\nagg: count", "unknown dataset 'tt'"),
        ("dataset: t\nagg: count\nagg: sum", "duplicate key"),
        ("dataset: t\nagg: count\n\tgrain: day", "found character"),
        ("dataset: [t, t]\nagg: count", "'dataset'"),
        ("type: derived\nexpr: '{bad} + 1'", "refers to itself"),
        ("type: derived\nexpr: '{total} + __import__(1)'", "is not allowed"),
        ("type: ratio\nnumerator: total\ndenominator: nobody", "unknown KPI 'nobody'"),
        ("a: &a [x, x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "unknown key"),
    ],
)
def test_a_kpi_that_is_wrong_harms_only_itself(shop: Builder, body: str, words: str) -> None:
    shop.kpi("bad", body)
    found = problems(shop)
    assert found and all(p.file.endswith("kpis/bad.yml") and p.line >= 1 for p in found)
    assert words in " ".join(f"{p.message} {p.hint}" for p in found), found
    assert card(shop.open().context(NOW), "bad").status.slug == "definition_error"


def test_kpis_in_a_circle(shop: Builder) -> None:
    shop.kpi("bad", "type: derived\nexpr: '{worse} + 1'")
    shop.kpi("worse", "type: derived\nexpr: '{bad} + 1'")
    assert "refers to itself through 'worse'" in problems(shop)[0].message


@pytest.mark.parametrize("text", ["dataset: &a [*a]", "dataset: t\nagg: &a {x: *a}", "&a [*a]"])
def test_an_alias_of_what_it_is_part_of(shop: Builder, text: str) -> None:
    shop.kpi("bad", text)
    assert problems(shop)


def test_a_yaml_bomb(shop: Builder) -> None:
    levels = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    shop.kpi("bad", "\n".join(levels))
    assert "aliases" in problems(shop)[0].message


def test_half_a_letter(shop: Builder) -> None:
    shop.kpi("bad", 'dataset: t\nagg: count\nlabel: "\\ud83d"')
    assert "half a letter" in problems(shop)[0].message and problems(shop)[0].line == 4
    shop.kpi("bad", "dataset: t\nagg: count\nlabel: '\\ud83d is how JSON writes it'")
    assert shop.open().catalogue().kpis["bad"].label.startswith("\\ud83d")


@pytest.mark.slow
def test_yaml_nested_without_end(shop: Builder) -> None:
    shop.kpi("bad", "meta: " + "[" * 1500 + "]" * 1500)
    assert "nested too deep" in problems(shop)[0].message


def test_a_kpi_file_that_is_a_folder(shop: Builder) -> None:
    (shop.folder / "kpis" / "bad.yml").mkdir()
    assert "is a folder, not a file" in problems(shop)[0].message


def test_a_kpi_file_that_is_no_text(shop: Builder) -> None:
    (shop.folder / "kpis" / "bad.yml").write_bytes(b"\xff\xfe\x00name: bad")
    assert "cannot be read" in problems(shop)[0].message


def test_a_name_that_is_not_the_files(shop: Builder) -> None:
    shop.write("kpis", "bad", "name: total\ndataset: t\nagg: count\n")
    assert "name 'total' is not the file's stem" in problems(shop)[0].message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "- {name: t, type: files, table: t, path: a}\n- {name: t, type: files, table: u, path: b}\n",
            "is defined twice",
        ),
        ("- {name: t, type: files, table: t, path: a}\n- {name: u, type: files, table: t, path: b}\n", "already fed"),
        ("- {name: t, type: flies, table: t, path: a}\n", "Did you mean 'files'"),
        ("- {name: t, type: sql, table: t, url: '${NOT_SET_ANYWHERE}'}\n", "NOT_SET_ANYWHERE is not set"),
        ("name: t\ntype: files\n", "must be a list"),
        ("- [", "sources.yml:"),
        ("- {name: t, type: files, table: t, path: a, full_every: soon}\n", "is not a duration"),
    ],
)
def test_sources_that_are_wrong_stop_the_sync_and_nothing_else(shop: Builder, text: str, words: str) -> None:
    (shop.folder / "sources.yml").write_text(text)
    with pytest.raises(KpiError, match=r"sources\.yml cannot be used") as error:
        shop.sync()
    assert words in str(error.value) and total(shop) == TOTAL


@pytest.mark.parametrize(
    "body", ["def bad(values:\n", "import os; os._exit", "x = 1\n", "def bad(values):\n    return 1/0\n"]
)
def test_transforms_that_are_wrong(shop: Builder, body: str) -> None:
    shop.write("transforms", "bad", body)
    shop.kpi("uses", "dataset: t\nagg: count\ntransforms: [bad]")
    assert not shop.sync().failed and total(shop) == TOTAL
    result = run_cli("query", "uses", "--project", str(shop.folder))
    assert result.returncode == 1 and "Traceback" not in result.stderr and "bad" in result.stderr


def test_settings_that_are_wrong(shop: Builder) -> None:
    shop.settings("timezone: Europe/Berln\nmemory_limit: lots\n")
    result = run_cli("query", "total", "--project", str(shop.folder))
    assert result.returncode == 1 and "Did you mean 'Europe/Berlin'" in result.stderr and "4GB" in result.stderr


@pytest.mark.slow
def test_ten_thousand_kpis(shop: Builder) -> None:
    """One wrong among ten thousand is found; one question does not read them all."""
    for number in range(10_000):
        shop.kpi(f"k{number}", "dataset: t\nagg: count\n" if number != 7777 else "dataset: t\nagg: cuont\n")
    result = run_cli("query", "total", "--grain", "total", "--json", "--project", str(shop.folder))
    assert result.returncode == 0 and json.loads(result.stdout)["rows"][0]["value"] == TOTAL
    found = shop.open().catalogue()
    assert len(found.kpis) == 10_001 and [p.file.rsplit("/", 1)[1] for p in found.problems] == ["k7777.yml"]
