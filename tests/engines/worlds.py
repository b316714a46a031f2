"""Rows and KPIs of every type, the same in DuckDB and in another engine, and what both are asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from connectors.warehouse.contract import Reader
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.answer import answer
from metrics.engine.query import Filter, Query, Series
from tests.conftest import Builder
from tests.engine.followed import KPIS as FOLLOWED
from tests.engine.followed import draw

ZONE = "America/New_York"  # with a skipped and a doubled hour within the rows
FIRST, DAYS = date(2026, 9, 18), 62
VALUES = {
    "platform": ("web", "ios", "(none)"),
    "plan": ("pro", "free", "(none)"),
    "country": ("DE", "FR", "(none)"),
}
ENTITY = {"entity": "user_id", "primary_key": "event_id"}
KPIS = {
    **FOLLOWED,
    "n": "dataset: events\nagg: count",
    "known": "dataset: events\nagg: count\nexpr: amount\nfilter: kind IN ('buy', 'cart') AND platform IS NOT NULL",
    "people": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "total": "dataset: events\nagg: sum\nexpr: amount * 2",
    "mean": "dataset: events\nagg: avg\nexpr: amount",
    "median": "dataset: events\nagg: median\nexpr: amount",
    "p90": "dataset: events\nagg: percentile\npercentile: 0.9\nexpr: amount",
    "low": "dataset: events\nagg: min\nexpr: amount",
    "high": "dataset: events\nagg: max\nexpr: user_id",
    "first": "dataset: events\nagg: first\nexpr: amount",
    "last": "dataset: events\nagg: last\nexpr: amount",
    "active7": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days",
    "sum3": "dataset: events\nagg: sum\nexpr: amount\nwindow: 3 days",
    "mean3": "dataset: events\nagg: avg\nexpr: amount\nwindow: 3 days",
    "whole": "dataset: events\nsql: SUM(user_id) / COUNT(*)",  # of whole numbers, divided as DuckDB does
    "some": "dataset: events\nsql: COUNT(*) FILTER (WHERE amount > 1) + COUNT(DISTINCT kind)",
    "share": "type: ratio\nnumerator: {dataset: events, agg: count, filter: amount > 2}\ndenominator: n",
    "twice": 'type: derived\nexpr: "{total} / {people} + {n} offset 1 week"\ngrains: [day, week]',
    "running": "type: cumulative\nmeasure: {dataset: events, agg: count_distinct, expr: user_id}\ngrain_to_date: month",
    "so_far": "type: cumulative\nmeasure: {dataset: events, agg: sum, expr: amount}",
    "own": "type: sql\ndataset: events\nsql: |\n"
    "  SELECT date_trunc('day', \"at\") AS period, platform, count(*) AS value, count(*) AS n\n"
    "  FROM events GROUP BY ALL",
    "texts": "dataset: events\nagg: count\nfilter: lower(kind) = 'buy' OR upper(coalesce(platform, 'tv')) = 'WEB' "
    "OR length(kind) > 3 AND kind LIKE 'c%'",
    "maths": "dataset: events\nsql: SUM(abs(amount) + floor(amount) + ceil(amount)) / "
    "NULLIF(COUNT(amount), 0) + AVG(amount)",
    "middle": "dataset: events\nsql: median(amount) + quantile_cont(user_id, 0.25)",
    "parted": "dataset: events\nagg: count\nfilter: year(at) = 2026 AND quarter(at) = 4 AND month(at) > 9 "
    "AND day(at) < 20 AND minute(at) < 50",
    "spread": "dataset: events\nagg: max\nexpr: CASE WHEN amount > 0 THEN CAST(user_id AS DOUBLE) / 3 ELSE 0 END",
    "bills": "dataset: bills\nagg: sum\nexpr: price",  # decimals, at instants
    "paid": "dataset: bills\nagg: sum\nexpr: CAST(paid AS INTEGER)",
    "settled": "type: ratio\nnumerator: {dataset: bills, agg: count, filter: paid}\n"
    "denominator: {dataset: bills, agg: count}",
    "dear": "dataset: bills\nagg: percentile\npercentile: 0.75\nexpr: CAST(price AS DOUBLE)",
    "evening": "dataset: late\nagg: count\nfilter: hour(seen_at) >= 12",
    "orders": "dataset: orders\nagg: count",
    "spent": "dataset: orders\nagg: sum\nexpr: amount\nwindow: 4 days",
    "by_plan": "type: conversion\ndataset: orders\nbase: kind = 'view'\nconversion: kind = 'buy'\nwindow: 3 days",
}
DATASETS = {
    "orders": "source: events\ntime_dimension: at\nentity: user_id\nprimary_key: event_id\n"
    "dimensions: [platform]\njoin: [{dataset: people, by: user_id}]\n",
    # A SELECT, at times of another clock.
    "late": "sql: SELECT event_id, \"at\" AS seen_at, user_id, coalesce(platform, 'tv') AS platform FROM events\n"
    "time_dimension: seen_at\ntimezone: Asia/Kolkata\nentity: user_id\ndimensions: [platform]\n",
}


def tables() -> dict[str, pd.DataFrame]:
    frames = {name: pd.DataFrame(rows) for name, rows in draw(7).items()}
    frames["payments"]["at"] = frames["payments"]["at"].dt.date
    for frame in frames.values():
        frame["user_id"] = frame["user_id"].astype("Int64")
    rng = np.random.default_rng(5)
    at = pd.Timestamp("2026-09-20", tz="UTC") + pd.to_timedelta(rng.integers(0, 55 * 86400, 150), unit="s")
    frames["bills"] = pd.DataFrame(
        {
            "event_id": range(150),
            "at": at,
            "user_id": rng.integers(1, 45, 150),
            "platform": rng.choice(np.array(["web", "ios", None], dtype=object), 150),
            "price": [Decimal(int(cents)) / 100 for cents in rng.integers(1, 100_000, 150)],
            "paid": rng.choice(np.array([True, False, None], dtype=object), 150),
        }
    )
    return frames


def made(folder: Path, frames: Mapping[str, pd.DataFrame] | None = None) -> Builder:
    """The project, synced into DuckDB. frames: in place of `tables`."""
    project = Builder(folder)
    project.settings(f"timezone: {ZONE}\nweek_start: sunday\n")
    for name, frame in (tables() if frames is None else frames).items():
        dims = {} if name == "payments" else {"dimensions": "[platform]"}
        project.rows(name, frame, **ENTITY, **dims)
    people = pd.DataFrame(  # of 39 of the 44 users; each has a country, so that only a join leaves it unknown
        {
            "person_id": range(1, 40),
            "plan": ["pro", "free", None] * 13,
            "country": ["DE", "FR", "US"] * 13,
            "at": pd.Timestamp(FIRST),
        }
    )
    project.rows("people", people, primary_key="person_id", dimensions="[plan, country]")
    for name, text in DATASETS.items():
        project.write("datasets", name, f"name: {name}\n{text}")
    project.sync()  # of the rows alone: all that is asked is counted from them
    for name, text in KPIS.items():
        project.kpi(name, text)
    return project


def arrow_tables(reader: Reader) -> dict[str, pa.Table]:
    """The tables of a generation as Arrow, each column of the type that DuckDB has for it."""
    found = {}
    for name, columns in reader.tables().items():
        frame = reader.frame(f'SELECT * FROM "{name}"')
        arrays = {}
        for column, kind in columns.items():
            wanted = arrow_type(kind)
            first = pa.float64() if pa.types.is_decimal(wanted) else wanted  # of which DuckDB's frame is
            arrays[column] = pa.array(frame[column], type=first, from_pandas=True, safe=False).cast(wanted)
        found[name] = pa.table(arrays)
    return found


def arrow_type(kind: str) -> pa.DataType:
    known = {
        "BIGINT": pa.int64(),
        "INTEGER": pa.int32(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
        "TIMESTAMP_NS": pa.timestamp("us"),
        "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
        "VARCHAR": pa.string(),
    }
    if kind.startswith("DECIMAL("):
        precision, scale = (int(part) for part in kind.removeprefix("DECIMAL(").removesuffix(")").split(","))
        return pa.decimal128(precision, scale)
    return known[kind]


@dataclass(repr=False)
class World:
    """What both sides are asked of. here: DuckDB's reader; there: the engine's. told: what DuckDB said already."""

    catalogue: Catalogue
    here: Reader
    there: Reader
    start: date
    end: date
    values: Mapping[str, tuple[str, ...]]
    told: dict[Query, Series]

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # Hypothesis calls it so
        """Short: told in whole with a question that fails, it is too long, and a warning comes instead of both."""
        printer.text("World(...)")

    def asked(self, question: Query) -> None:
        """Fails unless both give the same series: values, parts, counts, what is complete."""
        if question not in self.told:
            self.told[question] = answer(question, self.catalogue, self.here, from_facts=True)
        same(self.told[question], answer(question, self.catalogue, self.there, from_facts=True), question)

    def questions(self, kpi: KpiCommon, *, filtered: bool = True) -> Iterator[Query]:
        """Every grain, each breakdown, and filters with a comparison."""
        start, end = self.start, self.end
        dimensions = self.catalogue.dimensions_of(kpi)
        for grain in grains(kpi):
            yield Query(kpi.name, grain=grain, start=start, end=end)
        for by in dimensions:
            yield Query(kpi.name, start=start, end=end, by=by)
        for one in itertools.islice(dimensions, 2 if filtered else 0):
            where = (Filter(one, self.values[one][:2]),)
            yield Query(kpi.name, start=start, end=end, where=where, compare="previous_period")


def same(here: Series, there: Series, question: Query) -> None:
    left, right = here.frame, there.frame
    exact = ["segment", "period", "n", "complete"]
    order = ["segment", "period"]  # segments of one size have no order of their own
    left, right = (frame.sort_values(order, kind="stable").reset_index(drop=True) for frame in (left, right))
    pd.testing.assert_frame_equal(left[exact], right[exact], check_dtype=False, obj=str(question))
    rest = [column for column in left.columns if column not in (*exact, "parts")]
    pd.testing.assert_frame_equal(
        left[rest], right[rest], check_exact=False, rtol=1e-6, atol=1e-9, check_dtype=False, obj=str(question)
    )
    assert left["parts"].notna().tolist() == right["parts"].notna().tolist(), question
    for mine, theirs in zip(left["parts"].dropna(), right["parts"].dropna(), strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-6, atol=1e-9, err_msg=str(question))


def grains(kpi: KpiCommon) -> list[str]:
    """Those that it is offered at, and a whole range as one where that has a value."""
    whole = not (kpi.offsets or kpi.trailing_window or kpi.type in ("lifecycle", "stickiness", "sql"))
    return [*kpi.offered_grains, *(["total"] if whole else [])]
