"""Rows of people, and the KPIs of every type that follows them: what several tests count by hand or compile."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pandas as pd

from tests.conftest import Builder

KINDS = ("view", "view", "cart", "cart", "buy", "rest")
DAY, US = pd.Timedelta(days=1), pd.Timedelta(microseconds=1)
Row = dict[str, Any]
SCALES = {"nps": (0, 7, 9, 10), "csat": (1, 3, 4, 5), "ces": (1, 4, 5, 7)}

STEPS = "steps: [{name: v, filter: kind = 'view'}, {name: c, filter: kind = 'cart'}, {name: b, filter: kind = 'buy'}]\n"
KPIS = {
    "convert": "type: conversion\ndataset: events\nbase: kind = 'view'\nconversion: kind = 'buy'\nwindow: 3 days",
    "convert_ever": "type: conversion\ndataset: signups\nconversion: {dataset: events, filter: kind = 'buy'}",
    "convert_count": "type: conversion\ndataset: signups\ncalculation: count\nwindow: 36 hours\n"
    "conversion: {dataset: events, filter: kind = 'cart'}",
    "pay": "type: conversion\ndataset: signups\nconversion: {dataset: payments}\nwindow: 5 days",
    "buys_again": "type: conversion\ndataset: events\nbase: kind = 'buy'\nconversion: kind = 'buy'\nwindow: 20 days",
    "credit": "type: conversion\ndataset: events\nof: events\nbase: kind = 'view'\nconversion: kind = 'buy'\n"
    "window: 2 days",
    "funnel": f"type: funnel\ndataset: events\nwindow: 4 days\n{STEPS}",
    "funnel_ever": f"type: funnel\ndataset: events\n{STEPS}",
    "attempts": f"type: funnel\ndataset: events\nwindow: 2 days\nper: attempt\n{STEPS}",
    "strict": f"type: funnel\ndataset: events\nwindow: 4 days\norder: strict\n{STEPS}",
    "to_pay": "type: funnel\ndataset: signups\nwindow: 6 days\nsteps: [{name: s}, {name: p, dataset: payments}, "
    "{name: b, dataset: events, filter: kind = 'buy'}]",
    "day_3": "type: retention\ndataset: signups\nreturn: {dataset: events}\nunit: day\nat: 3\ncurve: 5",
    "week_1": "type: retention\ndataset: events\nstart: kind = 'view'\nunit: week\nat: 1\ncurve: 4",
    "own_week_1": "type: retention\ndataset: events\nunit: week\nat: 1\ncurve: 4\ncount_from: start",
    "again": "type: retention\ndataset: events\ncohort: recurring\nunit: week\nat: 2\ncurve: 4",
    "stays": "type: retention\ndataset: signups\nreturn: {dataset: events}\nunit: week\nat: 1\ncurve: 4\nmode: rolling",
    "life": "type: lifecycle\ndataset: events\nactivity: kind <> 'rest'",
    "sticky": "type: stickiness\ndataset: events\nlong: week",
    "nps": "type: survey\ndataset: answers\nscore: score",
    "csat": "type: survey\ndataset: answers\nscore: score\nscale: csat",
    "ces": "type: survey\ndataset: answers\nscore: score\nscale: ces\nfilter: platform = 'web'",
    "balance": "dataset: events\nagg: sum\nexpr: amount\nsemi_additive: {pick: last, per: user_id}\nperiod_agg: exact",
    "lowest": "dataset: events\nagg: sum\nexpr: amount\nsemi_additive: {pick: min}\nperiod_agg: exact",
    "typical": "dataset: events\nagg: median\nexpr: amount\nwindow: 5 days",
}


class World:
    """A project and its rows. marks: dataset → UTC, naive: complete up to here."""

    def __init__(self, project: Builder, zone: str, rows: dict[str, list[Row]], marks: dict[str, pd.Timestamp]) -> None:
        self.project, self.zone, self.rows, self.marks = project, zone, rows, marks


def local(at: pd.Timestamp, zone: str) -> pd.Timestamp:
    return at.tz_localize("UTC").tz_convert(zone).tz_localize(None)


def instant(at: pd.Timestamp, zone: str) -> pd.Timestamp:
    return at.tz_localize(zone).tz_convert("UTC").tz_localize(None)


def draw(seed: int) -> dict[str, list[Row]]:
    rng = random.Random(seed)
    begin = pd.Timestamp("2026-09-20")
    events: list[Row] = []
    for number in range(520):
        day = rng.choice([*range(0, 24), *range(29, 56)])
        at = begin + timedelta(days=day, minutes=10 * rng.randrange(144))
        if events and rng.random() < 0.12:
            at = rng.choice(events)["at"]  # the very moment of another
        events.append(
            {
                "event_id": number,
                "at": at,
                "user_id": rng.choice([*range(1, 40), None]),
                "kind": rng.choice(KINDS),
                "platform": rng.choice(["web", "web", "ios", None]),
                "amount": rng.choice([1.0, 2.5, 7.0, -3.0, None]),
            }
        )
    events += [{**row, "event_id": 1000 + i} for i, row in enumerate(rng.sample(events, 15))]
    rng.shuffle(events)
    signups = [
        {
            "event_id": i,
            "at": begin + timedelta(minutes=rng.randrange(54 * 1440)),
            "user_id": rng.randrange(1, 45),
            "platform": rng.choice(["web", "ios", None]),
        }
        for i in range(60)
    ]
    payments = [
        {"event_id": i, "at": (begin + timedelta(days=rng.randrange(56))).normalize(), "user_id": rng.randrange(1, 45)}
        for i in range(50)
    ]
    answers = [
        {
            "event_id": i,
            "at": begin + timedelta(minutes=rng.randrange(55 * 1440)),
            "user_id": rng.randrange(1, 45),
            "platform": rng.choice(["web", "ios", None]),
            "score": rng.choice([*range(-1, 12), None]),
        }
        for i in range(150)
    ]
    return {"events": events, "signups": signups, "payments": payments, "answers": answers}
