"""Impacts that were measured once, by the digest of everything that they are measured from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from metrics.launches.impact import METHOD, Impact, Panel, impact

Measure = Callable[[Panel, pd.Timestamp, pd.Timestamp], Impact | None]
NUMBERS = tuple(f.name for f in fields(Impact) if f.name != "expected")
PATH = ("actual", "expected", "low", "high")  # columns of Impact.expected
LAYOUT = f"{METHOD} {NUMBERS} {PATH}"  # what another version of the product wrote is not found


class Impacts:
    """Measures what is not known yet. asked: what was asked for, known or not, as plain values by digest.

    The digest is of values and not of definitions: whatever changes a value that is looked at makes another one.
    """

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self.asked: dict[str, Any] = {}

    def of(self, panel: Panel, start: pd.Timestamp, end: pd.Timestamp) -> Impact | None:
        """What `impact` gives."""
        key = digest(panel, start, end)
        if key not in self.asked:
            known = key in self._known
            self.asked[key] = self._known[key] if known else _plain(impact(panel, start, end), panel)
        return _read(self.asked[key], panel)


def digest(panel: Panel, start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Of the method, the layout and all values before `end`: what comes later changes nothing."""
    index = pd.DatetimeIndex(panel.treated.index).as_unit("ns")
    last = int(index.searchsorted(end))
    summed = hashlib.sha256(f"{LAYOUT} {panel.grain} {int(index.searchsorted(start))} {last}".encode())
    summed.update(index.asi8[:last].tobytes())
    summed.update(f"{panel.overlap} {panel.calibrated}".encode())
    for frame in (panel.treated, panel.exposure, panel.controls, panel.sampling):
        if frame is None:
            continue
        values = np.ascontiguousarray(frame.to_numpy(dtype=np.float64)[:last])
        summed.update(f"{values.shape}".encode())
        summed.update(values.tobytes())
    if panel.touched is not None:
        summed.update(np.packbits(panel.touched.to_numpy(dtype=bool)[:last]).tobytes())
    return summed.hexdigest()


def _plain(found: Impact | None, panel: Panel) -> dict[str, Any] | None:
    if found is None:
        return None
    path = {name: found.expected[name].tolist() for name in PATH}
    rows = pd.DatetimeIndex(panel.treated.index).get_indexer(found.expected.index).tolist()
    return {**{name: getattr(found, name) for name in NUMBERS}, "path": {"rows": rows, **path}}


def _read(plain: Mapping[str, Any] | None, panel: Panel) -> Impact | None:
    if plain is None:
        return None
    path = plain["path"]
    index = pd.DatetimeIndex(panel.treated.index)[path["rows"]]
    expected = pd.DataFrame({name: np.array(path[name], dtype=np.float64) for name in PATH}, index=index)
    numbers = {**{name: plain[name] for name in NUMBERS}, "weights": tuple(plain["weights"])}
    return Impact(**numbers, expected=expected)
