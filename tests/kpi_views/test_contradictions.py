"""What pages and snapshots of random projects say: no sentence contradicts itself, whatever the numbers are."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from jobs.alerts.explained import open_incident
from jobs.project.project import Project, open_project
from jobs.snapshots.render import render
from jobs.snapshots.take import take_by_hand
from metrics.alerts.change import where_it_sits
from metrics.kpi_views.card import card, latest
from metrics.kpi_views.insight import insight
from metrics.kpi_views.kpi_page import kpi_page
from tests.alerts.test_where_it_sits import random_project
from tests.conftest import NOW, ROOT
from tests.sampling import SEED, cases

PROJECTS = cases(fast=1, slow=3, full=40)
DEMO_KPIS = sorted(p.stem for p in (ROOT / "metrics" / "definitions" / "kpis").glob("*.yml"))
NUMBER = r"[−-]?[$€£]?\d[\d,]*(?:\.\d+)?(?:[kKMB](?!\w))?(?:\s?(?:%|s\b|points?\b))?"
COMPARED = re.compile(rf"({NUMBER}) (?:is |was )?(?:→|above|below|over|under) ({NUMBER})")
NO_CHANGE = re.compile(r"[+−](?:0(?:\.0+)?)(?:%| points?)?(?![\d.,])")
ONE_OF_MANY = re.compile(r"(?<![\d.,])1 (?:\w+ )?(?:days|weeks|months|rows|points|KPIs|alerts|answers)\b")


def contradictions(text: str) -> list[str]:
    """Parts of a text that say two equal numbers differ, that nothing is a change, or that one is many."""
    same = [m[0] for m in COMPARED.finditer(text) if m[1].split() == m[2].split()]
    return same + NO_CHANGE.findall(text) + ONE_OF_MANY.findall(text)


@pytest.mark.parametrize(
    "text", ["5.0% is above 5.0%", "4.1% → 4.1%", "moved by +0.0 points", "$1.2k is below $1.2k", "1 days are missing"]
)
def test_a_contradiction_is_seen(text: str) -> None:
    assert contradictions(text)
    assert not contradictions("4.99% is below 5.00%, 4.1% → 4.2%, +0.04 points, 1 day, 21 days, 0.1 days")


def said(project: Project, name: str, now: datetime) -> Iterator[str]:
    """All sentences of a KPI's card and page."""
    context = project.context(now)
    own, page = card(context, name), kpi_page(context, name, range_="all")
    change = where_it_sits(context, name, (), open_incident(project, context, name, now=now))
    yield from (own.gap, own.change, own.status.why, own.notice, page.chart.note, page.so_far)
    if change is not None:
        yield from (change.sentence, change.told, *(block.line for block in change.blocks))
        yield insight(own, page.so_far, change.sentence, ordinary=change.folded)
    yield from (text for line in page.chart.lines for text in line.texts)


@pytest.mark.sampled(PROJECTS)
def test_nothing_that_a_random_project_says_contradicts_itself(tmp_path: Path) -> None:
    for number in range(PROJECTS):
        project, _, now = random_project(tmp_path / str(number), number)
        draw = random.Random(f"{SEED} {number}")
        context = project.context(now)
        for name in ("visits", "amount", "share"):  # a target that lies as near to the value as the value is not
            value = latest(context, context.catalogue.kpi(name)).value
            near = (value or 1.0) * (1 + draw.choice((-1, 1)) * draw.choice((0.02, 0.001, 0.00004)))
            path = project.folder / "kpis" / f"{name}.yml"
            path.write_text(f"{path.read_text()}\ntarget: {near!r}\ndirection: up_is_good\n")
        write_snapshot(project.folder)
        project = open_project(project.folder)
        for name in ("visits", "amount", "share", "done"):
            for text in said(project, name, now):
                assert not contradictions(text), (number, name, text)
        document = take_by_hand(project, "weekly", "", by="ana", now=now)
        for line in render(project, document, "markdown", now=now).decode().splitlines():
            assert not contradictions(line), (number, line)


@pytest.mark.parametrize("name", DEMO_KPIS)
def test_nothing_that_the_demo_says_contradicts_itself(demo_folder: Path, name: str) -> None:
    for text in said(open_project(demo_folder), name, NOW):
        assert not contradictions(text), text


def write_snapshot(folder: Path) -> None:
    """Of all KPIs of a random project."""
    (folder / "snapshots").mkdir(exist_ok=True)
    kpis = "[visits, amount, share, done]"
    (folder / "snapshots" / "weekly.yml").write_text(f"name: weekly\nsections: [{{title: All, kpis: {kpis}}}]\n")
