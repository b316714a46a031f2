"""One variant against the control: levels, difference and lift, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.launches.people.cuped import adjusted
from metrics.launches.people.moments import Sums, means, pooled

# Half the width in standard errors, of a day that was fixed beforehand: scipy's norm.ppf(0.975), which a test compares.
FIXED = 1.959963984540054
FEWEST = 100  # people of each variant: means of fewer are not normal
SURE_LEVEL = 4.0  # a level this many standard errors above 0 may be divided by


@dataclass(frozen=True)
class Lift:
    """effect with its 95% interval: treated − control, or treated ÷ control − 1."""

    effect: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Numbers of people; levels after CUPED. relative: None where the control's level is not surely above 0.

    gain: the part of the variance that CUPED took off, 0..1.
    """

    control_people: int
    treated_people: int
    control: float
    treated: float
    difference: Lift
    relative: Lift | None
    gain: float


def compared(days: Sequence[tuple[Sums, Sums]], widening: float = FIXED, factor: float = 1.0) -> Comparison | None:
    """days: (control, treated) by day of exposure. widening: half an interval in standard errors. factor: of the unit.

    None where a variant has too few people.
    """
    strata = pooled(days)
    if not strata or min(sum(p[0].n for p in strata), sum(p[1].n for p in strata)) < FEWEST:
        return None
    control, treated = means(strata)
    if not (control.mean[1] > 0 and treated.mean[1] > 0):
        return None
    found = adjusted(control, treated)
    half = widening * math.sqrt(found.variance)
    return Comparison(
        int(control.n),
        int(treated.n),
        factor * found.control,
        factor * found.treated,
        Lift(factor * found.difference, factor * (found.difference - half), factor * (found.difference + half)),
        _relative(found.control, found.treated, found.control_variance, found.treated_variance, widening),
        found.gain,
    )


def _relative(control: float, treated: float, noise: float, other: float, widening: float) -> Lift | None:
    """On the logarithmic scale, where the interval of a quotient is even."""
    if min(control, treated) <= 0 or control**2 < SURE_LEVEL**2 * noise or treated**2 < SURE_LEVEL**2 * other:
        return None
    at = math.log(treated / control)
    half = widening * math.sqrt(noise / control**2 + other / treated**2)
    return Lift(math.expm1(at), math.expm1(at - half), math.expm1(at + half))
