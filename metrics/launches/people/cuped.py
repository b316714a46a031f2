"""CUPED: what people did before they were exposed tells part of what they do after, and is taken off.

Controlled experiments by utilizing pre-experiment data (Deng, Xu, Kohavi and Walker, 2013); for ratios on their
linearised form. The weights are those that make the difference of the two variants least uncertain, so it is never
more uncertain than without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.launches.people import ratio
from metrics.launches.people.moments import Means, W, X

BEFORE = [X, W]


@dataclass(frozen=True)
class Adjusted:
    """Levels of control and treated with their variances; gain: the part of the difference's variance taken off."""

    control: float
    treated: float
    control_variance: float
    treated_variance: float
    gain: float

    @property
    def difference(self) -> float:
        """treated − control."""
        return self.treated - self.control

    @property
    def variance(self) -> float:
        """Of the difference: people of the two variants are other people."""
        return self.control_variance + self.treated_variance


def adjusted(control: Means, treated: Means) -> Adjusted:
    """Both levels as if the people of both variants had been alike before."""
    both = [control, treated]
    levels, along = [ratio.level(m) for m in both], [ratio.slopes(m) for m in both]
    plain = [ratio.variance(m) for m in both]
    weights = _weights(both, along)
    n = control.n + treated.n
    middle = sum((m.n / n * m.mean[BEFORE] for m in both), np.zeros(len(BEFORE)))
    found, variances = [], []
    for of, slope, level, alone in zip(both, along, levels, plain, strict=True):
        shared = of.covariance[BEFORE] @ slope
        own = alone - 2 * float(weights @ shared) + float(weights @ of.covariance[np.ix_(BEFORE, BEFORE)] @ weights)
        found.append(level - float(weights @ (of.mean[BEFORE] - middle)))
        variances.append(max(0.0, own))
    before, after = sum(plain), sum(variances)
    gain = max(0.0, 1 - after / before) if before > 0 else 0.0
    return Adjusted(found[0], found[1], variances[0], variances[1], gain)


def _weights(both: list[Means], along: list[np.ndarray]) -> np.ndarray:
    """(2,): how much of what differed before is taken off."""
    inner = sum((m.covariance[np.ix_(BEFORE, BEFORE)] for m in both), np.zeros((2, 2)))
    shared = sum((m.covariance[BEFORE] @ slope for m, slope in zip(both, along, strict=True)), np.zeros(2))
    scale = np.sqrt(np.diag(inner))
    known = scale > 0
    weights = np.zeros(len(BEFORE))
    if known.any():
        size = scale[known]
        alike = inner[np.ix_(known, known)] / np.outer(size, size)  # of one size, whatever the units
        weights[known] = np.linalg.pinv(alike, rcond=1e-9) @ (shared[known] / size) / size
    return weights
