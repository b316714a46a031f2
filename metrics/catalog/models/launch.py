"""launches/*.yml: launches and other marks on the time line. The state store keeps those that were made on a page."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from metrics.catalog.models.dataset import NAME
from metrics.catalog.models.kpi import Strict
from metrics.catalog.models.values import Threshold

KINDS = ("launch", "incident", "campaign", "holiday", "redefinition", "note")
READINGS = (7, 14, 28)  # days since launch on which a verdict is read, fixed beforehand
FIRM_DAYS = 14  # an earlier verdict may still turn
EXPECTED = re.compile(r"[+-]?\s*\d+(\.\d+)?\s*(%|pp)?")
MARGIN = re.compile(r"(\d+(\.\d+)?)\s*(%|pp)")


class RolloutStep(Strict):
    """From `on`, this share of the audience has it, or of one segment."""

    on: date
    share: float = Field(1.0, gt=0, le=1)
    segment: str = Field("", description="Filter of one dimension, as country = 'DE'; default the whole audience.")


class SuccessKpi(Strict):
    """A KPI that the launch is meant to move."""

    kpi: str
    expect: str = Field("", description="The effect hoped for: +4pp, +5%; or a level to reach: 25%.")

    @field_validator("expect")
    @classmethod
    def _effect(cls, text: str) -> str:
        if text and not EXPECTED.fullmatch(text.strip()):
            raise ValueError(f"'{text}' is no effect\nWrite one such as +4pp, +5% or 25%.")
        return text


class Guardrail(Strict):
    """A KPI that the launch must not hurt."""

    kpi: str
    limit: str = Field("", description='What must hold of each value: "< 2.6", "> 40"; default its critical threshold.')
    margin: str = Field("", description="How much worse than the control people may be: 1%, or 0.5pp of a rate.")

    @field_validator("limit")
    @classmethod
    def _condition(cls, text: str) -> str:
        if text:
            Threshold.model_validate(text)
        return text

    @field_validator("margin")
    @classmethod
    def _amount(cls, text: str) -> str:
        if text and not MARGIN.fullmatch(text.strip()):
            raise ValueError(f"'{text}' is no margin\nWrite one such as 1% (of the control's value) or 0.5pp.")
        return text

    @property
    def must(self) -> Threshold | None:
        """The limit as a condition that good values meet."""
        return Threshold.model_validate(self.limit) if self.limit else None


class Adoption(Strict):
    """How using it is seen in the data."""

    dataset: str = Field(description="With an entity: who uses it.")
    used: str = Field(description="Condition on rows of it that are a use of what was launched.")


def _text(value: Any) -> Any:
    """What YAML takes for a truth value or a whole number, as a column of such is written in a text."""
    return str(value).lower() if isinstance(value, (bool, int)) else value


class Exposure(Strict):
    """Who was shown which variant: a flag's or experiment's log, or a dataset with the variant in a column."""

    dataset: str = Field(description="A row for each time that somebody was shown a variant, or one per entity.")
    variant: str = Field(description="Column that says which.")
    entity: str = Field("", description="Column of who; default the dataset's entity.")
    at: str = Field("", description="Column of when; default since the launch, or since an entity's first row after.")
    control: str = Field("control", description="The variant that did not get it.")
    split: dict[str, float] = Field(
        default_factory=dict, description="Variant → its share as planned; default equal shares, unless by `rollout`."
    )

    @field_validator("control", mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Logs of flags say true and false, or 0 and 1."""
        return _text(value)

    @field_validator("split", mode="before")
    @classmethod
    def _bare_keys(cls, value: Any) -> Any:
        return {_text(key): share for key, share in value.items()} if isinstance(value, dict) else value

    @field_validator("split")
    @classmethod
    def _shares(cls, split: dict[str, float]) -> dict[str, float]:
        if split and (len(split) < 2 or any(not 0 < share < float("inf") for share in split.values())):
            raise ValueError("`split` has a share above 0 for each variant\nWrite such as {control: 0.5, new: 0.5}.")
        return split

    @model_validator(mode="after")
    def _control_has_a_share(self) -> Exposure:
        if self.split and self.control not in self.split:
            hint = f"Write its share, or which of {', '.join(self.split)} is the `control`."
            raise ValueError(f"`split` has no share of the control '{self.control}'\n{hint}")
        return self


class Origin(Strict):
    """The release or flag that a launch was drafted from."""

    source: str = Field(description="Name of the source.")
    id: str = Field(description="The vendor's: a new title is no new launch.")
    of: str = Field("", description="What it is, in words: octo-org/shop v2.3.0.")


class GoToMarket(Strict):
    """One line of the go-to-market checklist."""

    audience: str
    message: str = ""
    channel: str = ""
    done: bool = False


class Launch(Strict):
    """A launch, or another mark: incident, campaign, holiday, redefinition, note."""

    name: str = Field(pattern=NAME, max_length=80, description="The file's stem.")
    label: str = Field("", max_length=200)
    kind: Literal["launch", "incident", "campaign", "holiday", "redefinition", "note"] = "launch"
    owner: str = ""
    area: str = Field("", description="Draw it on KPIs of this area; empty with empty `kpis` = on all.")
    kpis: tuple[str, ...] = Field((), description="Draw it on these KPIs.")
    on: date | None = Field(None, description="The day; or `rollout`.")
    until: date | None = None
    rollout: tuple[RolloutStep, ...] = ()
    hypothesis: str = ""
    audience: str = Field("", description="Filter of who gets it: platform = 'web'.")
    adoption: Adoption | None = Field(None, description="How using it is seen in the data.")
    exposure: Exposure | None = Field(None, description="Who was shown which variant, where that is in the data.")
    success: tuple[SuccessKpi, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    control: str = Field("", description="Who never gets it: a filter as platform != 'web', or the name of a KPI.")
    controls: tuple[str, ...] = Field(
        (), max_length=8, description="Several in place of `control`: each counts as far as it moved along."
    )
    feedback: str = Field("", description="Survey KPI whose answers are its customers' voice; default the only one.")
    go_to_market: tuple[GoToMarket, ...] = ()
    links: dict[str, str] = Field(default_factory=dict)
    draft: bool = Field(False, description="Not looked at by a person yet: it is neither drawn nor read.")
    origin: Origin | None = Field(None, description="The release or flag that it was drafted from.")
    meta: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _dated(self) -> Launch:
        if (self.on is None) == (not self.rollout):
            raise ValueError("write either `on` or `rollout`")
        if self.until and self.until < self.starts_on:
            raise ValueError(f"it ends on {self.until}, before it starts on {self.starts_on}")
        days = [step.on for step in self.rollout]
        if days != sorted(days):
            raise ValueError("the steps of `rollout` are not in the order of their days")
        if self.control and self.controls:
            raise ValueError("write either `control` or `controls`")
        if any(step.segment for step in self.rollout) and not all(step.segment for step in self.rollout):
            raise ValueError("either all steps of `rollout` name a segment or none")
        return self

    @property
    def starts_on(self) -> date:
        """First day."""
        return self.on or min(step.on for step in self.rollout)

    @property
    def title(self) -> str:
        """The label, or the name in words."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def judged_by(self) -> tuple[str, ...]:
        """KPIs that it should move or must not hurt."""
        named = [*(s.kpi for s in self.success), *(g.kpi for g in self.guardrails)]
        return tuple(dict.fromkeys(named)) if self.kind == "launch" else ()

    @property
    def measured(self) -> tuple[str, ...]:
        """KPIs that are read after the launch: success first, then guardrails, then controls."""
        if self.kind != "launch":
            return ()
        named = [text for text in self.held_against if re.fullmatch(NAME, text)]
        return tuple(dict.fromkeys([*self.judged_by, *named]))

    @property
    def held_against(self) -> tuple[str, ...]:
        """What never gets it: filters of one dimension, or names of KPIs."""
        return self.controls or tuple(filter(None, [self.control]))

    def concerns(self, kpi: str, area: str) -> bool:
        """Whether it is drawn on this KPI."""
        named = (*self.kpis, *(s.kpi for s in self.success), *(g.kpi for g in self.guardrails))
        if named or self.area:
            return kpi in named or (bool(self.area) and self.area == area)
        return True

    def share_on(self, day: date) -> float:
        """Share of the audience that has it on a day, 0..1; of a rollout by segments, of those that have begun."""
        if self.until and day > self.until and self.kind != "launch":
            return 0.0
        shares = [step.share for step in self.rollout if step.on <= day]
        if self.rollout:
            return shares[-1] if shares else 0.0
        return 1.0 if day >= self.starts_on else 0.0

    def reading_on(self, days: int) -> date:
        """The first day that a reading no longer looks at."""
        return self.starts_on + timedelta(days=days)
