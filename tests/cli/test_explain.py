"""`kpi sync --explain`: what a refresh read, for which KPIs."""

from __future__ import annotations

import json
import os

import pandas as pd

from tests.conftest import Builder, run_cli


def test_the_plan_names_scans_and_what_each_kpi_asked_for_alone(project: Builder) -> None:
    moments = pd.date_range("2026-11-02", periods=40, freq="7h")
    rows = pd.DataFrame({"at": moments, "platform": "web", "user_id": range(40), "ms": range(40)})
    project.rows("events", rows, dimensions="[platform]", entity="user_id")
    for name, text in {"n": "agg: count", "low": "agg: min\nexpr: ms", "p50": "agg: median\nexpr: ms"}.items():
        project.kpi(name, f"dataset: events\n{text}\ngrains: [day]")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: user_id")
    folder = str(project.folder)
    plan = json.loads(run_cli("sync", "--explain", "--json", "--project", folder).stdout)["plan"]
    sums, people = plan["scans"]
    assert (sums["what"], sums["kpis"], sums["counts"], sums["dimensions"]) == ("sums", ["low", "n"], 2, ["platform"])
    assert (people["what"], people["kpis"]) == ("people", ["people"]) and sums["start"] == "2026-11-02"
    alone = {one["kpi"]: one["statements"] for one in plan["kpis"]}
    assert alone == {"low": 0, "n": 0, "people": 0, "p50": 2}  # of all, and by platform
    assert all(one["touched"] == [] for one in plan["kpis"]) and sums["statements"] == 2
    more = pd.DataFrame({"at": [pd.Timestamp("2026-11-14 01:00")], "platform": "web", "user_id": 9, "ms": 1})
    path = project.folder / "files" / "events.parquet"
    pd.concat([rows, more]).to_parquet(path, index=False)
    os.utime(path, (2**31, 2**31))
    told = run_cli("sync", "--explain", "--project", folder).stdout
    assert "2026-11-13 to now" in told and "read for several KPIs at once" in told
    assert json.loads(run_cli("sync", "--explain", "--json", "--project", folder).stdout)["plan"] == {
        "scans": [],
        "kpis": [],
        "rollups": [],
    }


def test_the_plan_names_roll_ups(project: Builder) -> None:
    moments = pd.to_datetime("2026-10-01") + pd.to_timedelta(range(24_000), unit="min")
    rows = pd.DataFrame({"at": moments, "platform": ["web", "ios"] * 12_000, "user_id": list(range(300)) * 80})
    project.rows("events", rows, dimensions="[platform]", entity="user_id")
    project.kpi("n", "dataset: events\nagg: count")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: user_id")
    folder = str(project.folder)
    told = json.loads(run_cli("sync", "--explain", "--json", "--project", folder).stdout)["plan"]["rollups"]
    found = [(one["what"], one["state"], one["dimensions"], one["kpis"]) for one in told]
    assert found == [("sums", "new", ["platform"], ["n"]), ("people", "new", ["platform"], ["people"])]
    assert "kept for filters and the next sync" in run_cli("sync", "--full", "--explain", "--project", folder).stdout
