"""A small shop: five quarters of orders, alerts, a launch, restated weeks, files that are wrong."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from tests.net.product import NOW, Builder

FIRST = datetime(2025, 8, 4, tzinfo=UTC)  # a Monday
EARLIER = datetime(2026, 11, 16, 6, tzinfo=UTC)
SALE = datetime(2026, 10, 5, tzinfo=UTC)
OWN = "dataset: orders\nowner: ana@example.com\n"
KPIS = {
    "revenue": f"label: Revenue\narea: Sales\n{OWN}agg: sum\nexpr: amount\ngrain: week\nformat: currency EUR\n"
    "targets: [{value: 3000}]\nthresholds: {warning: '< 3000', critical: '< 2000'}",
    "orders": f"label: Orders\narea: Sales\n{OWN}agg: count\ngrain: day\n"
    "grains: [hour, day, week, month, quarter, year]\n"
    "alerts:\n  - {name: few, compare: value, thresholds: {warning: '< 8', critical: '< 5'}, by: [platform]}\n"
    "  - {name: unusual, compare: expected_range}\n"
    "  - {name: year, compare: same_period_last_year, thresholds: {critical: '< -40%'}}",
    "paid_share": f"label: Paid share\narea: Sales\n{OWN}type: ratio\nnumerator: {{agg: count, filter: paid}}\n"
    "denominator: {agg: count}\nformat: percent\ngrain: week\ntargets: [{value: 0.9}]\n"
    "thresholds: {warning: '< -5% of target'}",
    "buyers": f"label: Buyers\narea: People\n{OWN}agg: count_distinct\nexpr: who\ngrain: month",
}
WEEKLY = """name: weekly
title: Shop in a week
sections:
  - {title: Sales, kpis: [revenue, orders, {kpi: orders, where: {platform: web}}]}
  - {title: Buyers, kpis: [paid_share, buyers]}
schedule: {send: by_hand}
recipients: [leads]
"""
ALL = "name: areas\ntitle: By area\nschedule: {wait: 1d}\n"
MARKS = {
    "sale": "label: Sale\nkind: campaign\non: 2026-11-02\nuntil: 2026-11-05\narea: Sales\n",
    "outage": "label: Outage\nkind: incident\non: 2026-09-14\nkpis: [orders]\n",
    "checkout": "label: Checkout\non: 2026-10-05\naudience: platform = 'web'\ncontrol: platform != 'web'\n"
    "success: [{kpi: orders, expect: +20%}]\nguardrails: [{kpi: paid_share, limit: '> 70%'}]\n"
    "owner: ana@example.com\n",
}


def build(folder: Path) -> Builder:
    """The shop on the Monday after week 46."""
    project = Builder(folder)
    project.settings("timezone: UTC\nname: Shop\nholidays: DE\nsync_every: 1d\n"
                     "contact_points: [{name: leads, url: 'json://127.0.0.1:9/none'}]\n")  # fmt: skip
    project.source("- {name: orders, type: files, table: orders, path: files/orders.parquet, load: replace}")
    project.write("datasets", "orders", "name: orders\nlabel: Orders\nsource: orders\ntime_dimension: at\n"
                  "watermark: whole_days\ndimensions: [platform]\nentity: who\n")  # fmt: skip
    for name, text in KPIS.items():
        project.kpi(name, text)
    for name, text in MARKS.items():
        project.write("launches", name, f"name: {name}\n{text}")
    (folder / "snapshots").mkdir()
    project.write("snapshots", "weekly", WEEKLY)
    project.write("snapshots", "areas", ALL)
    _write_rows(folder, EARLIER)
    return project


def more(project: Builder) -> None:
    """A week later, with late rows and a changed definition."""
    _write_rows(project.folder, NOW)
    text = KPIS["paid_share"].replace("filter: paid", "filter: paid AND amount > 8")
    project.kpi("paid_share", text + "\nchanges: [{on: 2026-11-18, by: ben, why: small ones do not count}]")


def spoil(project: Builder) -> None:
    """Files that are wrong, each in its way; what was published stays."""
    project.kpi("revenue", KPIS["revenue"].replace("label:", "lable:"))
    project.kpi("typo", f"{OWN}agg: cuont")
    project.kpi("lost", "dataset: nowhere\nagg: count")
    project.kpi("trial", f"label: Trial\n{OWN}agg: max\nexpr: amount\nstatus: draft")
    project.write("launches", "sale", f"name: sale\n{MARKS['sale']}kpis: [nothing]\n")


def _write_rows(folder: Path, until: datetime) -> None:
    """Orders that had arrived by then: of the last days, some come a day late."""
    rows = []
    for number in range((NOW - FIRST).days):
        rng, day = random.Random(1000 + number), FIRST + timedelta(days=number)
        count = 24 + rng.randrange(6) - (8 if day.weekday() >= 5 else 0)
        for position in range(count + (6 if day >= SALE else 0)):
            web = position % 2 == 0 or position >= count  # the new checkout sells on the web
            row = {
                "at": day + timedelta(minutes=rng.randrange(1440)),
                "platform": "web" if web else "ios",
                "amount": rng.randrange(500, 4000) / 100,
                "paid": rng.random() < 0.8,
                "who": rng.randrange(400),
            }
            if day + timedelta(days=2 if rng.random() < 0.1 else 1) <= until:
                rows.append(row)
    frame = pd.DataFrame(rows)
    frame["at"] = frame["at"].dt.tz_localize(None)
    frame.to_parquet(folder / "files" / "orders.parquet", index=False)
