"""A mean, or a ratio of sums over people, with its variance by the delta method."""

from __future__ import annotations

import numpy as np

from metrics.launches.people.moments import SIZE, D, Means, Y


def level(of: Means) -> float:
    """mean(y) / mean(d): of amounts per person d is 1."""
    return float(of.mean[Y] / of.mean[D]) if of.mean[D] else float("nan")


def slopes(of: Means) -> np.ndarray:
    """How the level answers to each of the four means, (4,): a small change of them moves it by slopes @ change."""
    found = np.zeros(SIZE)
    found[Y] = 1 / of.mean[D]
    found[D] = -of.mean[Y] / of.mean[D] ** 2
    return found


def variance(of: Means) -> float:
    """Of the level."""
    along = slopes(of)
    return max(0.0, float(along @ of.covariance @ along))
