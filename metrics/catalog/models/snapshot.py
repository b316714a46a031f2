"""snapshots/*.yml: what one weekly snapshot shows, when it is taken and who gets it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from metrics.catalog.models.dataset import NAME
from metrics.catalog.models.kpi import KpiCommon, Strict
from metrics.catalog.models.values import Duration

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_WAIT = timedelta(days=2)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOMENT = re.compile(rf"({'|'.join(WEEKDAYS)}) ([01]?\d|2[0-3]):([0-5]\d)")


class Shown(Strict):
    """One KPI of a section, whole or limited to one segment."""

    kpi: str
    where: dict[str, str] = Field(default_factory=dict, description="One dimension and its value: {platform: ios}.")

    @field_validator("where", mode="before")
    @classmethod
    def _one(cls, where: Any) -> Any:
        """One segment of one dimension: of others no earlier generation keeps the value."""
        if isinstance(where, dict) and len(where) > 1:
            raise ValueError("a snapshot shows one segment of one dimension\nWrite such as `where: {platform: ios}`.")
        return {str(k): str(v) for k, v in where.items()} if isinstance(where, dict) else where


class Section(Strict):
    """KPIs under one heading: those of an area, or those that are named."""

    title: str = ""
    area: str = Field("", description="All live KPIs of this area that the overview shows.")
    kpis: tuple[Shown, ...] = Field((), description="Names, or {kpi: NAME, where: {DIMENSION: VALUE}}.")

    @field_validator("kpis", mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        if not isinstance(given, list):
            return given
        return [{"kpi": item} if isinstance(item, str) else item for item in given]

    @model_validator(mode="after")
    def _something(self) -> Section:
        if not self.area and not self.kpis:
            raise ValueError("a section needs `area` or `kpis`")
        return self

    @property
    def heading(self) -> str:
        """The title, else the area."""
        return self.title or self.area or "KPIs"


class Schedule(Strict):
    """When a week is taken and sent. Both happen with the first sync after it is due."""

    wait: Duration = Field(
        DEFAULT_WAIT, description="How long after the week's end late data is waited for; then it says what is missing."
    )
    send: str = Field(
        "when_taken",
        description="when_taken; a day and time after the week, monday 08:00; by_hand: a person looks first.",
    )

    @field_validator("send")
    @classmethod
    def _when(cls, text: str) -> str:
        if text not in ("when_taken", "by_hand") and not MOMENT.fullmatch(text):
            raise ValueError(
                f"it cannot be '{text}'\nWrite when_taken, by_hand, or a day and time such as monday 08:00."
            )
        return text

    def send_at(self, week_end: pd.Timestamp) -> pd.Timestamp:
        """The first such moment after the week, on the project's clock; the week's end for when_taken."""
        found = MOMENT.fullmatch(self.send)
        if found is None:
            return week_end
        day = week_end + timedelta(days=(WEEKDAYS.index(found[1]) - week_end.weekday()) % 7)
        return day + timedelta(hours=int(found[2]), minutes=int(found[3]))


class Snapshot(Strict):
    """One weekly snapshot. Without sections: one for each area."""

    name: str = Field(pattern=NAME, description="The file's stem.")
    title: str = Field("", max_length=300)
    sections: tuple[Section, ...] = ()
    schedule: Schedule = Schedule()
    recipients: tuple[str, ...] = Field((), description="Contact points of settings.yml, or e-mail addresses.")
    owner: str = ""
    role: str = Field("", description="Role of settings.yml that it is for: what that sees is in it, and they see it.")

    @property
    def heading(self) -> str:
        """The title, or the name in words."""
        return self.title or self.name.replace("_", " ").capitalize()

    def filled(self, kpis: Iterable[KpiCommon]) -> tuple[tuple[str, tuple[Shown, ...]], ...]:
        """(heading, what it shows) of each section, areas resolved; empty sections are left out."""
        shown = [k for k in sorted(kpis, key=lambda k: k.title) if k.overview and k.status == "live"]
        by_area: dict[str, list[Shown]] = {}
        for kpi in shown:
            by_area.setdefault(kpi.area, []).append(Shown(kpi=kpi.name))
        if not self.sections:
            areas = sorted(by_area, key=lambda area: (not area, area))
            return tuple((area or "Other KPIs", tuple(by_area[area])) for area in areas)
        found = []
        for section in self.sections:
            mine = [*(by_area.get(section.area, []) if section.area else []), *section.kpis]
            if mine:
                found.append((section.heading, tuple(mine)))
        return tuple(found)


def default_snapshot() -> Snapshot:
    """What a project without snapshots/ has: every area, taken by hand."""
    return Snapshot(name="weekly", title="Weekly snapshot")
