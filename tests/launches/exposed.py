"""Generated products with an experiment: who was shown what, when, and what they did before and since."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tests.conftest import Builder

START = pd.Timestamp("2026-10-05")
DATASETS = {"shown": "[arm]", "buys": "[shop]", "visits": "[shop]"}
KPIS = {
    "revenue": "dataset: buys\nagg: sum\nexpr: amount\nformat: '0.00'",
    "orders": "dataset: buys\nagg: count",
    "buyers": "dataset: buys\nagg: count_distinct\nexpr: who",
    "order_value": "dataset: buys\nagg: avg\nexpr: amount\nformat: '0.00'",
    "per_visit": "type: ratio\ndataset: buys\nnumerator: {agg: sum, expr: amount}\n"
    "denominator: {dataset: visits, agg: count}\nformat: '0.00'",
    "bought": "type: conversion\ndataset: visits\nbase: ''\nconversion: {dataset: buys}\nwindow: 3 days",
    "nps": "type: survey\ndataset: visits\nscore: answer",
    "back": "type: retention\ndataset: visits\nunit: day\nat: 2",
}


@dataclass
class World:
    """shown: who, at, arm. buys: who, at, amount. visits: who, at, answer (0..10 or none)."""

    shown: pd.DataFrame
    buys: pd.DataFrame
    visits: pd.DataFrame


def world(
    seed: int, people: int = 900, *, lift: float = 1.0, days: int = 28, hostile: bool = False, share: float = 0.5
) -> World:
    """People who buy and visit, each at their own rate, 30 days before START and `days` after."""
    rng = np.random.default_rng(seed)
    who = np.array([f"p{i}" for i in range(people)])
    rate = rng.gamma(1.5, 0.12, people)
    treated = rng.random(people) < share
    shown_at = START + pd.to_timedelta(rng.integers(0, 10 * 86400, people), unit="s")
    names = ('it\'s "b"; DROP TABLE x --', "ctrl ä") if hostile else ("new", "control")
    shown = pd.DataFrame({"who": who, "at": shown_at, "arm": np.where(treated, *names)})
    again = shown.sample(frac=0.3, random_state=seed).assign(at=lambda f: f["at"] + pd.Timedelta(days=2))
    frames = {}
    for name, more in (("buys", 1.0), ("visits", 2.5)):
        rows = []
        for day in range(-30, days):
            at = START + pd.Timedelta(days=day)
            up = np.where(treated & (shown_at.to_numpy() <= (at + pd.Timedelta(days=1)).to_datetime64()), lift, 1.0)
            count = rng.poisson(rate * more * up)
            owner = np.repeat(np.arange(people), count)
            seconds = pd.to_timedelta(rng.integers(0, 86400, len(owner)), unit="s")
            rows.append(pd.DataFrame({"who": who[owner], "at": at + seconds}))
        frames[name] = pd.concat(rows, ignore_index=True)
    buys = frames["buys"].assign(amount=np.round(rng.lognormal(2, 1, len(frames["buys"])), 2), shop="a")
    answer = pd.array(rng.integers(0, 11, len(frames["visits"])), dtype="Int64")
    answer[rng.random(len(answer)) < 0.6] = pd.NA
    visits = frames["visits"].assign(answer=answer, shop="a")
    return World(pd.concat([shown, again], ignore_index=True), buys, visits)


def written(project: Builder, made: World, exposure: str, more: str = "", kpis: tuple[str, ...] = tuple(KPIS)) -> None:
    """The world as a project with a launch of all KPIs."""
    for table, dimensions in DATASETS.items():
        project.rows(table, getattr(made, table), entity="who", dimensions=dimensions, watermark="whole_days")
    for name in kpis:
        project.kpi(name, f"{KPIS[name]}\ngrains: [day]\ngrain: day\ndimensions: []")
    named = ", ".join(f"{{kpi: {name}}}" for name in kpis)
    project.write(
        "launches", "wizard", f"name: wizard\non: {START:%Y-%m-%d}\nsuccess: [{named}]\nexposure: {exposure}\n{more}\n"
    )
