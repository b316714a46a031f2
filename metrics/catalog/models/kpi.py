"""kpis/*.yml: the keys of every KPI type, and the small shapes that they are made of."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from connectors.errors import did_you_mean
from metrics.catalog.models.dataset import NAME, Dataset
from metrics.catalog.models.values import GRAINS, SINCE, Duration, Grain, Since, Target, Thresholds, Window

if TYPE_CHECKING:
    from connectors.errors import Problem
    from metrics.catalog.checks.fields import Known
    from metrics.catalog.document import Document

Place = tuple[str | int, ...]  # where in a file
Longer = Literal["sum", "level", "other"]
FORMATS = ("number", "percent", "currency", "currency USD", "duration")
FORMAT = r"number|percent|duration|currency( [A-Z]{3})?|[^#0]*[#0,]*[#0](\.0+)?[^#0]*"

Agg = Literal["count", "count_distinct", "sum", "avg", "min", "max", "median", "percentile", "first", "last"]
AGGS = ("count", "count_distinct", "sum", "avg", "min", "max", "median", "percentile", "first", "last")


class Strict(BaseModel):
    """Frozen, no unknown keys."""

    # Built on first use: one question from a shell needs one type of eleven.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


class Measure(Strict):
    """One aggregate over the rows of a dataset: agg + expr, or sql."""

    dataset: str = ""
    agg: Agg | None = None
    expr: str = ""
    percentile: float | None = Field(None, gt=0, lt=1)
    sql: str = Field("", description="One aggregate expression, in place of agg and expr.")
    filter: str = Field("", description="Condition on rows.")

    @model_validator(mode="after")
    def _whole(self) -> Measure:
        if bool(self.agg) == bool(self.sql):
            raise ValueError("write either `agg` (with `expr`) or `sql`")
        if self.agg and self.agg != "count" and not self.expr:
            raise ValueError(f"`agg: {self.agg}` needs `expr`")
        if (self.agg == "percentile") != (self.percentile is not None):
            raise ValueError("`agg: percentile` and `percentile: 0.95` go together")
        return self

    @property
    def longer(self) -> Longer:
        """As KpiCommon.longer; of SQL only what is sure."""
        if self.agg in ("count", "sum"):
            return "sum"
        return "level" if self.agg in ("avg", "median", "percentile", "first", "last") else "other"


Part = str | Measure  # a KPI's name, or an inline measure


class SemiAdditive(Strict):
    """Which row of a period counts for each entity (balances)."""

    pick: Literal["first", "last", "min", "max"] = "last"
    per: str = ""


class Alert(Strict):
    """One alert rule. States are counted in complete periods of the home grain."""

    name: str = Field(pattern=NAME)
    compare: Literal[
        "value", "previous_period", "same_period_last_week", "same_period_last_year", "target", "expected_range"
    ] = Field("value", description="What the thresholds are held against.")
    thresholds: Thresholds | None = Field(
        None, description="warning, critical and their _recovery; default the KPI's own, of a target: missing it."
    )
    for_: int = Field(1, alias="for", ge=1, description="Complete periods in a row before it fires.")
    min_volume: float = Field(0, description="Least n of a period that is judged.")
    by: tuple[str, ...] = Field((), description="Dimensions: one state per segment.")
    no_data: Literal["stale", "ok", "alert"] = Field("stale", description="What an unknown complete period counts as.")
    sensitivity: Literal["sensitive", "default", "quiet"] = Field("default", description="Of an expected range.")
    of: str = Field("", description="A companion series; default the value before transforms.")
    renotify_after: Duration | None = Field(None, description="Remind while it fires and is not acknowledged.")
    notify: tuple[str, ...] = Field((), description="Contact points; default the owner.")
    since: Since | None = Field(None, description=SINCE)


class Check(Strict):
    """A condition on the KPI's complete periods, run by `kpi check` and after each sync."""

    between: tuple[float, float] | None = Field(None, description="Lowest and highest plausible value.")
    not_unknown: bool | None = Field(None, description="No complete period may be unknown.")
    min_n: int | None = Field(None, description="Rows or entities that each complete period has at least.")

    @model_validator(mode="after")
    def _one(self) -> Check:
        if sum(v is not None for v in (self.between, self.not_unknown, self.min_n)) != 1:
            raise ValueError("a check has exactly one of between, not_unknown, min_n")
        return self


class Change(Strict):
    """When and why the definition changed its meaning."""

    on: date
    by: str = ""
    why: str


class Condition(Strict):
    """Rows that start, convert or return: a filter, with its dataset where it differs."""

    dataset: str = ""
    filter: str = ""


class KpiCommon(Strict):
    """Keys of every type."""

    name: str = Field(pattern=NAME, description="The file's stem.")
    formerly: tuple[Annotated[str, Field(pattern=NAME)], ...] = Field(
        (), description="Names that it had before: links to them lead here."
    )
    label: str = ""
    description: str = ""
    area: str = ""
    type: str = "simple"
    dataset: str = ""
    grain: Grain = Field("day", description="Home grain: what card, alert and headline speak about.")
    grains: tuple[Grain, ...] = Field((), description="Offered grains; default all from the home grain up.")
    dimensions: tuple[str, ...] | None = Field(None, description="Default: all of the dataset's.")
    direction: Literal["up_is_good", "down_is_good", "neutral"] = "up_is_good"
    format: str = "number"
    delta: Literal["relative", "points"] | None = Field(
        None, description="How changes are shown; default points for rates, else relative."
    )
    period_agg: Literal["exact", "last", "mean", "max"] | None = None
    thresholds: Thresholds | None = None
    targets: tuple[Target, ...] = ()
    transforms: tuple[dict[str, dict[str, Any]], ...] = ()
    alerts: tuple[Alert, ...] = ()
    drivers: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    owner: str = ""
    overview: bool = Field(True, description="False = left off the overview: a KPI that only serves others.")
    status: Literal["live", "draft"] = "live"
    changes: tuple[Change, ...] = ()
    tags: tuple[str, ...] = ()
    holidays: str = ""
    synonyms: tuple[str, ...] = ()
    meta: dict[str, Any] = Field(default_factory=dict)

    @field_validator("format")
    @classmethod
    def _known_format(cls, text: str) -> str:
        if not re.fullmatch(FORMAT, text):
            hint = did_you_mean(text, FORMATS)
            raise ValueError(f'\'{text}\' is no format\n{hint} Or a pattern with its digits: "#,##0.0", "0.0%".')
        return text

    @field_validator("period_agg", mode="before")
    @classmethod
    def _no_sums(cls, how: Any) -> Any:
        """Said in full, because it is what others do: daily users do not add up to weekly ones."""
        if how == "sum":
            raise ValueError(
                "values of short periods are not added up\nLeave `period_agg` out: counts and sums of a longer period "
                "are exact then, and whoever came twice counts once."
            )
        return how

    @property
    def transform_names(self) -> tuple[str, ...]:
        """Names of its transforms, in order."""
        return tuple(next(iter(step)) for step in self.transforms)

    @field_validator("transforms", mode="before")
    @classmethod
    def _bare_names(cls, steps: Any) -> Any:
        """`- cumulative` is short for `- cumulative: {}`."""
        if not isinstance(steps, list):
            return steps
        full = [{step: {}} if isinstance(step, str) else step for step in steps]
        full = [{k: v or {} for k, v in s.items()} if isinstance(s, dict) else s for s in full]
        for step in full:
            if isinstance(step, dict) and len(step) != 1:
                raise ValueError("each step names one transform\nWrite `- rolling: {periods: 4}`.")
        return full

    # What is known of a definition without asking the data. A type's own file says where it differs.

    @property
    def parts(self) -> dict[str, Part]:
        """Key → the KPI's name or the inline measure, with its dataset, that this KPI is made of there."""
        return {}

    @property
    def conditions(self) -> dict[Place, Condition]:
        """Place in the file → rows that its entities are followed through, the base first; with their datasets."""
        return {}

    @property
    def condition_names(self) -> tuple[str, ...]:
        """What people call each of the conditions: its key."""
        return tuple(str(place[0]) for place in self.conditions)

    @property
    def measures(self) -> dict[Place, Measure]:
        """Place in the file → each aggregate over rows that the file states."""
        return {(key,): part for key, part in self.parts.items() if isinstance(part, Measure)}

    @property
    def row_filters(self) -> dict[str, str]:
        """What people call it → filter on the rows of the KPI's own dataset; conditions have their own."""
        return {}

    @property
    def row_needs(self) -> str:
        """What a row must meet besides the filter to be counted at all; empty = nothing."""
        return ""

    @property
    def references(self) -> list[tuple[tuple[str, ...], str]]:
        """(place in the file, KPI named there) for each KPI that this one is made of."""
        return [((key,), part) for key, part in self.parts.items() if isinstance(part, str)]

    def reads(self, datasets: Collection[str]) -> list[str]:
        """Those of `datasets` that SQL of its own names."""
        return []

    def people_measures(self, kpis: Mapping[str, KpiCommon]) -> tuple[Measure, ...] | str:
        """Measures whose rows' people are behind a value; none = numerator and denominator are people. Or why not."""
        return f"of a KPI of type {self.type} nobody knows how many people are behind a value"

    @property
    def named_tables(self) -> tuple[str, ...]:
        """Tables and datasets that SQL of its own names, each once."""
        return ()

    def without_columns(self, hidden: Collection[str]) -> KpiCommon:
        """It, or what is left where it would show one of these columns (in small letters) of its rows as they are."""
        return self

    def own_dimensions(self, data: Dataset) -> tuple[str, ...]:
        """Dimensions that its own rows carry."""
        return tuple(data.dimensions)

    @property
    def dimensions_in_answer(self) -> bool:
        """Whether dimensions are columns of what it computes, not of its dataset's rows."""
        return False

    @property
    def trailing_window(self) -> Window | None:
        """The days that each value looks back over; None: its period's own."""
        return None

    @property
    def additivity(self) -> str:
        """additive: adds up over periods and segments; semi-additive: over segments only; else non-additive."""
        return "non-additive"

    @property
    def counts_each_hour_once(self) -> bool:
        """Whether a day of 25 hours has a value larger by that hour."""
        return False

    @property
    def grows_with_people(self) -> bool:
        """Whether a value is larger the more people it is of: a segment cannot be held against the target of all."""
        return False

    @property
    def runs_on(self) -> bool:
        """Whether each value has those before it inside: it adds up over time."""
        return False

    @property
    def to_date_grain(self) -> Grain | None:
        """The period that a running value starts anew with."""
        return None

    @property
    def has_each_day(self) -> bool:
        """Whether it can be counted by day whatever its home grain, if its parts can."""
        return False

    @property
    def is_part(self) -> bool:
        """Whether ratios and running values may name it as a part."""
        return False

    @property
    def is_share(self) -> bool:
        """Whether its numerator should be part of its denominator: above 1 is surely wrong."""
        return False

    @property
    def is_score(self) -> bool:
        """Whether its values are points on a scale."""
        return False

    @property
    def settles_after(self) -> timedelta:
        """How long after its end a period's value still changes, where that is one span."""
        return timedelta(0)

    @property
    def home_grain_only(self) -> bool:
        """Whether it has no value of longer periods."""
        return False

    def longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """What a longer period's value is to those of the shorter ones in it. kpis: by name, those it is made of.

        sum: all of them added up. level: of the same scale, as a mean or a rate is. other: it has a scale of its own,
        since who came twice counts once: people of a week are neither those of a day nor seven times as many.
        """
        how = self.coarser_by or self._stated_coarser_by("exact")
        return self._longer(kpis) if not how else "other" if how == "max" else "level"

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """Of values that are counted anew for each period."""
        return "other"

    @property
    def offsets(self) -> tuple[tuple[int, str], ...]:
        """(count, grain) of the earlier periods that its values are made of, too."""
        return ()

    @property
    def offered_grains(self) -> tuple[str, ...]:
        """Grains that it can be asked at, besides total."""
        if self.grains:
            return self.grains
        return (self.grain,) if self.home_grain_only else GRAINS[GRAINS.index(self.grain) :]

    @property
    def coarser_by(self) -> str:
        """last, mean or max, where longer periods are made of those of the home grain; empty: they are exact."""
        return self._stated_coarser_by("exact")

    def _stated_coarser_by(self, default: str) -> str:
        how = self.period_agg or default
        return "" if how == "exact" else how

    @property
    def part_names(self) -> tuple[str, ...]:
        """A name for each of the `parts` of a value, in order; empty where it has none."""
        return ()

    @property
    def parts_form(self) -> str:
        """How its parts are told: counts (by name), steps (each of the one before) or curve (each of the first)."""
        return "counts"

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """What a well-formed definition of the type can still get wrong; what all types share is checked elsewhere."""
        return []

    def _placed(self, part: Part) -> Part:
        """A part with the KPI's dataset where it names none."""
        bare = isinstance(part, Measure) and not part.dataset
        return part.model_copy(update={"dataset": self.dataset}) if bare else part  # type: ignore[union-attr]

    @property
    def title(self) -> str:
        """The label, or the name in words."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def changes_in_points(self) -> bool:
        """Whether changes are told as differences, not as shares."""
        return self.delta == "points" or (self.delta is None and self.is_rate)

    @property
    def is_rate(self) -> bool:
        """Whether values are shares of 1, shown in percent."""
        return self.format == "percent" or self.format.endswith("%")


def given(data: Any, key: str) -> Any:
    """What a definition states for a key; None if nothing."""
    return data.get(key) if isinstance(data, dict) else None


def with_format(data: Any, default: str) -> Any:
    """The definition with the format that its type is read in, where it states none."""
    return {"format": default, **data} if isinstance(data, dict) else data
