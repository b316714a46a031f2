"""A shop with five quarters of orders, its KPIs and its weekly snapshot."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from jobs.snapshots.archived import document_of
from jobs.snapshots.take import take_by_hand
from metrics.snapshots.document import Document
from tests.conftest import Builder

FIRST = pd.Timestamp("2025-08-04")  # a Monday
END = pd.Timestamp("2026-11-16")  # a Monday: week 46 is over
WEEKLY = """name: weekly
title: Shop in a week
sections:
  - {title: Sales, kpis: [revenue, orders, {kpi: orders, where: {platform: web}}]}
  - {title: Buyers, kpis: [paid_share, buyers]}
"""


def orders(end: pd.Timestamp, *, start: pd.Timestamp = FIRST, seed: int = 5) -> pd.DataFrame:
    """Orders through the day; weekends are quiet. A day has the same orders whatever days are asked for."""
    days = pd.date_range(start, end, inclusive="left")
    return pd.concat([_day(day, seed) for day in days], ignore_index=True)


@cache
def _day(day: pd.Timestamp, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng((seed, int(day.timestamp()) // 86400))
    count = 24 + int(rng.integers(0, 6)) - (8 if day.weekday() >= 5 else 0)
    return pd.DataFrame(
        {
            "at": day + pd.to_timedelta(rng.integers(0, 1440, count), unit="min"),
            "platform": np.resize(["web", "ios"], count),
            "amount": rng.integers(500, 4000, count) / 100,
            "paid": rng.random(count) < 0.8,
            "who": rng.integers(0, 400, count),
        }
    )


def write(project: Builder, frame: pd.DataFrame) -> None:
    frame.to_parquet(project.folder / "files" / "orders.parquet", index=False)


def shop_of(project: Builder, end: pd.Timestamp = END, *, settings: str = "", snapshot: str = WEEKLY) -> Builder:
    """The shop's files up to a day; not synced. snapshot: empty = no file, so nothing is taken by a sync."""
    project.settings(f"timezone: UTC\nname: Shop\n{settings}")
    write(project, orders(end))
    if not (project.folder / "sources.yml").exists():
        project.source("- {name: orders, type: files, table: orders, path: files/orders.parquet, load: replace}")
    project.write(
        "datasets",
        "orders",
        "name: orders\nlabel: Orders\nsource: orders\ntime_dimension: at\n"
        "watermark: whole_days\ndimensions: [platform]\nentity: who\n",
    )
    own = "dataset: orders\nowner: ana@example.com\n"
    project.kpi(
        "revenue",
        f"label: Revenue\n{own}agg: sum\nexpr: amount\ngrain: week\nformat: currency EUR\n"
        "targets: [{value: 3000}]\nthresholds: {warning: '< 3000', critical: '< 100'}",
    )
    project.kpi("orders", f"label: Orders\n{own}agg: count\ngrain: day")
    project.kpi(
        "paid_share",
        f"label: Paid share\n{own}type: ratio\nnumerator: {{agg: count, filter: paid}}\n"
        "denominator: {agg: count}\nformat: percent\ngrain: week\ntargets: [{value: 0.9}]",
    )
    project.kpi("buyers", f"label: Buyers\n{own}agg: count_distinct\nexpr: who\ngrain: month")
    if snapshot:
        (project.folder / "snapshots").mkdir(exist_ok=True)
        project.write("snapshots", "weekly", snapshot)
    return project


def morning(day: pd.Timestamp, hour: int = 6) -> datetime:
    at: datetime = (day + pd.Timedelta(hours=hour)).to_pydatetime()
    return at.replace(tzinfo=UTC)


NOW = morning(END)


@pytest.fixture(scope="module")
def made_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synced on the Monday after week 46, nothing taken: its snapshot's file comes afterwards. Read only."""
    project = shop_of(Builder(tmp_path_factory.mktemp("shop") / "project"), snapshot="")
    project.sync(now=NOW)
    (project.folder / "snapshots").mkdir()
    project.write("snapshots", "weekly", WEEKLY)
    return project.folder


@pytest.fixture
def shop(project: Builder, made_shop: Path) -> Builder:
    """A copy that a test may change."""
    shutil.copytree(made_shop, project.folder, symlinks=True, dirs_exist_ok=True)
    return project


def take(project: Builder, week: str = "", now: datetime = NOW, **options: Any) -> Document:
    return take_by_hand(project.open(), "", week, by="ana", now=now, **options)


def document(project: Builder, week: str = "", revision: int = 0) -> Document:
    return document_of(project.open(), "", week, revision)


def kpi(project: Builder, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--project", str(project.folder)])


def answered(project: Builder, *arguments: str) -> Any:
    done = kpi(project, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def made(made_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The shop's document, with a name for its generation that is the same in every run."""
    project = Builder(tmp_path_factory.mktemp("forms") / "project")
    shutil.copytree(made_shop, project.folder, symlinks=True, dirs_exist_ok=True)
    return take(project).model_copy(update={"generation": "20261116T060000-0123abcd"})


def many(made: Document, count: int = 24, title: str = "KPI {}") -> Document:
    """The document with so many KPIs, six under a heading."""
    known = [line for line in made.lines if not line.segment]
    lines = [
        known[n % len(known)].model_copy(update={"kpi": f"kpi_{n}", "label": title.format(n)}) for n in range(count)
    ]
    section = made.sections[0]
    parts = [tuple(lines[n : n + 6]) for n in range(0, count, 6)]
    sections = [section.model_copy(update={"title": f"Part {n}", "lines": part}) for n, part in enumerate(parts)]
    return made.model_copy(update={"sections": tuple(sections)})
