"""Where a number comes from: the rows that each condition counts, against pandas; what is left out, and why."""

from __future__ import annotations

import pandas as pd
import pytest

from metrics.kpi_views.origin import origin
from tests.conftest import Builder

AT = pd.Timestamp("2026-11-02 10:00")
PEOPLE = pd.DataFrame(
    {
        "who": [1, 2, 3, 4, 5, None],
        "at": [AT] * 6,
        "done_at": [AT, None, AT, None, pd.Timestamp("2030-01-01"), AT],
        "score": [9, 3, None, 12, 7, 10],
        "plan": list("ababab"),
    }
)
ALL = "6; 6 match, of 5 distinct who"


@pytest.mark.parametrize(
    ("kpi", "rows"),
    [
        (
            "type: conversion\ndataset: people\nconversion: {dataset: done}\nwindow: 7 days",
            {
                "people": "6; 5 match base, of 5 distinct who",
                "done": "6; 1 lies in the future and is not counted; 2 match conversion, of 2 distinct who; "
                "2 have no done_at and are in no period",
            },
        ),
        (
            "type: conversion\ndataset: people\nbase: plan = 'a'\nconversion: {dataset: done, filter: plan = 'a'}",
            {
                "people": "6; 3 match base, of 3 distinct who",
                "done": "6; 1 lies in the future and is not counted; 2 match conversion, of 2 distinct who; "
                "2 have no done_at and are in no period",
            },
        ),
        (
            "type: ratio\ndataset: people\nnumerator: {agg: count, filter: plan = 'b'}\ndenominator: {agg: count}",
            {"people": "6; 3 match numerator, of 2 distinct who; 6 match denominator, of 5 distinct who"},
        ),
        ("dataset: people\nagg: count", {"people": ALL}),
        (
            "type: survey\ndataset: people\nscore: score\nscale: nps",
            {"people": "6; 4 match, of 3 distinct who"},
        ),
        (
            "dataset: done\nagg: count",
            {
                "done": "6; 1 lies in the future and is not counted; 3 match, of 2 distinct who; "
                "2 have no done_at and are in no period"
            },
        ),
    ],
)
def test_rows_that_count(project: Builder, kpi: str, rows: dict[str, str]) -> None:
    project.rows("people", PEOPLE, entity="who", watermark="whole_days")
    keys = "source: people\ntime_dimension: done_at\nentity: who\nwatermark: whole_days\n"
    project.write("datasets", "done", f"name: done\n{keys}")
    project.kpi("k", f"{kpi}\ngrain: day")
    project.sync()
    opened = project.open()
    reader = opened.reader()
    found = origin("k", opened.catalogue(reader), reader, {}, {})
    told = {label.removeprefix("Rows of "): text for label, text in found.facts if label.startswith("Rows of ")}
    assert told == rows
