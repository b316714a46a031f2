"""Dimensions that come over several joins, against pandas; what a join that is not needed may not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.errors import KpiError
from metrics.engine.query import Filter
from tests.conftest import NOW, Builder, run_cli

pytestmark = pytest.mark.breadth(3)

AT = pd.Timestamp("2026-11-02")


def world(project: Builder, seed: int = 1) -> dict[str, pd.DataFrame]:
    """Orders of people of teams of regions: some of each find nobody."""
    random = np.random.default_rng(seed)
    tables = {
        "regions": pd.DataFrame({"region_id": range(3), "zone": ["n", "s", None]}),
        "teams": pd.DataFrame({"team_id": range(5), "region_id": random.integers(0, 4, 5), "size": list("abbac")}),
        "people": pd.DataFrame({"user_id": range(8), "team_id": random.integers(0, 6, 8), "plan": list("xyxyxyxy")}),
        "orders": pd.DataFrame({"user_id": random.integers(0, 10, 60), "amount": random.integers(1, 9, 60)}),
    }
    extra: dict[str, dict[str, str]] = {
        "regions": {"primary_key": "region_id", "dimensions": "{zone: zone, north: \"zone = 'n'\"}"},
        "teams": {"primary_key": "team_id", "dimensions": "[size]", "join": "[{dataset: regions, by: region_id}]"},
        "people": {"primary_key": "user_id", "dimensions": "[plan]", "join": "[{dataset: teams, by: team_id}]"},
        "orders": {"entity": "user_id", "join": "[{dataset: people, by: user_id}]"},
    }
    tables = {name: frame.assign(at=AT + pd.to_timedelta(range(len(frame)), "h")) for name, frame in tables.items()}
    for name, frame in tables.items():
        project.rows(name, frame, **extra[name])
    return tables


def merged(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    found = tables["orders"]
    for name, key in (("people", "user_id"), ("teams", "team_id"), ("regions", "region_id")):
        found = found.merge(tables[name].drop(columns="at"), on=key, how="left")
    return found.assign(north=(found["zone"] == "n").where(found["zone"].notna()).map({True: "true", False: "false"}))


def totals(project: Builder, kpi: str, by: str, **options: Any) -> dict[str, float]:
    found = project.values(kpi, grain="total", by=by, **options)
    return {segment: value for (segment, _), value in found.items() if value}


@pytest.mark.breadth(2)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("facts", [False, True])
def test_dimensions_over_three_joins_are_those_of_pandas(project: Builder, seed: int, facts: bool) -> None:
    tables = world(project, seed)
    project.kpi("x", "dataset: orders\nagg: sum\nexpr: amount\ngrain: day")
    project.kpi("n", "dataset: orders\nagg: sum\nexpr: amount\nfilter: zone = 'n' AND plan = 'x'")
    project.kpi("q", "type: sql\ndataset: orders\nsql: SELECT at AS period, zone, amount AS value FROM orders")
    assert not project.sync().problems
    rows = merged(tables)
    for by in ("plan", "size", "zone", "north"):
        want = rows.groupby(rows[by].fillna("(none)"))["amount"].sum().to_dict()
        assert totals(project, "x", by, facts=facts) == want, by
        segment = next(iter(want))
        where = (Filter(by, (segment,)),)
        assert project.values("x", grain="total", where=where, facts=facts)["total"] == want[segment]
    by_zone = rows.groupby(rows["zone"].fillna("(none)"))["amount"].sum().to_dict()
    daily: dict[str, float] = {}
    for (segment, _), value in project.values("q", by="zone", facts=facts).items():
        daily[segment] = daily.get(segment, 0) + (value or 0)
    assert daily == by_zone
    chosen = rows[(rows["zone"] == "n") & (rows["plan"] == "x")]["amount"].sum()
    assert (project.values("n", grain="total", facts=facts)["total"] or 0) == chosen


def test_the_command_asks_over_several_joins(project: Builder) -> None:
    world(project)
    project.kpi("x", "dataset: orders\nagg: sum\nexpr: amount\ngrain: day")
    project.sync()
    for more in ([], ["--by", "zone"], ["--where", "size=a"]):
        done = run_cli("--project", str(project.folder), "query", "x", "--grain", "total", *more)
        assert done.returncode == 0, (more, done.stderr)
    plain = run_cli("--project", str(project.folder), "query", "x", "--grain", "total", "--sql").stdout
    assert "JOIN" not in plain, "what brings nothing of what is asked is not joined"


def test_a_far_table_that_changes_moves_the_numbers(project: Builder) -> None:
    tables = world(project)
    project.kpi("x", "dataset: orders\nagg: sum\nexpr: amount\ngrain: day")
    project.sync()
    tables["regions"] = tables["regions"].assign(zone=["s", "n", "w"])
    tables["regions"].to_parquet(project.folder / "files" / "regions.parquet", index=False)
    project.sync()
    rows = merged(tables)
    assert totals(project, "x", "zone") == rows.groupby(rows["zone"].fillna("(none)"))["amount"].sum().to_dict()


def test_a_far_key_that_repeats_is_refused_where_it_is_needed(project: Builder) -> None:
    tables = world(project)
    pd.concat([tables["regions"]] * 2).to_parquet(project.folder / "files" / "regions.parquet", index=False)
    project.kpi("x", "dataset: orders\nagg: sum\nexpr: amount\ngrain: day")
    project.sync()
    with pytest.raises(KpiError, match=r"region_id '.' has 2 rows in regions"):
        project.ask("x", grain="total", by="zone")
    assert project.values("x", grain="total")["total"] == tables["orders"]["amount"].sum()
    assert totals(project, "x", "plan") and totals(project, "x", "size")


def test_a_name_over_two_ways_is_not_borrowed_unless_it_is_listed(project: Builder) -> None:
    world(project)
    text = "name: orders\nsource: orders\ntime_dimension: at\n"
    both = "join: [{dataset: people, by: user_id}, {dataset: teams, by: user_id%s}]\n"
    project.kpi("x", "dataset: orders\nagg: sum\nexpr: amount")
    project.sync()

    def offered() -> tuple[str, ...]:
        catalogue = project.open().catalogue()
        return catalogue.dimensions_of(catalogue.kpi("x"))

    project.write("datasets", "orders", text + both % "")
    assert set(offered()) == {"plan", "size"}, "of its own a dataset lends before it passes on; zone has two ways"
    project.write("datasets", "orders", text + both % ", dimensions: [zone]")
    assert {"plan", "zone"} <= set(offered())


def test_datasets_that_borrow_of_each_other_lend_their_own(project: Builder) -> None:
    world(project)
    keys = "primary_key: user_id\ntime_dimension: at\n"
    for name, other, dimension in (("people", "mates", "tier: plan"), ("mates", "people", "squad: team_id")):
        own = f"name: {name}\nsource: people\n{keys}dimensions: {{{dimension}}}\n"
        project.write("datasets", name, f"{own}join: [{{dataset: {other}, by: user_id}}]\n")
    project.kpi("x", "dataset: people\nagg: count")
    project.kpi("y", "dataset: mates\nagg: count")
    assert not project.sync().problems
    catalogue = project.open().catalogue()
    assert [catalogue.dimensions_of(catalogue.kpi(name)) for name in "xy"] == [("tier", "squad"), ("squad", "tier")]
    assert totals(project, "x", "squad") and totals(project, "y", "tier") == {"x": 4, "y": 4}


def test_a_lender_whose_own_join_is_wrong_still_lends_what_it_has(project: Builder) -> None:
    world(project)
    wrong = "name: people\nsource: people\nprimary_key: user_id\ntime_dimension: at\ndimensions: [plan]\n"
    project.write("datasets", "people", wrong + "join: [{dataset: nowhere, by: team_id}]\n")
    project.kpi("x", "dataset: orders\nagg: sum\nexpr: amount\ngrain: day")
    project.sync(NOW)
    assert totals(project, "x", "plan")
    assert project.open().catalogue().definition("x")
