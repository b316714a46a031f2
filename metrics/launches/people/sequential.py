"""Intervals that hold however often somebody looks: an asymptotic confidence sequence.

Of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Time-uniform central limit theory, 2021), the normal mixture of
Robbins (1970), which GrowthBook uses, too. It is widest where little is known and never reaches a fixed width of 1.96.
"""

from __future__ import annotations

import math

ALPHA = 0.05
BEST_AT = 28.0  # times what the first look knew: there the interval is as narrow as it can be
FIRST_LOOK = 100  # people: from then on looks count


def always_valid(information: float, alpha: float = ALPHA) -> float:
    """Half the width in standard errors. information: what is known, in times of what the first look knew.

    With it, the chance that the truth ever lies outside, over all looks from the first on, is at most alpha.
    """
    least = -2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)
    known = least * max(information, 1e-9) / BEST_AT
    return math.sqrt(2 * (known + 1) / known * math.log(math.sqrt(known + 1) / alpha))
