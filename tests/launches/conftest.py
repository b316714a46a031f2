"""A product with a launch: people who act on the web and on phones, day by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from jobs.launches.scorecards import card_of
from metrics.launches.scorecard import KpiScore, Scorecard
from tests.conftest import Builder
from tests.fakes.server import impatient
from tests.launches.drafting import KPIS

FIRST = pd.Timestamp("2026-01-05")  # a Monday
LAUNCH = pd.Timestamp("2026-10-05")  # a Monday, 273 days later


def day(days: int, hour: int = 3) -> datetime:
    """The morning so many days after the launch: that many days are complete."""
    at: datetime = (LAUNCH + pd.Timedelta(days=days, hours=hour)).to_pydatetime()
    return at.replace(tzinfo=UTC)


def acts(end: pd.Timestamp, *, start: pd.Timestamp = FIRST, lift: float = 1.0, seed: int = 3) -> pd.DataFrame:
    """A row per platform and day at noon with how many acted: web is lifted from the launch on, phones are not."""
    rng, rows = np.random.default_rng(seed), []
    for number in range((end - start).days):
        at = start + timedelta(days=number)
        common = 1 + 0.1 * np.sin(number / 9) - (0.25 if at.weekday() >= 5 else 0)
        for platform, level in (("web", 1000.0), ("ios", 700.0), ("android", 500.0)):
            up = lift if platform == "web" and at >= LAUNCH else 1.0
            value = round(level * common * up * float(np.exp(rng.normal(0, 0.012))))
            rows.append({"at": at + timedelta(hours=12), "platform": platform, "v": value, "country": "DE"})
    return pd.DataFrame(rows)


def write_acts(project: Builder, frame: pd.DataFrame) -> None:
    frame.to_parquet(project.folder / "files" / "acts.parquet", index=False)


def product(project: Builder, frame: pd.DataFrame, *, settings: str = "", kpi: str = "") -> None:
    """Its settings, source, dataset and KPI `acted`."""
    project.settings(f"timezone: UTC\nname: Shop\n{settings}")
    write_acts(project, frame)
    if not (project.folder / "sources.yml").exists():
        project.source("- {name: acts, type: files, table: acts, path: files/acts.parquet, load: replace}")
    project.write(
        "datasets",
        "acts",
        "name: acts\nsource: acts\ntime_dimension: at\nwatermark: whole_days\ndimensions: [platform, country]\n",
    )
    project.kpi("acted", f"label: Acts\ndataset: acts\nagg: sum\nexpr: v\nowner: ana@example.com\n{kpi}")


def launch(project: Builder, text: str, name: str = "wizard") -> None:
    project.write("launches", name, f"name: {name}\nlabel: {name.capitalize()}\nowner: ana@example.com\n{text}\n")


WEB = "on: 2026-10-05\naudience: platform = 'web'\ncontrol: platform != 'web'\nsuccess: [{kpi: acted, expect: +8%}]"


def card(project: Builder, now: datetime, name: str = "wizard") -> Scorecard:
    return card_of(project.open(), name, now=now)


def score(project: Builder, now: datetime, name: str = "wizard") -> KpiScore:
    return card(project, now, name).scores[0]


def kpi(*arguments: str) -> Result:
    """`kpi …` in this process: a second and more per call cheaper than a new one."""
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def shop(project: Builder, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """A project with KPIs of two areas, whose clients pause for milliseconds."""
    impatient(monkeypatch)
    rows = pd.DataFrame({"at": pd.date_range("2026-08-01", "2026-11-22")})
    project.rows("t", rows)
    for name, text in KPIS.items():
        project.kpi(name, f"{text}\ngrain: day")
    return project
