"""The interval that people alone allow: what is of so many of them, and of no others, cannot be known better.

Half of it is 1.96 deviations of (mean since launch) - (mean of the window before), less the same of the controls, by
the sampling variance of each period's value. An interval of the day model is widened to it, never narrowed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from metrics.engine.sampling import Floats, Z, contrast

if TYPE_CHECKING:
    from metrics.launches.impact import Impact, Panel


def half_width(panel: Panel, begin: int, first: int, last: int, weights: Sequence[float] = ()) -> float | None:
    """Half of the 95% interval that sampling alone gives the effect, on the panel's scale; None: not known.

    begin, first, last: positions of the first period of the window before, of the launch's first, and of the end.
    weights: how much of each control is taken off; empty = of each the same, 1 in all.
    """
    if panel.sampling is None:
        return None
    treated = panel.treated.to_numpy(dtype=np.float64)[begin:last]
    controls = panel.controls.to_numpy(dtype=np.float64)[begin:last]
    known = np.isfinite(treated).all(axis=1) & np.isfinite(controls).all(axis=1)
    own = _weights(panel.exposure.to_numpy(dtype=np.float64)[begin:last], known, first - begin, bool(controls.shape[1]))
    if own is None:
        return None
    taken = np.asarray(weights) if len(weights) else np.full(controls.shape[1], 1 / max(1, controls.shape[1]))
    parts = np.hstack([own, -own.sum(axis=1, keepdims=True) * taken])
    variance = panel.sampling.to_numpy(dtype=np.float64)[begin:last]
    total = sum(contrast(parts[:, j], variance[:, j], panel.overlap) for j in range(parts.shape[1]))
    return Z * math.sqrt(total) if math.isfinite(total) else None


def _weights(exposure: Floats, known: np.ndarray, first: int, compared: bool) -> Floats | None:
    """What each value (period, segment) weighs in the effect: least squares of a level per segment and the step.

    Of a step that all get at once: one over the periods since launch, less one over those before.
    """
    had = exposure[first:].any(axis=0)
    if not had.any() or not known[:first].any() or not known[first:].any():
        return None
    step = np.where((np.arange(len(exposure)) >= first)[:, None], exposure, 0.0) / exposure[first:, had].mean()
    if not compared and step.shape[1] > 1:
        step = step - step.mean(axis=1, keepdims=True)
    step = np.where(known[:, None], step - step[known].mean(axis=0), 0.0)
    if not compared and step.shape[1] > 1:
        step = np.where(known[:, None], step - step.mean(axis=1, keepdims=True), 0.0)
    square = float((step**2).sum())
    return step / square if square > 0 else None


def widened(found: Impact, half: float | None) -> Impact:
    """An effect whose interval reaches at least `half` to each side; None = the people are not known: as it is."""
    if half is None:
        return found
    low, high = min(found.low, found.effect - half), max(found.high, found.effect + half)
    return replace(found, low=low, high=high, sampling=half, floor=low < found.low or high > found.high)
