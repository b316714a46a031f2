"""Small values that definitions are written in: durations, thresholds, targets."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

GRAINS = ("hour", "day", "week", "month", "quarter", "year")
Grain = Literal["hour", "day", "week", "month", "quarter", "year"]

_UNITS = {
    "s": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "w": 604800,
    "week": 604800,
}


def duration(text: Any) -> timedelta:
    """`7 days`, `6h`, `2d`, `30 minutes` as a timedelta. Raises ValueError."""
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"\s*(\d+)\s*([a-z]+?)s?\s*", str(text))
    if not match or match.group(2) not in _UNITS:
        raise ValueError(f"'{text}' is not a duration\nWrite one such as 7 days, 6h or 30 minutes.")
    return timedelta(seconds=int(match.group(1)) * _UNITS[match.group(2)])


def _whole_days(value: timedelta) -> timedelta:
    if value < timedelta(days=1) or value % timedelta(days=1):
        raise ValueError("a window is whole days\nWrite one such as 7 days.")
    return value


Duration = Annotated[timedelta, BeforeValidator(duration)]
Window = Annotated[timedelta, BeforeValidator(duration), AfterValidator(_whole_days)]


def day_or_launch(value: Any) -> Any:
    """A day, or the name of the launch whose start it is. Raises ValueError."""
    if isinstance(value, str):
        if re.fullmatch(r"[a-z][a-z0-9_]*", value):
            return value
        with suppress(ValueError):
            return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"'{value}' is neither a day nor a launch\nWrite one such as 2026-07-01 or new_editor.")


Since = Annotated[date | str, BeforeValidator(day_or_launch)]
SINCE = "First day that is judged, or the launch that it begins with; default the launch that the KPI belongs to."


class Threshold(BaseModel):
    """A condition on a number: `< 10500`, `< 40%`, `< -5% of target`, `> 2pp`."""

    model_config = ConfigDict(frozen=True)
    operator: Literal["<", "<=", ">", ">="]
    number: float
    unit: Literal["", "%", "pp"] = ""
    of_target: bool = False
    text: str

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, text: Any) -> Any:
        if isinstance(text, dict):
            return text
        match = re.fullmatch(r"\s*(<=|>=|<|>)\s*([+-]?\d[\d_,]*(?:\.\d+)?)\s*(%|pp)?\s*(of target)?\s*", str(text))
        if not match:
            raise ValueError(
                f'\'{text}\' is not a threshold\nWrite one such as "< 10500", "< 40%" or "< -5% of target".'
            )
        operator, number, unit, of_target = match.groups()
        if of_target and unit != "%":
            raise ValueError("'of target' needs a percentage\nWrite one such as \"< -5% of target\".")
        value = float(number.replace(",", "").replace("_", ""))
        return {
            "operator": operator,
            "number": value,
            "unit": unit or "",
            "of_target": bool(of_target),
            "text": str(text),
        }

    @property
    def words(self) -> str:
        """`below 40%`, `above 5% of target`."""
        sides = {"<": "below", "<=": "at or below", ">": "above", ">=": "at or above"}
        return f"{sides[self.operator]} {self.text.strip().lstrip('<>= ')}"

    def limit(self, target: float | None) -> float | None:
        """The number that the value is compared with; None if it needs a target that is unknown."""
        if self.of_target:
            return None if target is None else target + abs(target) * self.number / 100
        return self.number / 100 if self.unit in ("%", "pp") else self.number

    def breached(self, value: float, target: float | None) -> bool:
        """Whether `value` meets the condition, that is, is bad."""
        limit = self.limit(target)
        if limit is None:
            return False
        return {"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[self.operator]


class Thresholds(BaseModel):
    """When a KPI is at risk (warning) and off track (critical)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    warning: Threshold | None = None
    critical: Threshold | None = None
    warning_recovery: Threshold | None = None
    critical_recovery: Threshold | None = None
    since: Since | None = Field(None, description=SINCE)

    @property
    def of_target(self) -> bool:
        """Whether any of them is a share of the target."""
        limits = (self.warning, self.critical, self.warning_recovery, self.critical_recovery)
        return any(limit is not None and limit.of_target for limit in limits)


KEYS = {
    "hour": r"(\d{4}-\d\d-\d\d)[T ](\d\d)(:00){0,2}",
    "day": r"(\d{4}-\d\d-\d\d)",
    "week": r"(\d{4})-W(\d\d)",
    "month": r"(\d{4})-(\d\d)",
    "quarter": r"(\d{4})-Q([1-4])",
    "year": r"(\d{4})",
}


def period_key(key: str) -> tuple[str, datetime]:
    """Grain and first moment of 2026-11-23T14, 2026-11-23, 2026-W40, 2026-11, 2026-Q4 or 2026. Raises ValueError.

    A week's first moment is that of its Monday, whatever day a project's weeks start on.
    """
    for grain in GRAINS:
        match = re.fullmatch(KEYS[grain], key)
        if match:
            first, second = match[1], int(match[2]) if match.lastindex and match.lastindex > 1 else 1
            if grain in ("hour", "day"):
                return grain, datetime.fromisoformat(first) + timedelta(hours=second if grain == "hour" else 0)
            if grain == "week":
                return grain, datetime.fromisocalendar(int(first), second, 1)
            return grain, datetime(int(first), 3 * second - 2 if grain == "quarter" else second, 1)
    raise ValueError(key)


class Target(BaseModel):
    """What the KPI should be: one value, or a path of period → value with `between`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    grain: Grain | None = Field(None, description="Grain the numbers are stated for; default the KPI's home grain.")
    since: Since | None = Field(None, description=SINCE)
    value: float | None = None
    path: dict[str, float] = Field(
        default_factory=dict,
        description="Period of the grain → value: 2026-11-23, 2026-W40, 2026-11, 2026-Q4 or 2026; 2026-11-23T14.",
    )
    between: Literal["linear", "step"] = "linear"

    @model_validator(mode="before")
    @classmethod
    def _text_keys(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("path"), dict):
            return {**data, "path": {str(key): value for key, value in data["path"].items()}}
        return data

    @model_validator(mode="after")
    def _one_of(self) -> Target:
        if (self.value is None) == (not self.path):
            raise ValueError("a target has either `value` or `path`")
        if self.value is not None and "between" in self.model_fields_set:
            raise ValueError("`between` says how a `path` goes on\nLeave it out where there is one `value`.")
        for key in self.path:
            try:
                period_key(key)
            except ValueError:
                hint = "Write 2026-11-23T14, 2026-11-23, 2026-W40, 2026-11, 2026-Q4 or 2026."
                raise ValueError(f"'{key}' is not a period\n{hint}") from None
        return self
