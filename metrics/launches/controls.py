"""What a launch is held against when its file names several series: how much of each, by the time before the launch.

The shape of the mix is found here, from how the series moved from week to week; how much of the mix is taken off is
found with the effect (regression.py), so that it is part of what is not known.
"""

from __future__ import annotations

import numpy as np

from metrics.engine.sampling import Floats
from metrics.launches.distributions import optimize

EQUAL_WEEKS = 4  # of evidence that all weigh the same, before one looks
FEWEST = 8  # differences: with fewer, all weigh the same


def mix(treated: Floats, controls: Floats, lag: int) -> Floats:
    """Weights (control) of 0 or more that add up to 1: their sum moved most like what is treated.

    treated: (t) and controls: (t, control), before the launch, NaN = unknown. lag: periods of a week. What moves more
    for reasons of its own weighs less. Equal ones are held for as likely as EQUAL_WEEKS of data would.
    """
    count = controls.shape[1]
    equal = np.full(count, 1 / count)
    if count == 1:
        return equal
    moved, beside = treated[lag:] - treated[:-lag], controls[lag:] - controls[:-lag]
    known = np.isfinite(moved) & np.isfinite(beside).all(axis=1)
    if known.sum() < FEWEST:
        return equal
    moved, beside = moved[known], beside[known]
    prior = np.sqrt(EQUAL_WEEKS * lag) * float(np.sqrt(np.mean(beside**2)))
    if prior <= 0:
        return equal
    found, _ = optimize.nnls(
        np.vstack([beside, prior * np.eye(count)]), np.concatenate([moved, prior * equal]), maxiter=100 * count
    )
    total = float(found.sum())
    weights: Floats = found / total if total > 0 else equal
    return weights
