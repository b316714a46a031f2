"""answer(Query) → Series, from the cheapest exact level: stored values, roll-ups, facts.

The caller cannot tell which level answered, but by `Series.level`; a test compares them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, date, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sqlglot import exp

from connectors.errors import NotComputed, QueryRefused, UnknownGeneration, Withheld, did_you_mean, require
from connectors.warehouse.contract import NO_DIMENSION, DatasetState, Failure, Generation, Reader
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import GRAINS
from metrics.engine import compare, frames, periods, small_groups, types
from metrics.engine.dirty_ranges import FAR
from metrics.engine.gaps import gaps
from metrics.engine.launch_grain import launch_grain
from metrics.engine.meaning import which_is_meant
from metrics.engine.query import Query, Scope, Series
from metrics.engine.sql import trees
from metrics.engine.sql.rollups import KeptRollups
from metrics.engine.to_date import with_to_date

FIRST_DAY, LAST_DAY = date(1000, 1, 1), date(9900, 1, 1)
MOST_PERIODS = 200_000  # that somebody may ask for: 22 years of hours, 547 of days
LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}  # of longer ones there are never too many


def answer(
    query: Query, catalogue: Catalogue, reader: Reader, *, from_facts: bool = False, transforms: bool = True
) -> Series:
    """The answer to one question. from_facts: count rows even where finished values or roll-ups are kept.

    transforms: False = the values before the KPI's transforms, without companions.

    Raises UnknownName, DefinitionError, QueryRefused, Withheld."""
    kpi = catalogue.kpi(query.kpi)
    _refuse_unshown(kpi, catalogue)
    grain = query.grain or kpi.grain
    few = catalogue.min_people
    if few:
        small_groups.refuse(query, kpi, grain)
        catalogue = catalogue.of_any_number
    _check(query, kpi, grain, catalogue)
    generation = _generation(query, reader)
    failure = behind(query, catalogue, reader)
    states = reader.dataset_states(failure.kept if failure else generation.sequence)
    full = default_scope(kpi, grain, catalogue, reader, states)
    asked = _asked(query, full)
    scope = _widened(query, kpi, asked, full)
    frame, definition, level = _values(query, kpi, scope, generation, from_facts)
    if few:
        frame = small_groups.masked(frame, kpi, scope, few)
    frame = _observed_part(frame, full)
    _refuse_unknown_segments(query, frame, full)
    told = _transformed(kpi, frame, catalogue, grain) if transforms else (frame, (), False)
    frame, companions, transformed = told
    if query.compare:
        frame = compare.compared(frame, query.compare, kpi, asked, points=kpi.changes_in_points)
    if query.compare == "to_date":
        frame = with_to_date(frame, kpi, asked, points=kpi.changes_in_points)
    if grain != periods.TOTAL:
        moments = frame["period"].to_numpy()
        inside = (moments >= np.datetime64(asked.start)) & (moments < np.datetime64(asked.end))
        frame = frame if inside.all() else _rows(frame, inside)
    mark = frames.watermark(dataclasses.replace(full, grain="hour"), catalogue.datasets_of(kpi), "hour")
    meant = tuple(which_is_meant(kpi, catalogue, [*filter(None, [query.by]), *(f.dimension for f in query.where)]))
    return Series(
        kpi=kpi.name,
        definition=definition,
        generation=generation.id,
        watermark=mark.tz_localize(UTC).to_pydatetime() if mark is not None else None,
        grain=grain,
        unit=unit(kpi),
        by=query.by,
        frame=frame,
        companions=companions,
        transformed=transformed,
        change_in_points=kpi.changes_in_points,
        parts_form=kpi.parts_form,
        part_names=kpi.part_names,
        level=level,
        gaps=tuple(str(gap) for gap in gaps(kpi, full) if gap.within(asked.start, asked.end if query.end else FAR)),
        begins=frames.begins(full, catalogue.datasets_of(kpi), grain),
        sql=tuple(scope.statements),
        notes=(*_notes(kpi, catalogue, reader, failure), *meant),
        meant=meant,
    )


def _refuse_unshown(kpi: KpiCommon, catalogue: Catalogue) -> None:
    """Raise Withheld or NotComputed where nobody, or not whoever asks, is shown a value."""
    if kpi.name in catalogue.withheld:
        raise Withheld(catalogue.withheld[kpi.name], where=kpi.name, hint="Ask whoever keeps this dashboard's roles.")
    if kpi.name in catalogue.uncomputed:
        hint = f"A sync computes it for everybody, `kpi query {kpi.name}` for you at once."
        raise NotComputed(catalogue.uncomputed[kpi.name], where=kpi.name, hint=hint)


def _notes(kpi: KpiCommon, catalogue: Catalogue, reader: Reader, failure: Failure | None) -> list[str]:
    """Why the definition or the values are not those of now."""
    held = [f"shown by the definition published last; {problem}" for problem in catalogue.held_problems(kpi.name)[:1]]
    return [*held, *([behind_text(failure, catalogue, reader)] if failure else [])]


def behind(query: Query, catalogue: Catalogue, reader: Reader) -> Failure | None:
    """Why the values that are shown are of an earlier generation, up to whose data they are complete."""
    if query.as_of is not None and query.as_of != reader.generation.id:
        return None
    found = reader.failures().get(query.kpi)
    if found is None or not found.kept:
        return None
    stored = reader.stored_definitions(query.kpi, catalogue.kpi(query.kpi).grain)
    return found if stored and stored[-1][0] == catalogue.definition(query.kpi) else None


def behind_text(failure: Failure, catalogue: Catalogue, reader: Reader) -> str:
    """`not computed since 24 Nov 2026, 02:30: took longer than 60 s`: a sentence without its end."""
    kept = next((g for g in reader.generations() if g.sequence == failure.kept), None)
    if kept is None:
        return f"not computed at the last sync: {failure.message}"
    at = kept.published_at.astimezone(ZoneInfo(catalogue.timezone))
    return f"not computed since {at.day} {at:%b %Y, %H:%M}: {failure.message}"


def _observed_part(frame: pd.DataFrame, full: Scope) -> pd.DataFrame:
    """What lies outside of the KPI's own range is unknown, also where a part of it was observed: as it is stored."""
    if full.grain == periods.TOTAL or frame.empty:
        return frame
    at = frame["period"].to_numpy()
    if at.min() >= full.start.to_datetime64() and at.max() < full.end.to_datetime64():
        return frame
    outside = (frame["period"] < full.start) | (frame["period"] >= full.end)
    frame = frame.copy()
    frame.loc[outside, ["value", "numerator", "denominator"]] = float("nan")
    return frame.assign(
        n=frame["n"].mask(outside), complete=frame["complete"] & ~outside, parts=frame["parts"].where(~outside, None)
    )


def _rows(frame: pd.DataFrame, inside: np.ndarray) -> pd.DataFrame:
    """The rows that lie inside; of one series they are a slice, which copies nothing."""
    places = np.flatnonzero(inside)
    in_one_piece = len(places) > 0 and places[-1] - places[0] + 1 == len(places)
    return (frame.iloc[places[0] : places[-1] + 1] if in_one_piece else frame[inside]).reset_index(drop=True)


def unit(kpi: KpiCommon) -> str:
    """number, percent, seconds or a currency code."""
    head, _, code = kpi.format.partition(" ")
    if head == "currency":
        return code or "currency"
    return "percent" if kpi.is_rate else "seconds" if head == "duration" else "number"


def default_scope(
    kpi: KpiCommon, grain: str, catalogue: Catalogue, reader: Reader, states: Mapping[str, DatasetState]
) -> Scope:
    """From the first event, or what a source states, to the watermark, the running period included."""
    names = catalogue.datasets_of(kpi)
    fine = "hour" if grain == "hour" else "day"
    firsts = [at for n in names if n in states for at in (states[n].first_at, states[n].since)]
    known = [periods.on_clock(at, fine, catalogue.timezone) for at in firsts if at is not None]
    scope = Scope(catalogue, reader, states, grain, pd.Timestamp(0), pd.Timestamp(0))
    mark = frames.watermark(scope, names, fine)
    if not known or mark is None:
        return scope
    step = "day" if grain == periods.TOTAL else grain
    start = periods.floor(min(known), step, catalogue.week_start_days)
    return dataclasses.replace(scope, start=start, end=periods.ceil(mark, step, catalogue.week_start_days))


def _check(query: Query, kpi: KpiCommon, grain: str, catalogue: Catalogue) -> None:
    if grain != periods.TOTAL:
        for count, of in kpi.offsets if grain in GRAINS else ():
            periods.offset_periods(grain, count, of)
        more = [launch_grain(kpi, catalogue)] if query.measured else []
        require(grain, [*kpi.offered_grains, *filter(None, more), periods.TOTAL], kind="grain", where=kpi.name)
    dimensions = catalogue.dimensions_of(kpi)
    for name in [query.by, *(f.dimension for f in query.where)]:
        if name is not None:
            require(name, dimensions, kind="dimension", where=kpi.name)
    if query.start and query.end and query.start >= query.end:
        raise QueryRefused(f"start {query.start} is not before end {query.end}", hint="The end is exclusive.")
    for day in (query.start, query.end):
        if day is not None and grain != periods.TOTAL and not FIRST_DAY <= day <= LAST_DAY:
            hint = f"Ask for days from {FIRST_DAY} to {LAST_DAY}, or leave `start` and `end` out for all there is."
            raise QueryRefused(f"{day} is too far away: windows and periods around it have no dates", hint=hint)
    if query.compare:
        require(query.compare, compare.NAMES, kind="comparison")
        if grain == periods.TOTAL and query.compare != "previous_range":
            raise QueryRefused("a total compares with the previous range only", hint="Use previous_range.")


def _generation(query: Query, reader: Reader) -> Generation:
    if query.as_of is None:
        return reader.generation
    known = {g.id: g for g in reader.generations()}
    if query.as_of not in known:
        near = did_you_mean(query.as_of, list(known)[-5:])
        raise UnknownGeneration(f"generation '{query.as_of}' was never published here", hint=near)
    return known[query.as_of]


def _asked(query: Query, full: Scope) -> Scope:
    """The asked range, widened to whole periods; the default where none is asked."""
    step = "day" if full.grain == periods.TOTAL else full.grain
    week = full.week_start_days
    start = periods.floor(pd.Timestamp(query.start), step, week) if query.start else full.start
    end = periods.ceil(pd.Timestamp(query.end), step, week) if query.end else full.end
    if (query.start or query.end) and full.grain in LENGTHS:
        _refuse_too_many(start, end, step)
    return dataclasses.replace(
        full,
        start=start,
        end=max(start, end),
        by=query.by,
        filters=(*query.where, *query.row_scope),
        entities=query.entities,
        so_far=query.end is None and full.grain == periods.TOTAL,
    )


def _refuse_too_many(start: pd.Timestamp, end: pd.Timestamp, grain: str) -> None:
    """A range that was mistyped would be counted for minutes. Raises QueryRefused."""
    count = (end.to_pydatetime() - start.to_pydatetime()) / LENGTHS[grain]
    if count > MOST_PERIODS:
        raise QueryRefused(
            f"from {start:%Y-%m-%d} to {end:%Y-%m-%d} there are {count:,.0f} {grain}s; {MOST_PERIODS:,} are the most",
            hint="Ask for fewer days, or by a longer grain.",
        )


def _widened(query: Query, kpi: KpiCommon, asked: Scope, full: Scope) -> Scope:
    """The range that must be counted: transforms need all history, a comparison its earlier periods."""
    if asked.grain == periods.TOTAL or asked.start >= asked.end:
        return asked
    start = min(asked.start, full.start) if kpi.transforms else asked.start
    if query.compare and start > full.start:  # before the first event there is nothing to compare with
        start = min(start, compare.reach(asked, query.compare, kpi))
    return dataclasses.replace(asked, start=start)


def _values(
    query: Query, kpi: KpiCommon, scope: Scope, generation: Generation, from_facts: bool
) -> tuple[pd.DataFrame, str, str]:
    """Frame (FACT_COLUMNS), definition and level."""
    stored = None if from_facts else _stored(query, kpi, scope, generation)
    if stored is not None:
        return *stored, "stored"
    if query.as_of is not None and generation.sequence != scope.reader.generation.sequence:
        raise QueryRefused(
            "what was published earlier is kept for unfiltered values, filters of one segment, and one breakdown",
            where=f"{kpi.name} as of {generation.id}",
            hint="Leave out `total`, or all filters but one.",
        )
    definition = scope.catalogue.definition(kpi.name)
    if any(published.id == generation.id for published in scope.reader.generations()):  # else rows may still come
        scope = dataclasses.replace(scope, known=scope.catalogue.known(generation.id))
    if not from_facts:
        kept = KeptRollups(scope.reader.rollups(), known=scope.known)
        scope = dataclasses.replace(scope, rollups=kept)
    frame = types.facts(kpi, scope)
    if query.compare == "previous_range" and scope.grain == periods.TOTAL:
        span = scope.end - scope.start
        earlier = dataclasses.replace(scope, start=scope.start - span, end=scope.start)
        before = types.facts(kpi, earlier).set_index("segment")
        frame = frame.assign(
            comparison=frame["segment"].map(before["value"]).astype("float64"),
            _complete=frame["segment"].map(before["complete"]),
        )
    return _ordered(frame), definition, "rollup" if scope.rollups and scope.rollups.read else "facts"


def _stored(query: Query, kpi: KpiCommon, scope: Scope, generation: Generation) -> tuple[pd.DataFrame, str] | None:
    """Level 1, if it can answer: no filter or one segment of one dimension, no scope of rows or entities."""
    one = len(query.where) == 1 and len(query.where[0].values) == 1
    if query.row_scope or query.entities or scope.grain == periods.TOTAL or (query.where and (query.by or not one)):
        return None
    dimension = query.by or (query.where[0].dimension if query.where else NO_DIMENSION)
    found = scope.reader.stored_values(kpi.name, scope.grain, dimension, generation.sequence)
    live = generation.sequence == scope.reader.generation.sequence
    if found is None or (live and found.definition != scope.catalogue.definition(kpi.name)):
        return None
    frame = found.frame
    if query.where:
        frame = frame[frame["segment"] == query.where[0].values[0]]
        if frame.empty:
            return None  # a value that never occurs: the facts say so, with what does
    return (_by_segment if scope.by else _on_spine)(frame, scope), found.definition


def _on_spine(frame: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """One series over every asked period; those outside of what was stored are unobserved, so unknown."""
    index = frames.scope_index(scope)
    at = _places(frame, index)
    inside = at >= 0
    segments = _no_segment(len(index), frame["segment"].dtype).copy()
    return _placed(frame, inside, at[inside], segments, index)


def _by_segment(frame: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """The same for each segment that has a row in the range, in the order of `_ordered`."""
    index = frames.scope_index(scope)
    at = _places(frame, index)
    codes, names = pd.factorize(frame["segment"])
    inside = at >= 0
    codes = codes[inside]
    weight = np.bincount(codes, np.nan_to_num(_floats(frame, "n")[inside]), len(names))
    present = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    order = sorted(present, key=lambda code: (-weight[code], names[code]))
    rank = np.zeros(len(names), dtype=np.intp)
    rank[order] = np.arange(len(order))
    segments = pd.array(np.repeat(names.to_numpy(dtype=object)[order], len(index)), dtype=frame["segment"].dtype)
    periods_ = pd.DatetimeIndex(np.tile(index.to_numpy(), len(order)))
    return _placed(frame, inside, rank[codes] * len(index) + at[inside], segments, periods_)


def _places(frame: pd.DataFrame, index: pd.DatetimeIndex) -> np.ndarray:
    """The place of each row's period among those asked for; -1 = it is none of them."""
    moments, asked = frame["period"].to_numpy(dtype="datetime64[us]"), index.to_numpy(dtype="datetime64[us]")
    if not len(asked):
        return np.full(len(moments), -1)
    at = np.searchsorted(asked, moments)
    at[at == len(asked)] = 0
    return np.where(asked[at] == moments, at, -1)


def _placed(frame: pd.DataFrame, rows: np.ndarray, place: np.ndarray, segments: Any, index: Any) -> pd.DataFrame:
    """These rows of stored values at their places among all segments and periods; what is at no place is unknown."""
    count = len(index)

    def numbers(column: str) -> np.ndarray:
        values = np.full(count, np.nan)
        values[place] = _floats(frame, column)[rows]
        return values

    n, complete, parts = numbers("n"), np.zeros(count, dtype=bool), np.full(count, None, dtype=object)
    complete[place] = frame["complete"].to_numpy(dtype=bool)[rows]
    parts[place] = frame["parts"].to_numpy(dtype=object)[rows]
    unknown = np.isnan(n)
    return pd.DataFrame(
        {
            "segment": segments,
            "period": index,
            "value": numbers("value"),
            "numerator": numbers("numerator"),
            "denominator": numbers("denominator"),
            "n": pd.arrays.IntegerArray(np.where(unknown, 0, n).astype("int64"), unknown),
            "complete": complete,
            "parts": parts,
        },
        copy=False,  # all of them were made here
    )


def _floats(frame: pd.DataFrame, column: str) -> np.ndarray:
    found: np.ndarray = frame[column].to_numpy(dtype="float64", na_value=np.nan)
    return found


@lru_cache(maxsize=256)
def _no_segment(count: int, dtype: Any) -> Any:
    """The segment of a whole, so many times; a copy of it shares its memory until it is written to."""
    return pd.array([""] * count, dtype=dtype)


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Largest segment first (by rows behind it), then by name; periods rising."""
    if frame["segment"].nunique() == 1 and frame["period"].is_monotonic_increasing:
        return frame.reset_index(drop=True)
    weight = frame.groupby("segment")["n"].sum().astype("float64")
    order = {s: i for i, s in enumerate(sorted(weight.index, key=lambda s: (-weight[s], s)))}
    ranked = frame.assign(_rank=frame["segment"].map(order))
    return ranked.sort_values(["_rank", "period"], kind="stable").drop(columns="_rank").reset_index(drop=True)


def _refuse_unknown_segments(query: Query, frame: pd.DataFrame, full: Scope) -> None:
    """A filter value that never occurs gives no rows at all: say so instead of showing zeros."""
    if not query.where or frame["n"].fillna(0).sum() > 0:
        return
    kpi = full.catalogue.kpi(query.kpi)
    for item in query.where:
        occurring = _occurring(kpi, item.dimension, full)
        for value in item.values:
            if occurring:
                require(value, occurring, kind=item.dimension, where=kpi.name)


def _occurring(kpi: KpiCommon, dimension: str, full: Scope) -> list[str]:
    """Every value of a dimension in the rows behind a KPI, whatever its own filter and the range."""
    catalogue, found = full.catalogue, set[str]()
    if kpi.dimensions_in_answer:
        return sorted(set(types.facts(kpi, dataclasses.replace(full, grain=kpi.grain, by=dimension))["segment"]))
    names = catalogue.datasets_of(kpi)
    for name in names[:1] if kpi.conditions else names:
        dataset = catalogue.datasets[name]
        if dimension in dataset.dimensions:
            values = exp.select(trees.segment(dataset, dimension).as_(trees.SEGMENT)).distinct()
            found |= set(trees.run(trees.from_dataset(values, dataset), full)[trees.SEGMENT])
    return sorted(found)


def _transformed(
    kpi: KpiCommon, frame: pd.DataFrame, catalogue: Catalogue, grain: str
) -> tuple[pd.DataFrame, tuple[str, ...], bool]:
    """Apply the listed transforms per segment; `as` adds a column, else the shown value changes."""
    if not kpi.transforms or grain == periods.TOTAL:
        return frame, (), False
    parts, companions, replaced = [], [], False
    for _, part in frame.groupby("segment", sort=False):
        part = part.copy()
        for step in kpi.transforms:
            (name, options), *_ = step.items()
            values = part.set_index("period")["value"]
            result = catalogue.transforms[name].apply(values, options).to_numpy()
            column = str(options.get("as", "value"))
            part[column] = result
            replaced |= column == "value"
            companions += [column] if column != "value" else []
        parts.append(part)
    full = pd.concat(parts, ignore_index=True) if parts else frame
    return full, tuple(dict.fromkeys(companions)), replaced
