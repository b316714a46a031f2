"""The series that a launch is read from: who got it, who did not, when, on which scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from connectors.errors import KpiError, QueryRefused, counted
from metrics.catalog.holidays import public_holidays
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Launch
from metrics.catalog.segments import Segments, segments
from metrics.engine import periods
from metrics.engine.launch_grain import launch_grain
from metrics.engine.query import Filter
from metrics.engine.sampling import People
from metrics.engine.value_variance import pooled, value_variance
from metrics.launches.history import history_marks, within
from metrics.launches.impact import SHOWN, Panel
from metrics.launches.inputs import LaunchInputs

WHOLE = "everybody"


@dataclass(frozen=True)
class Observed:
    """A KPI as a launch is measured by it. panel: None = it cannot be, `why` says so in one sentence.

    logarithm: the panel's scale; effects are shares then, else in the KPI's unit. treated, control: in words; control
    is empty without one. notes: what a reader must know. complete_to: the first moment that is not complete.
    definition, level: of the values. holidays: those that are left out. around: other launches and marks of its KPI
    that the history is read around, as `name, first day, last day`.
    """

    panel: Panel | None
    why: str = ""
    logarithm: bool = False
    treated: str = WHOLE
    control: str = ""
    notes: tuple[str, ...] = ()
    complete_to: pd.Timestamp | None = None
    definition: str = ""
    level: str = ""
    holidays: tuple[pd.Timestamp, ...] = ()
    around: tuple[str, ...] = ()


def observe(launch: Launch, kpi: KpiCommon, inputs: LaunchInputs, *, as_of: str | None = None) -> Observed:
    """Everything an impact is computed from. as_of: a generation's id, for the values published then."""
    grain = launch_grain(kpi, inputs.catalogue)
    if grain is None:
        return Observed(
            None,
            why=f"{kpi.title} has one value a {kpi.grain}, or adds up over time: name a KPI that "
            "has a value of each day or week.",
        )
    found = _LaunchSeries(launch, kpi, inputs, grain, as_of)
    try:
        return found.observed(kpi.holidays or inputs.country)
    except KpiError as error:
        return Observed(None, why=f"{error.message}. {error.hint}".strip())


@dataclass(frozen=True)
class _Drawn:
    """What a series was drawn from: a KPI, and its segments that make up each of the columns; none = everybody."""

    kpi: str
    dimension: str
    columns: tuple[tuple[str, ...], ...]


class _LaunchSeries:
    """One KPI's series for one launch."""

    def __init__(self, launch: Launch, kpi: KpiCommon, inputs: LaunchInputs, grain: str, as_of: str | None) -> None:
        self.launch, self.kpi, self.inputs, self.catalogue = launch, kpi, inputs, inputs.catalogue
        self.grain, self.as_of, self.notes = grain, as_of, list[str]()
        self.definition = self.level = ""
        self._frames: dict[tuple[str, str | None], pd.DataFrame] = {}
        self._drawn: list[_Drawn] = []  # of what each column is, in the order of the columns

    def observed(self, country: str) -> Observed:
        if any(step.segment for step in self.launch.rollout):
            treated, exposure, names = self._staged()
            controls = pd.DataFrame(index=treated.index)
            control = "those that did not have it yet"
        else:
            treated, names = self._audience()
            controls, control = self._controls(treated.index)
            exposure = pd.DataFrame({c: self._exposure(treated.index) for c in treated.columns})
        done = self._complete()
        kept = treated.index < done if done is not None else np.zeros(len(treated), dtype=bool)
        treated, exposure, controls = (frame.loc[kept] for frame in (treated, exposure, controls))
        quiet = self._holidays(pd.DatetimeIndex(treated.index), country)
        if quiet:
            treated = _without(treated, np.asarray(treated.index.isin(list(quiet))))
        around = history_marks(self.launch, self.kpi, self.catalogue)
        index = pd.DatetimeIndex(treated.index)
        treated = _without(treated, within(index, [mark for mark in around if mark.kind != "launch"], self.grain))
        logarithm = self._logarithm(treated, controls)
        sampling = self._sampling(treated, controls, logarithm)
        if logarithm:
            treated, controls = (np.log(frame.astype(float)) for frame in (treated, controls))
        launches = [mark for mark in around if mark.kind == "launch"]
        touched = pd.Series(within(index, launches, self.grain), index) if launches else None
        panel = Panel(treated, exposure, controls, self.grain, sampling, self._overlap(), touched)
        return Observed(
            panel if len(treated) else None,
            "" if len(treated) else f"{self.kpi.title} has no complete value yet.",
            logarithm,
            names,
            control,
            tuple(dict.fromkeys(self.notes)),
            done,
            self.definition,
            self.level,
            quiet,
            tuple(mark.words for mark in around),
        )

    def frame(self, name: str, by: str | None) -> pd.DataFrame:
        """An answer at the grain of the panel, untransformed."""
        key = (name, by)
        if key not in self._frames:
            series = self.inputs.series(name, self.grain, by, self.as_of)
            if name == self.kpi.name:
                self.definition, self.level = series.definition, series.level
            frame = series.frame  # a first period that is not whole is low for no reason of the launch's
            self._frames[key] = frame.assign(value=frame["value"].where(frame["complete"]))
        return self._frames[key]

    def _complete(self) -> pd.Timestamp | None:
        """End of the last complete period of all series read."""
        ends = []
        for frame in self._frames.values():
            done = frame.loc[frame["complete"], "period"]
            if done.empty:
                return None
            ends.append(periods.after(done.max(), self.grain))
        return min(ends) if ends else None

    def _audience(self) -> tuple[pd.DataFrame, str]:
        named = segments(self.launch.audience) if self.launch.audience else None
        if named is not None and self._splits(named) and not self._known(named):
            raise QueryRefused(
                f"nobody is in the audience: {self.kpi.title} has no {named.words}",
                hint=f"It has: {', '.join(self._segments(named.dimension)[:8])}.",
            )
        if self.launch.audience and not self._known(named):
            what = f"`{self.launch.audience}`" if named is None else named.dimension.replace("_", " ")
            self.notes.append(
                f"{self.kpi.title} cannot be split by {what}, so everybody is counted: an effect on a part of them "
                "looks smaller than it is."
            )
            named = None
        if named is None:
            return self._whole(self.kpi.name), WHOLE
        return self._pooled(named), named.words

    def _controls(self, index: pd.Index) -> tuple[pd.DataFrame, str]:
        """A column for each that can be read, and all in words; neither without one."""
        found = [self._control(text, index) for text in self.launch.held_against]
        read = [(frame, words) for frame, words in found if words]
        if not read:
            return pd.DataFrame(index=index), ""
        named = [frame.set_axis([words], axis=1) if frame.shape[1] == 1 else frame for frame, words in read]
        return pd.concat(named, axis=1), ", ".join(words for _, words in read)

    def _control(self, text: str, index: pd.Index) -> tuple[pd.DataFrame, str]:
        empty = pd.DataFrame(index=index)
        if text in self.catalogue.kpis:
            other = self.catalogue.kpi(text)
            if other.is_rate != self.kpi.is_rate or launch_grain(other, self.catalogue) != self.grain:
                self.notes.append(f"{other.title} is no control of it: it is not of the same kind or grain.")
                return empty, ""
            return self._whole(text).reindex(index), other.title
        named = segments(text)
        if not self._known(named):
            what = f"`{text}`" if named is None else named.dimension.replace("_", " ")
            self.notes.append(f"{self.kpi.title} cannot be split by {what}, so there is no control.")
            return empty, ""
        assert named is not None
        if not self.launch.audience:
            self.notes.append("The launch names a control, but no audience: the control is a part of what is measured.")
        return self._pooled(named).reindex(index), named.words

    def _staged(self) -> tuple[pd.DataFrame, pd.DataFrame, str]:
        """A column per step of the rollout, and one for segments that never get it."""
        named = [segments(step.segment) for step in self.launch.rollout]
        dimension = named[0].dimension if named[0] else ""
        if not all(self._known(n) and n is not None and n.dimension == dimension for n in named):
            self.notes.append(f"{self.kpi.title} cannot be split by the segments of the rollout: it is read in whole.")
            whole = self._whole(self.kpi.name)
            return whole, pd.DataFrame({c: self._exposure(whole.index) for c in whole.columns}), WHOLE
        columns, shares = {}, {}
        for step, part in zip(self.launch.rollout, named, strict=True):
            assert part is not None
            values = self._pooled(part)
            columns[part.words] = values.mean(axis=1)
            index = pd.DatetimeIndex(values.index)
            shares[part.words] = self._spread(pd.Series((index >= pd.Timestamp(step.on)) * step.share, index))
        taken = {value for part in named if part for value in part.values}
        rest = [s for s in self._segments(dimension) if s not in taken]
        if rest:
            others = self._pooled(Segments(dimension, tuple(rest)))
            columns["the others"] = others.mean(axis=1)
            shares["the others"] = pd.Series(0.0, others.index)
        return (
            pd.DataFrame(columns),
            pd.DataFrame(shares),
            f"{counted(len(named), 'step')} by {dimension.replace('_', ' ')}",
        )

    def _splits(self, named: Segments) -> bool:
        return named.dimension in self.catalogue.dimensions_of(self.kpi)

    def _known(self, named: Segments | None) -> bool:
        """Whether the KPI can be split so, and has such a segment."""
        return named is not None and self._splits(named) and bool(named.chosen(self._segments(named.dimension)))

    def _segments(self, dimension: str) -> list[str]:
        return [str(s) for s in dict.fromkeys(self.frame(self.kpi.name, dimension)["segment"])]

    def _whole(self, name: str) -> pd.DataFrame:
        self._drawn.append(_Drawn(name, "", ((),)))
        return self.frame(name, None).set_index("period")[["value"]].set_axis([WHOLE], axis=1).astype(float)

    def _pooled(self, named: Segments) -> pd.DataFrame:
        """Segments as one series where their parts add up; else a column for each, which count the same."""
        frame = self.frame(self.kpi.name, named.dimension)
        chosen = named.chosen(self._segments(named.dimension))
        frame = frame[frame["segment"].isin(chosen)]
        apart = frame["denominator"].isna().all() and self.kpi.additivity == "non-additive"
        columns = tuple((segment,) for segment in sorted(chosen)) if apart else (chosen,)
        self._drawn.append(_Drawn(self.kpi.name, named.dimension, columns))
        if len(chosen) == 1:
            return frame.set_index("period")[["value"]].set_axis([named.words], axis=1).astype(float)
        if frame["denominator"].notna().any():
            parts = frame.groupby("period")[["numerator", "denominator"]].sum(min_count=1)
            sizes = frame["value"] / (frame["numerator"] / frame["denominator"]).where(frame["numerator"] != 0)
            unit = float(sizes.median()) if sizes.notna().any() else 1.0  # 100 for a score
            value = unit * parts["numerator"] / parts["denominator"].where(parts["denominator"] != 0)
            return value.to_frame(named.words).astype(float)
        if self.kpi.additivity != "non-additive":
            return frame.groupby("period")["value"].sum(min_count=len(chosen)).to_frame(named.words).astype(float)
        return frame.pivot(index="period", columns="segment", values="value").astype(float)

    def _sampling(self, treated: pd.DataFrame, controls: pd.DataFrame, logarithm: bool) -> pd.DataFrame | None:
        """Sampling variance of each value on the panel's scale, columns of treated and controls; None = not known."""
        before = pd.DatetimeIndex(treated.index[treated.index < pd.Timestamp(self.launch.starts_on)])
        staged = any(step.segment for step in self.launch.rollout) and treated.shape[1] == len(self._drawn)
        found = list[pd.Series]()
        for drawn in self._drawn:
            parts = [self._variance(drawn, chosen, before[-SHOWN[self.grain] :]) for chosen in drawn.columns]
            known = [part.reindex(treated.index) for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            whole = [sum(known[1:], known[0]) / len(known) ** 2] if staged else known  # a step's segments, their mean
            found += whole
        both = pd.concat([treated, controls], axis=1)
        variances = pd.concat(found, axis=1).set_axis(both.columns, axis=1)
        return variances / both.to_numpy(dtype=np.float64) ** 2 if logarithm else variances

    def _variance(self, drawn: _Drawn, chosen: tuple[str, ...], before: pd.DatetimeIndex) -> pd.Series | None:
        by, where = drawn.dimension or None, tuple(Filter(drawn.dimension, chosen) for _ in chosen[:1])

        def ask(name: str) -> pd.DataFrame:
            frame = self.frame(name, by)
            frame = frame[frame["segment"].isin(chosen)] if by else frame
            return pooled(frame) if len(chosen) > 1 else frame

        def unit(kpi: KpiCommon, people: People) -> float | None:
            if self.as_of is not None or not len(
                before
            ):  # rows are those of now: what was published must not hang on them
                return float("nan")
            span = before[0], periods.after(before[-1], self.grain)
            return self.inputs.unit_variance(kpi, people, self.grain, span, where)

        try:
            return value_variance(drawn.kpi, self.catalogue, ask, unit)
        except KpiError:
            return None

    def _overlap(self) -> int:
        """Periods that each value looks back over."""
        names = {drawn.kpi for drawn in self._drawn}
        windows = [self.catalogue.kpi(name).trailing_window for name in (*names, *self.catalogue.references(self.kpi))]
        days = max((window.days for window in windows if window), default=1)
        return -(-days // (7 if self.grain == "week" else 1))

    def _exposure(self, index: pd.Index) -> pd.Series:
        """Share of each period (and of a window's days) that had it."""
        days = pd.date_range(index[0], periods.after(index[-1], self.grain), freq="D", inclusive="left")
        share = pd.Series([self.launch.share_on(day.date()) for day in days], days, dtype=float)
        return self._spread(share).reindex(index)

    def _spread(self, share: pd.Series) -> pd.Series:
        """Share by day as share by period: a week that had it for three days, a window of seven days on its second."""
        if self.grain == "week":
            start = share.index[0]
            week = pd.DatetimeIndex(start + pd.to_timedelta((share.index - start).days // 7 * 7, unit="D"))
            return share.groupby(week).mean()
        window = self.kpi.trailing_window
        return share.rolling(window.days, min_periods=1).mean() if window else share

    def _holidays(self, index: pd.DatetimeIndex, country: str) -> tuple[pd.Timestamp, ...]:
        if not country or self.grain != "day" or index.empty:
            return ()
        try:
            known = public_holidays(country, index[0].year, index[-1].year)
        except (NotImplementedError, KeyError):
            return ()
        return tuple(day for day in index if day in known)

    def _logarithm(self, *frames: pd.DataFrame) -> bool:
        """Whether effects are shares: of what is no rate or score, and always above zero."""
        if self.kpi.changes_in_points or self.kpi.is_score:
            return False
        values: Mapping[str, np.ndarray] = {str(i): f.to_numpy(dtype=float) for i, f in enumerate(frames)}
        return all(bool((v[np.isfinite(v)] > 0).all()) for v in values.values())


def _without(frame: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """The same without the values of these rows (t): unknown there."""
    return frame.mask(np.repeat(rows[:, None], frame.shape[1], axis=1))
