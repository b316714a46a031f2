"""The series that a rule looks at, judged: one per segment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from connectors.warehouse.contract import Reader
from metrics.alerts.judge import Judgement, judge
from metrics.alerts.rules import Normals, Rule, segment_name
from metrics.catalog.catalogue import Catalogue
from metrics.engine.answer import answer
from metrics.engine.query import Query

Answers = dict[tuple[str, str, str | None, bool, str | None], pd.DataFrame]


def observe(
    rule: Rule,
    catalogue: Catalogue,
    reader: Reader,
    *,
    country: str = "",
    normals: Normals | None = None,
    as_of: str | None = None,
    answers: Answers | None = None,
) -> list[Judgement]:
    """Judge every segment of a rule, at its grain. country: of a project's holidays.

    as_of: a generation's id, for its values instead of today's. answers: shared by the rules of one evaluation.
    Raises KpiError.
    """
    kpi = catalogue.kpi(rule.kpi)
    found: list[Judgement] = []
    known = {} if answers is None else answers
    for dimension in rule.alert.by or (None,):
        key = (kpi.name, rule.grain, dimension, bool(rule.alert.of), as_of)
        if key not in known:
            query = Query(kpi.name, rule.grain, by=dimension, as_of=as_of)
            known[key] = answer(query, catalogue, reader, transforms=bool(rule.alert.of)).frame
        for value, frame in _segments(known[key]):
            segment = segment_name(rule, dimension, value)
            found.append(
                judge(
                    rule,
                    kpi,
                    catalogue,
                    frame,
                    segment=segment,
                    country=kpi.holidays or country,
                    normal_from=(normals or {}).get(segment, ()),
                )
            )
    return found


def _segments(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each segment with its rows: an answer has them together."""
    names = frame["segment"].to_numpy()
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1), len(names)] if len(names) else []
    for start, end in pairwise(edges):
        yield str(names[start]), frame.iloc[start:end]
