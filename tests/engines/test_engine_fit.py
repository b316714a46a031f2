"""kpi validate --engine: what will not run on an engine is said of each KPI, with its reason; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd
import pytest

from tests.conftest import Builder, run_cli
from tests.engines.servers import into_postgres
from tests.engines.worlds import arrow_tables

KPIS = {
    "fine": "dataset: events\nagg: count",
    "rounded": "dataset: events\nagg: sum\nexpr: round(amount)",
    "spelled": "dataset: events\nagg: count\nfilter: jaccard(platform, 'web') > 0.5",
    "elsewhere": "dataset: others\nagg: count",
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[tuple[str, str]]:
    """A project's folder, and the URL of a server that has one of its two tables."""
    project = Builder(tmp_path_factory.mktemp("fit") / "project")
    at = pd.date_range("2026-11-01", periods=40, freq="12h")
    project.rows("events", pd.DataFrame({"at": at, "amount": 1.5, "platform": "web"}), dimensions="[platform]")
    project.rows("others", pd.DataFrame({"at": at}))
    for name, text in KPIS.items():
        project.kpi(name, text)
    project.sync()
    tables = arrow_tables(project.open().reader())
    yield str(project.folder), into_postgres(postgres, "fit", {"events": tables["events"]})


def test_each_kpi_says_what_it_meets(fitted: tuple[str, str]) -> None:
    folder, url = fitted
    done = run_cli("validate", "--engine", url, "--project", folder, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["dialect"], told["tested"]) == (1, False, "postgres", True)
    kpis = {kpi["kpi"]: kpi for kpi in told["kpis"]}
    assert kpis["fine"] == {"kpi": "fine", "runs": True, "why": [], "not_compared": []}
    assert kpis["rounded"]["runs"] and kpis["rounded"]["not_compared"] == ["round"]
    assert kpis["elsewhere"]["why"] == ["there is no table 'others'"]
    assert not kpis["spelled"]["runs"] and "jaccard" in kpis["spelled"]["why"][0]


def test_what_is_named_is_looked_at_alone_and_told_in_lines(fitted: tuple[str, str]) -> None:
    folder, url = fitted
    done = run_cli("validate", "fine", "--engine", url, "--project", folder)
    assert (done.returncode, done.stdout) == (0, "1 of 1 KPI run on postgres\n")
    done = run_cli("validate", "elsewhere", "--engine", url, "--project", folder)
    assert "elsewhere: will not run on postgres: there is no table 'others'" in done.stdout


@pytest.mark.parametrize("dialect", ["trino", "snowflake", "bigquery", "databricks"])
def test_a_dialect_that_is_only_written_is_said_to_be_untested(fitted: tuple[str, str], dialect: str) -> None:
    done = run_cli("validate", "fine", "--engine", f"{dialect}://host", "--project", fitted[0])
    assert (done.returncode, done.stdout) == (
        0,
        f"1 of 1 KPI can be written, which no engine tested, on {dialect}\n",
    )


def test_a_url_of_no_engine_is_an_error_of_one_sentence(fitted: tuple[str, str]) -> None:
    done = run_cli("validate", "--engine", "oracle://host", "--project", fitted[0])
    assert done.returncode == 2 or done.returncode == 1
    assert "there is no engine for 'oracle'" in done.stderr and "Traceback" not in done.stderr
