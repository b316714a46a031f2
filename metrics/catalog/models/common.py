"""kpis/*.yml: the keys of every KPI type, and the small shapes that they are made of."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from metrics.catalog.models.dataset import NAME
from metrics.catalog.models.values import Duration, Grain, Target, Thresholds

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
    renotify_after: Duration | None = Field(None, description="Remind while it fires and nobody acknowledged it.")
    notify: tuple[str, ...] = Field((), description="Contact points; default the owner.")


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
        None, description="How changes are told; default points for rates, else relative."
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

    @property
    def parts(self) -> dict[str, str | Measure]:
        """Key → the KPI's name or the inline measure, with its dataset, that this KPI is made of there."""
        return {}

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """Place in the file → rows that its entities are followed through, the base first; with their datasets."""
        return {}

    def _placed(self, part: str | Measure) -> str | Measure:
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
