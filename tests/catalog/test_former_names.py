"""A KPI that was renamed: its former names lead to it, each to one, and whoever still uses them is told the new one."""

from __future__ import annotations

import json

import pytest

from connectors.errors import UnknownName
from jobs.project.project import open_project
from metrics.catalog.catalogue import Catalogue
from tests.conftest import Builder, run_cli

BODY = "dataset: t\nagg: count\n"


@pytest.fixture
def shop(project: Builder) -> Builder:
    (project.folder / "files" / "a.csv").write_text("at,x\n2026-11-02,1\n2026-11-03,1\n")
    project.source("- {name: t, type: files, table: t, path: files/a.csv}")
    project.write("datasets", "t", "name: t\nsource: t\ntime_dimension: at\n")
    project.kpi("orders", f"{BODY}formerly: [purchases, buys]\n")
    return project


def problems(shop: Builder) -> list[str]:
    return [str(problem) for problem in catalogue(shop).problems]


def catalogue(shop: Builder) -> Catalogue:
    return open_project(shop.folder).catalogue()


def test_former_names_lead_to_the_kpi_and_change_no_number(shop: Builder) -> None:
    found = catalogue(shop)
    assert dict(found.formerly) == {"purchases": "orders", "buys": "orders"} and not found.problems
    before = found.definition("orders")
    shop.kpi("orders", BODY)
    assert catalogue(shop).definition("orders") == before
    with pytest.raises(UnknownName, match="unknown KPI 'buys'"):
        catalogue(shop).kpi("buys")


@pytest.mark.parametrize(
    ("others", "formerly", "said"),
    [
        ({"buys": ""}, "buys", "'buys' is a KPI of its own"),
        ({"more": "formerly: [buys]\n"}, "buys", "'buys' was the name of more, too"),
        ({}, "orders", "'orders' is the KPI's name of today"),
        ({}, "buys, buys", "'buys' is named twice"),
        ({}, "Not A Name", "formerly"),
    ],
)
def test_a_former_name_leads_to_one_kpi(shop: Builder, others: dict[str, str], formerly: str, said: str) -> None:
    shop.kpi("orders", f"{BODY}formerly: [{formerly}]\n")
    for name, more in others.items():
        shop.kpi(name, BODY + more)
    told = [line for line in problems(shop) if "kpis/orders.yml:4: error:" in line]
    assert len(told) == 1 and said in told[0]


def test_whoever_names_a_former_name_is_told_the_new_one(shop: Builder) -> None:
    shop.write("launches", "sale", "name: sale\nlabel: Sale\non: 2026-11-02\nkpis: [purchases]\n")
    (shop.folder / "snapshots").mkdir()
    shop.write("snapshots", "week", "name: week\nsections: [{title: A, kpis: [buys]}]\n")
    shop.kpi("twice", 'type: derived\nexpr: "{purchases} * 2"\n')
    told = [line for line in problems(shop) if "[unknown_kpi]" in line]
    assert [line.split(":")[0].split("/")[-2] for line in told] == ["kpis", "launches", "snapshots"]
    assert all("It is called 'orders' now." in line for line in told)
    with pytest.raises(UnknownName) as raised:
        catalogue(shop).kpi("purchases")
    assert "It is called 'orders' now." in raised.value.hint


def test_verbs_take_a_former_name_with_a_word(shop: Builder) -> None:
    shop.sync()
    folder = str(shop.folder)
    for verb in (["query"], ["check"], ["validate"], ["alerts", "replay"]):
        new = run_cli(*verb, "orders", "--project", folder)
        old = run_cli(*verb, "purchases", "--project", folder)
        assert old.stdout == new.stdout and old.returncode == new.returncode == 0, verb
        assert old.stderr == f"warning: purchases is now called orders\n{new.stderr}"
    assert "unknown KPI 'purchase'" in run_cli("query", "purchase", "--project", folder).stderr


def test_incidents_and_silences_go_by_a_former_name(shop: Builder) -> None:
    limit = 'thresholds: {critical: "< 5"}\n'
    shop.kpi("orders", BODY)
    shop.kpi("sales", BODY + limit)
    folder, now = str(shop.folder), ("--now", "2026-11-04T06:00:00Z")
    assert run_cli("sync", "--project", folder, *now).returncode == 0
    (shop.folder / "kpis" / "sales.yml").unlink()
    shop.kpi("revenue", f"{BODY}{limit}formerly: [sales]\n")
    assert run_cli("sync", "--project", folder, *now).returncode == 0
    new, old = (
        run_cli("alerts", "history", "--kpi", name, "--json", "--project", folder) for name in ("revenue", "sales")
    )
    assert {row["kpi"] for row in json.loads(new.stdout)} == {"sales", "revenue"} and old.stdout == new.stdout
    assert old.stderr == "warning: sales is now called revenue\n"
    silent = run_cli("alerts", "silence", "sales.thresholds", "--until", "2h", "--project", folder)
    assert silent.stdout.startswith("revenue.thresholds is silent until"), silent.stderr
