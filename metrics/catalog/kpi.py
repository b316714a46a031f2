"""kpis/*.yml: every key of every KPI type. Shape only; names and SQL are checked in check.py."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from metrics.catalog.dataset import NAME
from metrics.catalog.values import Duration, Grain, Target, Threshold, Thresholds, Window

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
    """One alert rule; evaluated from the alert issue on."""

    name: str = Field(pattern=NAME)
    compare: Literal[
        "value", "previous_period", "same_period_last_week", "same_period_last_year", "target", "expected_range"
    ] = "value"
    thresholds: Thresholds | None = None
    for_: int = Field(1, alias="for", ge=1, description="Consecutive complete periods.")
    min_volume: float = 0
    by: tuple[str, ...] = ()
    no_data: Literal["stale", "ok", "alert"] = "stale"
    sensitivity: Literal["sensitive", "default", "quiet"] = "default"
    of: str = ""
    renotify_after: Duration | None = None
    notify: tuple[str, ...] = ()


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


class Simple(KpiCommon):
    """An aggregate over rows, or over a trailing window of whole days."""

    type: Literal["simple"] = "simple"
    dataset: str
    agg: Agg | None = None
    expr: str = ""
    percentile: float | None = Field(None, gt=0, lt=1)
    sql: str = ""
    filter: str = ""
    window: Window | None = None
    semi_additive: SemiAdditive | None = None

    @model_validator(mode="after")
    def _whole(self) -> Simple:
        _ = self.measure
        if self.window and self.grain == "hour":
            raise ValueError("a windowed KPI has no hour grain\nWrite `grain: day`.")
        if self.semi_additive and (self.sql or self.agg in ("first", "last")):
            raise ValueError("`semi_additive` picks the rows, `agg` adds them\nWrite `agg: sum` with `expr`.")
        if self.semi_additive and self.window:
            raise ValueError("`semi_additive` and `window` do not go together\nLeave out `window`.")
        return self

    @property
    def measure(self) -> Measure:
        """The aggregate, as a ratio's part would write it."""
        return Measure(
            dataset=self.dataset, agg=self.agg, expr=self.expr, percentile=self.percentile,
            sql=self.sql, filter=self.filter,
        )  # fmt: skip


Part = str | Measure


class Ratio(KpiCommon):
    """Sum of parts / sum of parts; each part a KPI's name or an inline measure."""

    type: Literal["ratio"]
    numerator: Part
    denominator: Part

    @model_validator(mode="after")
    def _datasets(self) -> Ratio:
        for key in ("numerator", "denominator"):
            part = getattr(self, key)
            if isinstance(part, Measure) and not (part.dataset or self.dataset):
                raise ValueError(f"`{key}` needs a dataset\nWrite `dataset:` in the KPI or in the part.")
        return self

    @property
    def parts(self) -> dict[str, Part]:
        """numerator and denominator."""
        return {"numerator": self._placed(self.numerator), "denominator": self._placed(self.denominator)}


class Derived(KpiCommon):
    """Arithmetic of other KPIs: `1000 * {tickets} / {active_users} offset 1 week`."""

    type: Literal["derived"]
    expr: str


class Sql(KpiCommon):
    """A SELECT giving period, value (numerator, denominator, n) and dimensions at the home grain."""

    type: Literal["sql"]
    dataset: str
    sql: str
    maturity: Duration = Field(timedelta(0), description="How long after its end a period keeps changing.")


class Cumulative(KpiCommon):
    """A measure from the first event on, or from the start of the running week, month, quarter or year."""

    type: Literal["cumulative"]
    dataset: str = ""
    measure: Part
    window: Window | None = Field(None, description="Not taken: a trailing window is a simple KPI's `window`.")
    grain_to_date: Grain | None = Field(None, description="Start anew with each of these; default: never.")

    @model_validator(mode="after")
    def _to_date(self) -> Cumulative:
        if self.window is not None:
            raise ValueError("a cumulative KPI has no window\nWrite a simple KPI with `window`, or `grain_to_date`.")
        if self.grain == "hour" or self.grain_to_date in ("hour", "day"):
            raise ValueError("a cumulative KPI counts in days\nWrite `grain: day` and `grain_to_date: month`.")
        if isinstance(self.measure, Measure) and not (self.measure.dataset or self.dataset):
            raise ValueError("`measure` needs a dataset\nWrite `dataset:` in the KPI or in the measure.")
        return self

    @property
    def parts(self) -> dict[str, Part]:
        """measure."""
        return {"measure": self._placed(self.measure)}


class Condition(Strict):
    """Rows that start, convert or return: a filter, with its dataset where it differs."""

    dataset: str = ""
    filter: str = ""


def _as_condition(given: Any) -> Any:
    """A filter on the KPI's own dataset is short for {filter: …}."""
    return {"filter": given} if isinstance(given, str) else given


_PROPERTIES = {name: {"type": "string"} for name in ("dataset", "filter")}
Rows = Annotated[Condition, BeforeValidator(_as_condition), WithJsonSchema({"anyOf": [
    {"type": "string", "description": "A filter on the KPI's own dataset."},
    {"type": "object", "properties": _PROPERTIES, "additionalProperties": False},
]})]  # fmt: skip


class Cohort(KpiCommon):
    """A type that follows entities from the rows of one condition to those of others, maybe of other datasets."""

    dataset: str

    def _rows(self, given: Condition) -> Condition:
        return given if given.dataset else Condition(dataset=self.dataset, filter=given.filter)


class Conversion(Cohort):
    """Share of the period's base that converts within the window."""

    type: Literal["conversion"]
    base: Rows = Field(Condition(), description="Who may convert; default every row of the dataset.")
    conversion: Rows
    window: Duration | None = Field(None, description="At once, or later by less than this; default: ever.")
    calculation: Literal["rate", "count"] = "rate"
    of: Literal["entities", "events"] = "entities"

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        return _with_format(data, "number" if _get(data, "calculation") == "count" else "percent")

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """base, conversion."""
        return {("base",): self._rows(self.base), ("conversion",): self._rows(self.conversion)}


class Step(Strict):
    """One funnel step."""

    name: str
    filter: str = ""
    dataset: str = ""


class Funnel(Cohort):
    """Entities that pass each step in order."""

    type: Literal["funnel"]
    steps: tuple[Step, ...] = Field(min_length=2)
    window: Duration | None = Field(None, description="From the first step to the last; default: ever.")
    order: Literal["sequential", "strict"] = "sequential"
    per: Literal["entity", "attempt"] = Field(
        "entity", description="attempt: an entity counts once for each day on which it starts."
    )

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        return _with_format(data, "percent")

    @model_validator(mode="after")
    def _one_dataset(self) -> Funnel:
        if self.order == "strict" and len({c.dataset for c in self.conditions.values()}) > 1:
            raise ValueError("`order: strict` needs all steps in one dataset\nWrite `order: sequential`.")
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps have the same name")
        return self

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """The steps."""
        return {("steps", i): self._rows(Condition(dataset=s.dataset, filter=s.filter))
                for i, s in enumerate(self.steps)}  # fmt: skip


CURVE = {"day": 30, "week": 12, "month": 12}  # how far a retention curve reaches, in units, where nobody says


class Retention(Cohort):
    """Share of a cohort that comes back at a later period."""

    type: Literal["retention"]
    start: Rows = Field(Condition(), description="What makes an entity join a cohort; default every row.")
    return_: Rows = Field(Condition(), alias="return", description="What counts as coming back; default every row.")
    unit: Literal["day", "week", "month"] = "week"
    at: int = Field(ge=1, description="The headline's entry of the curve, in units after the start.")
    cohort: Literal["first", "recurring"] = "first"
    mode: Literal["bounded", "rolling"] = "bounded"
    count_from: Literal["calendar", "start"] = Field(
        "calendar", description="Whole calendar units after the start's, or units counted from each start's own day."
    )
    curve: int | None = Field(None, ge=1, le=400, description="Units that the curve reaches; default 30 days, else 12.")

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, data: Any) -> Any:
        return _with_format(data, "percent")

    @model_validator(mode="after")
    def _units(self) -> Retention:
        if self.count_from == "start" and self.unit == "month":
            raise ValueError("months from a start have no fixed length\nWrite `unit: week`, or `count_from: calendar`.")
        return self

    @property
    def length(self) -> int:
        """Units that the curve reaches."""
        return max(self.at, self.curve or CURVE[self.unit])

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """start, return."""
        return {("start",): self._rows(self.start), ("return",): self._rows(self.return_)}


class Lifecycle(Cohort):
    """New, returning, resurrected and dormant entities."""

    type: Literal["lifecycle"]
    activity: str = Field("", description="Filter: rows that make an entity active.")

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """activity."""
        return {("activity",): self._rows(Condition(filter=self.activity))}


class Stickiness(Cohort):
    """Mean short-period actives / long-period actives."""

    type: Literal["stickiness"]
    activity: str = Field("", description="Filter: rows that make an entity active.")
    short: Grain = "day"
    long: Grain = "month"

    @model_validator(mode="before")
    @classmethod
    def _home(cls, data: Any) -> Any:
        found = _with_format(data, "percent")
        if isinstance(found, dict) and "grain" not in found:
            found = {**found, "grain": found.get("long", "month")}
        return found

    @model_validator(mode="after")
    def _periods(self) -> Stickiness:
        if (self.short, self.long) not in FITTING:
            raise ValueError(
                f"{self.long}s do not hold whole {self.short}s\nWrite such as `short: day` and `long: month`."
            )
        if self.grain != self.long:
            raise ValueError(f"its home grain is its long period\nWrite `grain: {self.long}`, or leave it out.")
        return self

    @property
    def conditions(self) -> dict[tuple[str | int, ...], Condition]:
        """activity."""
        return {("activity",): self._rows(Condition(filter=self.activity))}


FITTING = {("day", long) for long in ("week", "month", "quarter", "year")}
FITTING |= {("month", "quarter"), ("month", "year"), ("quarter", "year")}


class Survey(KpiCommon):
    """NPS, CSAT or CES of answers."""

    type: Literal["survey"]
    dataset: str
    score: str = Field(description="Column or expression that holds the answer.")
    scale: Literal["nps", "csat", "ces"] = "nps"
    comment: str = Field("", description="Column of what customers wrote.")
    filter: str = ""

    @model_validator(mode="before")
    @classmethod
    def _shown(cls, data: Any) -> Any:
        return _with_format(data, {"csat": "percent", "ces": "0.0"}.get(str(_get(data, "scale")), "0"))

    @property
    def changes_in_points(self) -> bool:
        """Scores change in points."""
        return self.delta != "relative"


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def _with_format(data: Any, default: str) -> Any:
    """The definition with the format that its type is read in, where it states none."""
    return {"format": default, **data} if isinstance(data, dict) else data


Kpi = Simple | Ratio | Derived | Sql | Cumulative | Conversion | Funnel | Retention | Lifecycle | Stickiness | Survey
KPI_TYPES: dict[str, type[KpiCommon]] = {
    "simple": Simple, "ratio": Ratio, "derived": Derived, "cumulative": Cumulative, "conversion": Conversion,
    "funnel": Funnel, "retention": Retention, "lifecycle": Lifecycle, "stickiness": Stickiness,
    "survey": Survey, "sql": Sql,
}  # fmt: skip
__all__ = ["AGGS", "KPI_TYPES", "Kpi", "KpiCommon", "Measure", "Threshold"]
