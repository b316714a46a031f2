"""The lines that docs/sources/<vendor>.md has for setting a vendor up, typed against its fake, fill all proposed KPIs.

Only the address and the keys are others. The values of each KPI equal a count by plain pandas (counted.py).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.clock import set_clock
from connectors.sources import amplitude as amplitude_source
from connectors.sources import mixpanel as mixpanel_source
from connectors.sources import stripe as stripe_source
from jobs.authoring.add_type import starters
from jobs.project.project import Project, open_project
from jobs.sync import sync
from metrics.engine.answer import answer
from metrics.engine.query import Query
from tests.conftest import NOW, ROOT, finished, run_cli
from tests.fakes import amplitude, ga4, github, mixpanel, posthog, stripe, zendesk
from tests.fakes.histories import History, history, subscription
from tests.fakes.server import Fake, impatient
from tests.sources.counted import balance, counted, paid

pytestmark = pytest.mark.breadth(1)
KEYS = {
    "POSTHOG_API_KEY": posthog.KEY,
    "MIXPANEL_PASSWORD": mixpanel.PASSWORD,
    "AMPLITUDE_API_KEY": amplitude.API_KEY,
    "AMPLITUDE_SECRET_KEY": amplitude.SECRET_KEY,
    "ZENDESK_TOKEN": zendesk.TOKEN,
    "STRIPE_KEY": stripe.KEY,
    "GITHUB_TOKEN": github.TOKEN,
}
VENDORS = ("posthog", "mixpanel", "amplitude", "stripe", "ga4", "zendesk", "github")
LEAST = {"day": 20, "week": 5, "month": 1}  # complete periods that are compared


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, and budgets of nobody."""
    impatient(monkeypatch)
    for source in (mixpanel_source, amplitude_source):
        monkeypatch.setattr(source, "LIMITS", ((100_000, 1.0),))
    monkeypatch.setattr(stripe_source, "RATE", ())


def lines(kind: str) -> list[str]:
    """What a page says to type."""
    found = re.search(
        r"<!-- set-up.*?-->\n```shell\n(.*?)```", (ROOT / f"docs/sources/{kind}.md").read_text(), re.DOTALL
    )
    assert found, kind
    return found[1].strip().splitlines()


@contextmanager
def typed(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[History, Project]]:
    """The project that the lines make, and what the fake held."""
    made = history(kind, NOW)
    with Fake(made.vendor.app) as fake:
        for line in lines(kind):
            word, *rest = shlex.split(line)
            if word == "export":
                for name in (pair.partition("=")[0] for pair in rest):
                    monkeypatch.setenv(name, KEYS[name])
                continue
            assert word == "kpi", line
            if rest[:2] == ["add", "source"]:
                rest = pointed(rest, fake.url, folder)
            done = run_cli(*rest, cwd=folder)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
        yield made, open_project(folder / "shop")


def pointed(rest: list[str], url: str, folder: Path) -> list[str]:
    """The line with the fake's address and, of ga4, its key's file."""
    key = folder / "ga4.json"
    key.write_text(ga4.key_file(url))
    rest = [f"key_file={key}" if part.startswith("key_file=") else part for part in rest]
    return [*rest, "--set", f"url={url}"]  # the last answer counts


@pytest.mark.parametrize("kind", VENDORS)
def test_the_lines_of_the_page_fill_every_kpi(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(lines(kind)) <= 4
    with typed(kind, tmp_path, monkeypatch) as (made, project):
        reader = project.reader()
        catalogue = project.catalogue(reader)
        assert catalogue.problems == () and 5 <= len(catalogue.kpis) <= 8
        wanted = counted(kind, made)
        assert sorted(wanted) == sorted(catalogue.kpis)
        for name in catalogue.kpis:
            series = answer(Query(name), catalogue, reader)
            whole = series.frame[series.frame["complete"]]
            for period, value in zip(whole["period"], whole["value"], strict=True):
                day, truth = f"{period:%Y-%m-%d}", wanted[name].get(f"{period:%Y-%m-%d}")
                told = None if pd.isna(value) else float(value)
                assert told == pytest.approx(truth) if truth is not None else not told, (name, day, told, truth)
            assert whole["value"].notna().sum() >= LEAST[series.grain], name
            last = whole.iloc[-1]  # filled, unless nothing happened in it that there would be a mean of
            assert pd.notna(last["value"]) or wanted[name].get(f"{last['period']:%Y-%m-%d}") is None, name
    written = "".join(path.read_text() for path in (tmp_path / "shop").rglob("*.yml"))
    assert not [key for key in KEYS.values() if key in written], "no key is in a file"


def test_every_type_that_is_set_up_by_questions_is_tested() -> None:
    assert {*starters()} >= {*VENDORS}


def test_money_of_several_currencies_is_not_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with typed("stripe", tmp_path, monkeypatch) as (made, project):
        vendor = made.vendor
        vendor.now += 86_400
        for number in range(3):
            more: Any = subscription(vendor, f"cus_x{number}", number, "eur")
            vendor.create("subscriptions", **{**more, "status": "active", "trial_end": None})
        now = NOW + pd.Timedelta(days=3)
        set_clock(now)
        vendor.now = int(now.timestamp())
        assert not finished(sync(project, now=now)).failed
        project = open_project(project.folder)
        reader = project.reader()
        frame = answer(Query("mrr", by="currency"), project.catalogue(reader), reader).frame
        whole = answer(Query("mrr"), project.catalogue(reader), reader).frame.set_index("period")["value"]
        evenings = balance(paid(made), pd.Timestamp(vendor.now, unit="s").normalize())
        last = max(day for day in evenings if day < pd.Timestamp(now.date()))
        for currency, there in evenings[last].groupby("currency"):
            row = frame[(frame["segment"] == currency.upper()) & (frame["period"] == last)]
            assert row["value"].iloc[0] == pytest.approx(there["amount"].sum()), currency
        assert pd.isna(whole[last]) and not pd.isna(whole[pd.Timestamp("2026-11-20")])
