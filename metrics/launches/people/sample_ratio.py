"""Sample-ratio mismatch: do the variants have as many people as planned? If not, something lost people of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrics.launches.distributions import stats

BREACH = 0.001  # a mismatch of less probability is no accident


@dataclass(frozen=True)
class SampleRatio:
    """counts and planned shares by variant. p: of a chi-square test; None = not tested, `why` says so."""

    counts: Mapping[str, int]
    shares: Mapping[str, float]
    p: float | None
    why: str = ""

    @property
    def is_breached(self) -> bool:
        """Whether nothing can be read from these people."""
        return self.p is not None and self.p < BREACH


def sample_ratio(counts: Mapping[str, int], split: Mapping[str, float], *, grows: bool = False) -> SampleRatio:
    """counts: people by variant. split: planned shares in any unit; empty = equal ones.

    grows: the launch reached more and more people, so nobody knows which share was planned.
    """
    if not split and grows:
        return SampleRatio(counts, {}, None, "the rollout grew: write the planned `split`")
    unplanned = sorted(set(counts) - set(split)) if split else []
    if unplanned:
        return SampleRatio(counts, {}, None, f"`split` says nothing of {', '.join(unplanned)}")
    planned = dict(split) or dict.fromkeys(counts, 1.0)
    whole = sum(planned.values())
    shares = {name: share / whole for name, share in planned.items()}
    total = sum(counts.values())
    if len(shares) < 2 or not total:
        return SampleRatio(counts, shares, None, "there is nothing to compare")
    seen = [counts.get(name, 0) for name in shares]
    return SampleRatio(counts, shares, float(stats.chisquare(seen, [total * s for s in shares.values()]).pvalue))
