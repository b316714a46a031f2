"""The real sync over every implementation: what it stores and what the engine answers is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jobs.project import project as composition
from metrics.engine.query import Filter
from tests.conftest import NOW, Builder
from tests.warehouse.conftest import IMPLEMENTATIONS, Opened

KPIS = {
    "orders": "dataset: events\nagg: count\ngrains: [hour, day, week, month]",
    "revenue": "dataset: events\nagg: sum\nexpr: amount\nfilter: amount > 1\ngrains: [day]",
    "mean": "dataset: events\nagg: avg\nexpr: amount\ngrains: [day]",
    "buyers": "dataset: events\nagg: count_distinct\nexpr: who\ngrains: [day]",
    "running": "type: cumulative\nmeasure: {dataset: events, agg: count}\ngrains: [day]",
    "each": "type: ratio\nnumerator: revenue\ndenominator: orders\ngrains: [day]",
}


def shop(days: int, *, last: float = 2.0) -> pd.DataFrame:
    n = days * 4
    at = pd.date_range("2026-10-12", periods=n, freq="6h")
    amount = [float(i % 5) for i in range(n - 1)] + [last]
    return pd.DataFrame({"id": range(n), "at": at, "amount": amount, "who": [f"u{i % 7}" for i in range(n)]}).assign(
        plan=[["pro", "free", None][i % 3] for i in range(n)]
    )


def over(project: Builder, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """A project whose warehouse is this implementation."""
    monkeypatch.setattr(composition, "open_warehouse", lambda _url, data, **_: opened(data))
    project.rows("events", shop(20), primary_key="id", dimensions="[plan]", watermark="data")
    for name, text in KPIS.items():
        project.kpi(name, text)
    return project


def put(project: Builder, frame: pd.DataFrame) -> None:
    frame.to_parquet(project.folder / "files" / "events.parquet", index=False)


def state(project: Builder) -> dict[Any, Any]:
    """All that is stored as of each generation, and the states of the dataset."""
    reader = project.open().reader()
    found: dict[Any, Any] = {}
    for generation in reader.generations():
        number = generation.sequence
        found[number] = reader.dataset_states(number)
        for kpi in KPIS:
            for grain, dimension in (("hour", ""), ("day", ""), ("day", "plan"), ("week", ""), ("month", "")):
                series = reader.stored_values(kpi, grain, dimension, number)
                rows = series.frame.astype(object).where(series.frame.notna(), None) if series else None
                told = None if rows is None else [tuple(row) for row in rows.itertuples(index=False)]
                found[number, kpi, grain, dimension] = told
    return found


def run(project: Builder) -> dict[Any, Any]:
    """Four syncs: the first, more rows, nothing new, a source that fails; then what is stored."""
    project.settings("timezone: Europe/Berlin\n")
    assert project.sync().published
    put(project, shop(22, last=4.0))
    assert [r.status for r in project.sync().sources] == ["loaded"]
    assert not project.sync().published
    (project.folder / "files" / "events.parquet").write_text("this is no Parquet file")
    failed = project.sync()
    assert failed.failed and not failed.published
    return state(project)


@pytest.mark.slow
def test_stored_values_do_not_depend_on_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {name: run(over(Builder(tmp_path / name), opened, monkeypatch)) for name, opened in IMPLEMENTATIONS.items()}
    assert sum(rows is not None and len(rows) > 3 for rows in found["duckdb"].values()) > 20
    for key, expected in found["duckdb"].items():
        assert found["memory"][key] == expected, key


def test_answers_of_a_synced_project(project: Builder, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    over(project, opened, monkeypatch).sync()
    days = project.values("orders")
    assert len(days) == 20 and set(days.values()) == {4.0}
    assert project.values("orders", facts=True) == days
    by_plan = project.ask("orders", by="plan").frame.groupby("segment")["value"].sum()
    assert by_plan.to_dict() == {"(none)": 26.0, "free": 27.0, "pro": 27.0}
    assert project.values("orders", where=(Filter("plan", ("pro",)),), grain="total", facts=True) == {"total": 27.0}


def test_a_dry_run_and_a_changed_definition(project: Builder, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    over(project, opened, monkeypatch).sync()
    before = project.open().warehouse.live()
    put(project, shop(25))
    assert not project.sync(dry_run=True).published and project.open().warehouse.live() == before
    project.kpi("orders", "dataset: events\nagg: count\nfilter: amount > 2\ngrains: [day]")
    assert project.sync(now=NOW).published and len(project.values("orders")) == 25
    assert max(project.values("orders").values()) < 4
