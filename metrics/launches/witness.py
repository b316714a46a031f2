"""A series that the launch did not touch, beside one that it did: how much of it counts, and what moved it on the day.

Its weight is found with the step (regression.py), from days and months on which both moved. Below nothing it means
nothing: two that went apart by chance would add to each other's noise. What happens to both on the very day has no
precedent to learn a weight from, so whether something did is asked of the witness alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metrics.launches.distributions import special

Floats = NDArray[np.float64]
SHARED = 1 / 10  # how likely it is, before one looks, that something happened to all on the day
FAR = 1e4  # deviations beyond which one is as good as the other
EVENT = 3.0  # how far that may move the witness, in noises


def probabilities(likelihood: Floats) -> Floats:
    """Log likelihoods as weights that add up to 1."""
    weights = np.exp(likelihood - likelihood.max())
    found: Floats = weights / weights.sum()
    return found


@dataclass(frozen=True)
class Alone:
    """The witness as a series of its own, less the rest of the base, (alternative, noise): its square, its product with
    the step, the step's square, log determinants; certain: variance of its first coefficient in those of the noise.
    """

    square: Floats
    product: Floats
    power: Floats
    known: Floats
    certain: Floats

    def event(self, freedom: int, logs: Floats) -> Event:
        """The step in it. logs: log determinants (noise)."""
        moved = self.product / self.power
        variances = np.maximum((self.square - moved**2 * self.power) / freedom, 1e-300)
        determinants = logs + self.known + np.log(self.power)
        weights = probabilities(-0.5 * (freedom * np.log(variances) + determinants).ravel()).reshape(moved.shape)
        squared, wide = moved**2 * self.power / variances, 1 + EVENT**2 * self.power
        odds = -0.5 * np.log(wide) + (freedom + 1) / 2 * np.log((freedom + squared) / (freedom + squared / wide))
        mean = float(np.sum(weights * moved))
        error = np.sum(weights * (variances / self.power + (moved - mean) ** 2))
        odd = float(np.log(np.sum(weights * np.exp(np.minimum(odds, 600)))))
        return Event(mean, float(np.sqrt(error)), float(special.expit(odd + special.logit(SHARED))))


@dataclass(frozen=True)
class Event:
    """The step in a witness, its standard error, and how likely it is that there is one."""

    step: float
    error: float
    likely: float


@dataclass(frozen=True)
class Pair:
    """The step and the witness's coefficient, (candidate): means, variances, covariance; weights that add up to 1."""

    steps: Floats
    coefficients: Floats
    step_variances: Floats
    variances: Floats
    covariances: Floats
    weights: Floats

    def at_least(self, least: float) -> Pair:
        """The same of coefficients that are known to be no less: moments of normal distributions cut off there."""
        known = np.maximum(self.variances, 1e-300)  # none at all: no noise
        deviations = np.sqrt(known)
        below = np.clip((least - self.coefficients) / deviations, -FAR, FAR)
        mass = special.log_ndtr(-below)
        hazard = np.exp(-0.5 * below**2 - mass) / np.sqrt(2 * np.pi)
        coefficients = np.maximum(self.coefficients + deviations * hazard, least)
        part = np.clip(1 + below * hazard - hazard**2, 0.0, 1.0)  # of the variance
        along = self.covariances / known  # how the step goes with the coefficient
        return replace(
            self,
            steps=self.steps + along * (coefficients - self.coefficients),
            coefficients=coefficients,
            step_variances=self.step_variances - along * self.covariances * (1 - part),
            variances=self.variances * part,
            covariances=self.covariances * part,
            weights=probabilities(np.log(np.maximum(self.weights, 1e-300)) + mass),
        )

    def with_event(self, event: Event) -> tuple[Floats, Floats, Floats]:
        """Steps, standard errors, weights, (2 × candidate): as it is, and with the witness's own step taken off whole.

        A step in the witness that is larger than its own noise explains is taken for an event of both, a smaller one
        is left to the weight.
        """
        variances = self.step_variances + 2 * event.step * self.covariances + event.step**2 * self.variances
        variances += (self.coefficients * event.error) ** 2
        return (
            np.concatenate([self.steps, self.steps + event.step * self.coefficients]),
            np.sqrt(np.concatenate([self.step_variances, variances])),
            np.concatenate([self.weights * (1 - event.likely), self.weights * event.likely]),
        )
