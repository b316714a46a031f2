"""Whether a launch did more for some than for others: its effect in each segment, drawn towards the whole.

What is read is how far each segment moved from all of them together, so that whatever moves all is no noise of it. Few
people say little, so of many segments the farthest from the whole are mostly those of which least is known. Each is
drawn towards the mean of all as far as its own noise is larger than what segments truly differ by (random effects,
DerSimonian and Laird). Of so many looks one in twenty is clear by chance: whether segments differ at all is one test,
held against how many dimensions were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from connectors.errors import KpiError
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Launch
from metrics.catalog.segments import segments
from metrics.engine import periods
from metrics.engine.query import Filter
from metrics.engine.sampling import Floats, People, Z
from metrics.engine.value_variance import value_variance
from metrics.launches.distributions import stats
from metrics.launches.impact import SHOWN, Panel, impact
from metrics.launches.impacts import Measure
from metrics.launches.inputs import LaunchInputs
from metrics.launches.observe import Observed
from metrics.launches.reading import Reading

MOST_DIMENSIONS, MOST_SEGMENTS = 3, 8
FEWEST_SEGMENTS = 2
SURE = 0.05  # of all dimensions together


@dataclass(frozen=True)
class SegmentEffect:
    """One segment's effect, in the reading's unit: as it is read, and drawn towards the whole; each with 95%.

    part: of the KPI's rows since launch that are of it, 0..1.
    """

    segment: str
    part: float
    alone: tuple[float, float, float]
    drawn: tuple[float, float, float]


@dataclass(frozen=True)
class EffectsBySegment:
    """One dimension, largest segment first. p: how often segments that do not differ look so different; left_out: of
    them not read (too small, or beyond the largest). differ: whether they do, held against all dimensions looked at.
    """

    dimension: str
    effects: tuple[SegmentEffect, ...]
    p: float
    left_out: int = 0
    differ: bool = False


def effects_by_segment(
    launch: Launch,
    kpi: KpiCommon,
    observed: Observed,
    reading: Reading,
    inputs: LaunchInputs,
    *,
    measure: Measure = impact,
) -> tuple[EffectsBySegment, ...]:
    """Of each dimension that the KPI can be split by, but the audience's. reading: of everybody, with a verdict.

    Empty where segments got it on different days. Raises KpiError if the audience's rows cannot be asked.
    """
    panel = observed.panel
    if panel is None or not reading.verdict or any(step.segment for step in launch.rollout):
        return ()
    named = segments(launch.audience) if launch.audience else None
    split = inputs.catalogue.dimensions_of(kpi)
    where: tuple[Filter, ...] = ()
    if named is not None and named.dimension in split:
        known = inputs.series(kpi.name, panel.grain, named.dimension, None).frame["segment"].unique()
        where = (Filter(named.dimension, named.chosen([str(one) for one in known])),)
    elif launch.audience:
        return ()
    others = [dimension for dimension in split if named is None or dimension != named.dimension]
    read = [_Split(dimension, where, kpi, panel, reading, inputs, measure) for dimension in others[:MOST_DIMENSIONS]]
    found = [one for one in (split.effects() for split in read) if one is not None]
    return tuple(replace(one, differ=one.p * len(found) < SURE) for one in found)


@dataclass(frozen=True)
class _Split:
    """One dimension of one reading. where: whose rows."""

    dimension: str
    where: tuple[Filter, ...]
    kpi: KpiCommon
    panel: Panel
    reading: Reading
    inputs: LaunchInputs
    measure: Measure
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)

    def effects(self) -> EffectsBySegment | None:
        """None where it cannot be asked, or fewer than two segments can be read."""
        try:
            frame = self._frame(self.kpi.name)
        except KpiError:
            return None
        since = frame["period"] >= pd.Timestamp(self.reading.start)
        sizes = frame[since].groupby("segment")["n"].sum().sort_values(ascending=False)
        if len(sizes) < FEWEST_SEGMENTS:
            return None
        whole = float(sizes.sum()) or 1.0
        parts = {str(segment): float(size) / whole for segment, size in sizes.items()}
        weights = self._weights(frame)
        read = {segment: self._read(frame, segment, weights[segment]) for segment in list(parts)[:MOST_SEGMENTS]}
        kept = {segment: apart for segment, apart in read.items() if apart is not None}
        if len(kept) < FEWEST_SEGMENTS:
            return None
        apart, errors = np.array(list(kept.values())).T
        drawn, widths, p = drawn_together(apart, errors)
        rows = tuple(
            SegmentEffect(
                segment, parts[segment], self._interval(apart[i], errors[i]), self._interval(drawn[i], widths[i])
            )
            for i, segment in enumerate(kept)
        )
        return EffectsBySegment(self.dimension, rows, p, len(sizes) - len(kept))

    def _weights(self, frame: pd.DataFrame) -> Mapping[str, float]:
        """How much each segment weighs in the KPI of all: by what it is divided by, or by its values that add up."""
        divided = frame["denominator"].notna().any()
        adds = not divided and self.kpi.additivity != "non-additive"
        column = "denominator" if divided else "value" if adds else "n"
        sums = frame.groupby("segment")[column].sum().astype(float).clip(lower=0.0)
        whole = float(sums.sum()) or 1.0
        return {str(segment): float(size) / whole for segment, size in sums.items()}

    def _frame(self, name: str) -> pd.DataFrame:
        if name not in self.frames:
            self.frames[name] = self.inputs.segments_where(name, self.panel.grain, self.dimension, self.where)
        return self.frames[name]

    def _read(self, frame: pd.DataFrame, segment: str, weight: float) -> tuple[float, float] | None:
        """How much more it moved than all did, and the standard error of its own move, widened as the whole was.

        None where it cannot be read. weight: of it in all.
        """
        rows = frame[(frame["segment"] == segment) & frame["complete"]].set_index("period")
        values = rows["value"].reindex(self.panel.treated.index).astype(float)
        values = values.mask(self.panel.treated.isna().any(axis=1))  # holidays, campaigns: as the whole is read
        sampling = self._sampling(segment, values, weight)
        if self.reading.relative:
            if (values <= 0).any():
                return None  # days of nothing have no logarithm
            values = np.log(values)
        apart = (values - self.panel.treated.mean(axis=1)).to_frame(segment)
        exposure = self.panel.exposure.iloc[:, :1].set_axis([segment], axis=1)
        nobody = pd.DataFrame(index=apart.index)
        alone = replace(
            self.panel, treated=apart, exposure=exposure, controls=nobody, sampling=sampling, calibrated=False
        )
        found = self.measure(alone, alone.begins, pd.Timestamp(self.reading.end))
        if found is None or not found.smallest > 0 or weight >= 1:
            return None
        # All hold this segment, too: beside them 1 - weight of its own variance is left. Undone, the errors of segments
        # are independent, as the test of whether they differ takes them to be.
        return found.effect, found.smallest * (self.reading.factor or 1.0) / Z / float(np.sqrt(1 - weight))

    def _sampling(self, segment: str, values: pd.Series, weight: float) -> pd.DataFrame | None:
        """Sampling variance of how far it is from all, of whom it is a part; each person's is taken to be as of all."""
        before = pd.DatetimeIndex(values.index[values.index < pd.Timestamp(self.reading.start)])
        span = before[-SHOWN[self.panel.grain] :][0], periods.after(before[-1], self.panel.grain)

        def ask(name: str) -> pd.DataFrame:
            found = self._frame(name)
            return found[found["segment"] == segment]

        def unit(kpi: KpiCommon, people: People) -> float | None:
            return self.inputs.unit_variance(kpi, people, self.panel.grain, span, self.where)

        try:
            variance = value_variance(self.kpi.name, self.inputs.catalogue, ask, unit)
        except KpiError:
            return None
        if variance is None:
            return None
        own = variance.reindex(values.index) * (1 - weight)
        return (own / values**2 if self.reading.relative else own).to_frame(segment)

    def _interval(self, apart: float, error: float) -> tuple[float, float, float]:
        """The effect on a segment that moved so much more than all, and its interval, in the reading's unit."""
        ends = [self.reading.effect, self.reading.low, self.reading.high]
        whole, low, high = (float(np.log1p(end or 0.0)) if self.reading.relative else end or 0.0 for end in ends)
        half = float(np.hypot((high - low) / 2, Z * error))
        found = np.array([whole + apart, whole + apart - half, whole + apart + half])
        shown: list[float] = (np.expm1(found) if self.reading.relative else found).tolist()
        return shown[0], shown[1], shown[2]


def drawn_together(effects: Floats, errors: Floats) -> tuple[Floats, Floats, float]:
    """Effects (segment) drawn towards their mean, their standard errors, and how often equal ones look so different.

    Effects that differ no more than their errors explain become the mean of all.
    """
    weights = errors**-2.0
    mean = float(weights @ effects / weights.sum())
    spread = float(weights @ (effects - mean) ** 2)
    freedom = len(effects) - 1
    between = max(0.0, (spread - freedom) / float(weights.sum() - (weights**2).sum() / weights.sum()))
    both = 1 / (between + errors**2)
    middle, of_middle = float(both @ effects / both.sum()), float(1 / both.sum())
    own = between / (between + errors**2)  # how much of each is its own
    drawn = own * effects + (1 - own) * middle
    variances = own * errors**2 + (1 - own) ** 2 * of_middle
    return drawn, np.sqrt(variances), float(stats.chi2.sf(spread, freedom))
