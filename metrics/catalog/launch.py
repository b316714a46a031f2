"""launches/*.yml: launches and other marks on the time line. Scorecards come with a later version."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field, model_validator

from metrics.catalog.common import Strict
from metrics.catalog.dataset import NAME


class RolloutStep(Strict):
    """From `on`, this share of the audience has it."""

    on: date
    share: float = Field(1.0, gt=0, le=1)
    segment: str = ""


class SuccessKpi(Strict):
    """A KPI that the launch is meant to move."""

    kpi: str
    expect: str = ""


class Guardrail(Strict):
    """A KPI that the launch must not hurt."""

    kpi: str
    limit: str = ""


class GoToMarket(Strict):
    """One line of the go-to-market checklist."""

    audience: str
    message: str = ""
    channel: str = ""
    done: bool = False


class Launch(Strict):
    """A launch, or another mark: incident, campaign, holiday, redefinition, note."""

    name: str = Field(pattern=NAME, description="The file's stem.")
    label: str = ""
    kind: Literal["launch", "incident", "campaign", "holiday", "redefinition", "note"] = "launch"
    owner: str = ""
    area: str = Field("", description="Draw it on KPIs of this area; empty with empty `kpis` = on all.")
    kpis: tuple[str, ...] = Field((), description="Draw it on these KPIs.")
    on: date | None = Field(None, description="The day; or `rollout`.")
    until: date | None = None
    rollout: tuple[RolloutStep, ...] = ()
    hypothesis: str = ""
    audience: str = Field("", description="Filter of who gets it.")
    success: tuple[SuccessKpi, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    control: str = ""
    go_to_market: tuple[GoToMarket, ...] = ()
    links: dict[str, str] = Field(default_factory=dict)
    meta: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _dated(self) -> Launch:
        if (self.on is None) == (not self.rollout):
            raise ValueError("write either `on` or `rollout`")
        return self

    @property
    def starts_on(self) -> date:
        """First day."""
        return self.on or min(step.on for step in self.rollout)

    @property
    def title(self) -> str:
        """The label, or the name in words."""
        return self.label or self.name.replace("_", " ").capitalize()

    def concerns(self, kpi: str, area: str) -> bool:
        """Whether it is drawn on this KPI."""
        named = (*self.kpis, *(s.kpi for s in self.success), *(g.kpi for g in self.guardrails))
        if named or self.area:
            return kpi in named or (bool(self.area) and self.area == area)
        return True
