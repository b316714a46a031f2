"""A project of its own in which every type of KPI, a join, every transform and every kind of rule is used.

Its clock is New York's, its week begins on Sunday, its rows lie over the end of daylight saving time.
"""

from __future__ import annotations

import json
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from tests.net.product import NOW, Builder

FIRST = datetime(2026, 8, 2, tzinfo=UTC)
KINDS = ("view", "view", "view", "cart", "cart", "buy", "rest")
STEPS = "steps: [{name: v, filter: kind = 'view'}, {name: c, filter: kind = 'cart'}, {name: b, filter: kind = 'buy'}]\n"
DAYS = "grains: [day, week]"
WEEKS = "grains: [week, month]"

DATASETS = {
    "events": "source: events\nlabel: Events\ntime_dimension: at\nentity: user_id\nprimary_key: event_id\n"
    "dimensions: {platform: platform, big: amount > 5}\njoin: [{dataset: people, by: user_id, dimensions: [plan]}]",
    "people": "source: people\nlabel: People\ntime_dimension: at\nentity: user_id\nprimary_key: user_id\n"
    "dimensions: [plan]",
    "payments": "source: payments\ntime_dimension: at\nentity: user_id\nwatermark: whole_days\ndimensions: []",
    "answers": "source: answers\nlabel: Answers\ntime_dimension: at\nentity: user_id\ndimensions: [platform]",
    "views_only": "sql: SELECT * FROM events WHERE kind = 'view'\ntime_dimension: at\nentity: user_id\n"
    "dimensions: [platform]\nempty: unknown",
}
KPIS = {
    # simple
    "rows": "label: Rows\ndescription: All events.\narea: Use\nowner: ana@example.com\ndataset: events\nagg: count\n"
    "targets: [{path: {2026-08-02: 10, 2026-11-22: 24}, between: linear}]\n"
    "thresholds: {warning: '< -5% of target', critical: '< -20% of target'}\ngrains: [hour, day, week, month]\n"
    "alerts:\n  - {name: drop, compare: same_period_last_week, thresholds: {warning: '< -30%', critical: '< -60%'}, "
    "for: 2, by: [platform]}\n  - {name: unusual, compare: expected_range, sensitivity: sensitive}\n"
    "checks: [{min_n: 1}, {between: [0, 30]}]",
    "people_seen": f"dataset: events\nagg: count_distinct\nexpr: user_id\narea: Use\n{DAYS}\ntags: [north_star]\n"
    "alerts: [{name: behind, compare: previous_period, thresholds: {critical: '< -50%'}, min_volume: 5, "
    "no_data: ok}]",
    "spent": f"dataset: events\nagg: sum\nexpr: amount\nfilter: kind = 'buy'\nformat: currency EUR\narea: Money\n"
    f"{DAYS}\n"
    "transforms: [{rolling: {periods: 7, agg: mean, as: trend}}, {shift: {periods: 7, as: week_before}}]\n"
    "alerts: [{name: trend, compare: value, of: trend, thresholds: {warning: '< 2', warning_recovery: '> 3'}}]",
    "mean_amount": f"dataset: events\nagg: avg\nexpr: amount\narea: Money\n{DAYS}",
    "least": f"dataset: events\nagg: min\nexpr: amount\n{DAYS}",
    "greatest": f"dataset: events\nagg: max\nexpr: amount\n{DAYS}\nstatus: draft",
    "middle": f"dataset: events\nagg: median\nexpr: amount\n{DAYS}",
    "p90": f"dataset: events\nagg: percentile\npercentile: 0.9\nexpr: amount\nformat: duration\n{DAYS}",
    "first_amount": f"dataset: events\nagg: first\nexpr: amount\n{DAYS}",
    "last_amount": f"dataset: events\nagg: last\nexpr: amount\n{DAYS}",
    "own_sql": f"dataset: events\nsql: sum(amount) / nullif(count(DISTINCT user_id), 0)\n{DAYS}",
    "seen_7": f"dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days\n{DAYS}\n"
    "alerts: [{name: shrinks, compare: previous_period, thresholds: {warning: '< -10%'}}]",
    "typical_5": f"dataset: events\nagg: median\nexpr: amount\nwindow: 5 days\nperiod_agg: mean\n{DAYS}",
    "balance": f"dataset: events\nagg: sum\nexpr: amount\nsemi_additive: {{pick: last, per: user_id}}\n"
    f"period_agg: exact\n{DAYS}",
    "lowest": f"dataset: events\nagg: sum\nexpr: amount\nsemi_additive: {{pick: min}}\n{DAYS}",
    "by_plan": "dataset: events\nagg: count\nfilter: kind = 'buy'\ndimensions: [plan, big]\ngrain: week\n"
    f"{WEEKS}\nalerts: [{{name: plans, compare: value, thresholds: {{critical: '< 2'}}, by: [plan, big]}}]",
    "looks": "dataset: views_only\nagg: count\ngrain: week\ngrains: [week, month]",
    # ratio, derived, cumulative
    "buy_share": f"type: ratio\ndataset: events\nnumerator: {{agg: count, filter: kind = 'buy'}}\n"
    f"denominator: {{agg: count}}\nformat: percent\narea: Money\ngrain: week\n{WEEKS}\n"
    "thresholds: {warning: '< 16%', critical: '< 10%'}\ntargets: [{value: 0.15}]\n"
    "alerts: [{name: points, compare: same_period_last_year, thresholds: {warning: '< -2pp'}}, "
    "{name: missed, compare: target}]",
    "spent_per_person": f"type: ratio\nnumerator: spent\ndenominator: people_seen\nformat: currency EUR\n{DAYS}",
    "growth": "type: derived\nexpr: '{people_seen} / {people_seen} offset 1 week - 1'\ngrain: week\nformat: percent\n"
    f"{WEEKS}\ntransforms: [{{scale: {{factor: 100}}}}]",
    "spent_to_date": "type: cumulative\ndataset: events\nmeasure: {agg: sum, expr: amount, filter: kind = 'buy'}\n"
    f"grain_to_date: month\nformat: currency EUR\narea: Money\ntargets: [{{value: 300}}]\n{DAYS}",
    "ever_seen": f"type: cumulative\ndataset: events\nmeasure: {{agg: count_distinct, expr: user_id}}\n{DAYS}",
    # who is followed
    "activation": "type: conversion\ndataset: people\nconversion: {dataset: events, filter: kind = 'buy'}\n"
    f"window: 7 days\ngrain: week\nformat: percent\narea: Growth\nlabel: Activation\n{WEEKS}",
    "carts": "type: conversion\ndataset: events\nof: events\nbase: kind = 'view'\nconversion: kind = 'cart'\n"
    f"window: 36 hours\n{DAYS}",
    "converted": "type: conversion\ndataset: people\ncalculation: count\nconversion: {dataset: payments}\n"
    f"grain: week\n{WEEKS}",
    "funnel": f"type: funnel\ndataset: events\nwindow: 4 days\ngrain: week\narea: Growth\n{WEEKS}\n{STEPS}",
    "attempts": f"type: funnel\ndataset: events\nwindow: 2 days\nper: attempt\n{DAYS}\n{STEPS}",
    "strict": f"type: funnel\ndataset: events\nwindow: 4 days\norder: strict\ngrain: week\n{WEEKS}\n{STEPS}",
    "to_pay": "type: funnel\ndataset: people\nwindow: 6 days\nsteps: [{name: s}, {name: p, dataset: payments}, "
    "{name: b, dataset: events, filter: kind = 'buy'}]\ngrain: month\ngrains: [month]",
    "day_3": "type: retention\ndataset: people\nreturn: {dataset: events}\nunit: day\nat: 3\ncurve: 5\ngrain: week\n"
    f"{WEEKS}",
    "week_1": "type: retention\ndataset: events\nstart: kind = 'view'\nunit: week\nat: 1\ncurve: 4\ngrain: week\n"
    f"count_from: start\nlabel: Week 1\narea: Growth\n{WEEKS}",
    "again": "type: retention\ndataset: events\ncohort: recurring\nunit: week\nat: 2\ncurve: 4\nmode: rolling\n"
    f"grain: week\n{WEEKS}",
    "life": f"type: lifecycle\ndataset: events\nactivity: kind <> 'rest'\ngrain: week\nlabel: Life\narea: Use\n{WEEKS}",
    "sticky": "type: stickiness\ndataset: events\nlong: week\ngrain: week\narea: Use\ngrains: [week]",
    "nps": f"type: survey\ndataset: answers\nscore: score\ncomment: comment\ngrain: week\narea: Voice\n{WEEKS}\n"
    "thresholds: {critical: '< -40'}",
    "csat": f"type: survey\ndataset: answers\nscore: score\nscale: csat\ngrain: week\n{WEEKS}",
    "ces": f"type: survey\ndataset: answers\nscore: score\nscale: ces\nfilter: platform = 'web'\ngrain: week\n{WEEKS}",
    "repeat": "type: sql\ndataset: events\nmaturity: 3 days\ngrain: week\ngrains: [week]\nformat: percent\nsql: |\n"
    "  SELECT period, platform, count(*) FILTER (n > 1) AS numerator, count(*) AS denominator FROM (\n"
    "    SELECT date_trunc('week', at) AS period, platform, user_id, count(*) AS n FROM events GROUP BY ALL\n"
    "  ) GROUP BY ALL",
    # transforms
    "moved": "dataset: events\nagg: sum\nexpr: amount\ngrain: week\ngrains: [week]\ntransforms:\n"
    "  - fill: {method: previous}\n  - cumulative: {as: so_far}\n  - difference: {periods: 1, as: step}\n"
    "  - percent_change: {periods: 1, as: growth}\n  - ewm: {halflife: 3, as: smooth}\n"
    "  - above: {level: 80, as: high}",
}  # fmt: skip
SOURCES = (
    "{name: app, type: sql, table: events, url: 'sqlite:///${KPI_DATA}/../files/app.db', primary_key: event_id, "
    "cursor: arrived_at, load: merge}",
    "{name: people, type: files, table: people, path: files/people.csv, load: replace, "
    "types: {user_id: BIGINT, at: TIMESTAMP}}",
    "{name: payments, type: files, table: payments, path: 'files/payments-*.csv', load: append}",
    "{name: answers, type: files, table: answers, path: files/answers.jsonl, load: replace}",
)
ABOVE = '''"""A transform of the project's own."""


def above(values, *, level: float):
    """1 where the value is above the level, else 0."""
    return (values > level).astype(float).where(values.notna())
'''
LAUNCH = (
    "name: wizard\nlabel: Wizard\nrollout: [{on: 2026-10-05, share: 0.5}, {on: 2026-10-12, share: 1.0}]\n"
    "owner: ana@example.com\nhypothesis: A wizard sells more.\naudience: platform = 'web'\n"
    "control: platform != 'web'\nsuccess: [{kpi: buy_share, expect: +2pp}]\n"
    "guardrails: [{kpi: nps}]\nfeedback: nps\n"
    "adoption: {dataset: events, used: kind = 'cart'}\n"
    "go_to_market: [{audience: All, message: It sells, channel: Mail, done: true}]\n"
)


def build(folder: Path) -> Builder:
    """The project, not synced."""
    project = Builder(folder)
    project.settings("name: Types\ntimezone: America/New_York\nweek_start: sunday\ncurrency: EUR\nholidays: US\n")
    for source in SOURCES:
        project.source(f"- {source}")
    for name, text in DATASETS.items():
        project.write("datasets", name, f"name: {name}\n{text}\n")
    for name, text in KPIS.items():
        project.kpi(name, text)
    project.write("transforms", "above", ABOVE)
    project.write("launches", "wizard", LAUNCH)
    _write_rows(folder, NOW)
    return project


def _write_rows(folder: Path, until: datetime) -> None:
    """What had arrived by then: one row in twenty is a week late."""
    rng = random.Random(7)
    files, end = folder / "files", datetime(2026, 11, 23, 2, tzinfo=UTC)
    events, minutes = [], int((end - FIRST).total_seconds() // 60)
    for number in range(2400):
        at = FIRST + timedelta(minutes=10 * rng.randrange(minutes // 10))
        late = rng.random() < 0.05
        row = (number, at, rng.choice([*range(1, 60), None]), rng.choice(KINDS),
               rng.choice(["web", "web", "ios", None]), rng.choice([1.0, 2.5, 7.0, 4.25, 0.25, None]))  # fmt: skip
        arrived = at + timedelta(days=7 * late)
        if arrived < until:
            events.append((*row, f"{arrived:%Y-%m-%d %H:%M:%S}"))
    with sqlite3.connect(files / "app.db") as connection:
        connection.execute("DROP TABLE IF EXISTS events")
        connection.execute("CREATE TABLE events (event_id INTEGER, at TIMESTAMP, user_id INTEGER, kind TEXT, "
                           "platform TEXT, amount REAL, arrived_at TIMESTAMP)")  # fmt: skip
        rows = [(n, f"{at:%Y-%m-%d %H:%M:%S}", *rest) for n, at, *rest in events]
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    people = [{"user_id": str(n), "at": f"{FIRST + timedelta(days=rng.randrange(100), minutes=n):%Y-%m-%dT%H:%M:%S}",
               "plan": rng.choice(["free", "pro", ""])} for n in range(1, 60)]  # fmt: skip
    people += [{"user_id": "x9", "at": "2026-10-01T00:00:00", "plan": "free"},
               {"user_id": "61", "at": "yesterday", "plan": "pro"}]  # fmt: skip
    pd.DataFrame(people).to_csv(files / "people.csv", index=False)
    paid = [(FIRST + timedelta(days=rng.randrange(112)), rng.randrange(1, 60)) for _ in range(80)]
    for month in range(8, 12):
        lines = [f"{at:%Y-%m-%d},{user}" for at, user in paid if at.month == month and at < until]
        (files / f"payments-{month:02}.csv").write_text("\n".join(["at,user_id", *lines, ""]))
    answers = [
        {"at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "user_id": rng.randrange(1, 60),
         "platform": rng.choice(["web", "ios", None]), "score": rng.choice([*range(11), None]),
         "comment": rng.choice(["Good.", "Too slow <b>!", "", None, "Je l'aime – 好"])}
        for at in (FIRST + timedelta(minutes=rng.randrange(minutes)) for _ in range(400)) if at < until
    ]  # fmt: skip
    (files / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
