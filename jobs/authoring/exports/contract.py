"""What a recognised export is: the columns that tell it, and the KPIs that its users expect.

A new export is one new file beside this one with one class. What it says of columns are their names in the export;
`{Total}` in SQL is the column, `{Email|Customer email}` the first that is there. A KPI whose columns are missing is
left out.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from jobs.authoring.names import column, slug
from jobs.authoring.profile import Column, Profile
from jobs.authoring.proposal import MONEY, NUMBER, SHARE, DatasetPlan, Kpi, measure, one_of

ARITHMETIC = ("sum", "avg", "median", "percentile")
IN_CURRENCY = "money"  # a format: that of the export's currency


@dataclass(frozen=True)
class Part:
    """A further dataset over the same rows: those that meet `condition`, at another time. Named by its suffix."""

    suffix: str
    time: str
    condition: str


class Export:
    """One recognised export, over what was seen of a file. Subclasses say names and KPIs."""

    title: ClassVar[str]
    needed: ClassVar[tuple[str, ...]]  # each a column, or several by |, of which one must be there
    time: ClassVar[tuple[str, ...]] = ()  # default: what any file's time is
    rows: ClassVar[str]  # what its rows are called
    rows_first: ClassVar[bool] = True  # their count is what its users look at first
    entity: ClassVar[tuple[str, ...]] = ()
    key: ClassVar[str] = ""
    currency: ClassVar[str] = ""
    dimensions: ClassVar[tuple[str, ...]] = ()
    parts: ClassVar[tuple[Part, ...]] = ()
    templates: ClassVar[tuple[Kpi, ...]] = ()

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    @classmethod
    def matches(cls, profile: Profile) -> int:
        """How many of the columns that tell it are there; 0 = it is not this export."""
        return len(cls.needed) if all(profile.column(*names.split("|")) for names in cls.needed) else 0

    def column(self, *names: str) -> Column | None:
        """The first of these columns that is there and not empty."""
        found = (self.profile.column(n) for name in names for n in name.split("|"))
        return next((c for c in found if c is not None and c.nulls < max(1, self.profile.rows)), None)

    def proposed(self) -> Iterator[Kpi]:
        """Its KPIs, what matters most first, still with columns in braces."""
        yield from self.templates

    def kpis(self) -> list[Kpi]:
        """Those of which all columns are there, and the count of rows."""
        filled = [kpi for template in self.proposed() if (kpi := self._filled(template)) is not None]
        count = Kpi(f"{self.profile.name}_count", self.rows, f"Rows of {self.profile.name}.", {"agg": "count"})
        count = replace(count, keys={"dataset": self.profile.name, **count.keys})
        if self.rows_first:
            return [count, *filled]
        return [*filled, replace(count, keys={**count.keys, "overview": False})]

    def datasets(self, own: DatasetPlan) -> tuple[DatasetPlan, ...]:
        """Its own and the further ones."""
        return (own, *(made for part in self.parts if (made := self._dataset(own, part)) is not None))

    def dimension_columns(self) -> list[Column]:
        """What rows can be broken down by."""
        found = [c for name in self.dimensions if (c := self.column(name)) is not None]
        return [c for c in found if c.kind == "BOOLEAN" or c.distinct > 1]

    def currencies(self) -> tuple[str, ...]:
        """The currencies of its amounts."""
        found = self.column(self.currency) if self.currency else None
        return tuple(dict.fromkeys(v.upper() for v in found.values)) if found else ()

    def _dataset(self, own: DatasetPlan, part: Part) -> DatasetPlan | None:
        time, where = self._sql(part.time), self._sql(part.condition)
        found = self.column(part.time.strip("{}"))
        if time is None or where is None or found is None or not found.is_time:
            return None
        base = f"({own.sql})" if own.sql else column(own.source)
        sql = f"SELECT * FROM {base} WHERE {where}"
        return replace(
            own,
            name=f"{own.name}_{part.suffix}",
            time=found.name,
            naive=found.kind == "TIMESTAMP",
            sql=sql,
            key="",
            why="",
        )

    def _filled(self, template: Kpi) -> Kpi | None:
        used: list[str] = []
        keys = self._value(template.keys, used)
        if keys is None:
            return None
        part = next((p for p in self.parts if p.suffix == template.keys.get("dataset")), None)
        if part and not ((found := self.column(part.time.strip("{}"))) and found.is_time):
            return None
        own = f"{self.profile.name}_{part.suffix}" if part else keys.get("dataset", self.profile.name)
        first = {"type": keys["type"]} if "type" in keys else {}
        keys = {**first, "dataset": own, **{k: v for k, v in keys.items() if k not in ("type", "dataset")}}
        codes = self.currencies()
        form = (
            (f"currency {codes[0]}" if len(codes) == 1 else MONEY)
            if template.format == IN_CURRENCY
            else template.format
        )
        mixed = template.format == IN_CURRENCY and len(codes) > 1
        label = f"{template.label} (several currencies)" if mixed else template.label
        return replace(
            template, label=label, keys=keys, format=form, used=tuple(dict.fromkeys((*template.used, *used)))
        )

    def _computes(self, value: Mapping[str, Any]) -> bool:
        """Whether a measure has what it computes with: no average of texts."""
        named = re.findall(r"\{([^{}]+)\}", str(value.get("expr", ""))) if value.get("agg") in ARITHMETIC else []
        return not any((c := self.column(name)) is not None and c.is_text for name in named)

    def _value(self, value: Any, used: list[str]) -> Any:
        """The value with columns in place of braces; None if one is missing."""
        if isinstance(value, Mapping):
            if not self._computes(value):
                return None
            made = {k: self._value(v, used) for k, v in value.items()}
            return None if None in made.values() else made
        if isinstance(value, list | tuple):
            listed = [self._value(v, used) for v in value]
            return None if None in listed else listed
        return self._sql(value, used) if isinstance(value, str) else value

    def _sql(self, text: str, used: list[str] | None = None) -> str | None:
        names = re.findall(r"\{([^{}]+)\}", text)
        found = {name: self.column(name) for name in names}
        if None in found.values():
            return None
        for name, c in found.items():
            if c is not None:
                text = text.replace(f"{{{name}}}", column(c.name))
                (used if used is not None else []).append(c.name)
        return text


def count(name: str, label: str, words: str, condition: str = "", *, direction: str = "up_is_good", **keys: Any) -> Kpi:
    """How many rows."""
    return Kpi(name, label, words, {**measure("count", condition=condition), **keys}, direction=direction)


def distinct(name: str, label: str, words: str, expr: str, condition: str = "", **keys: Any) -> Kpi:
    """How many different ones."""
    return Kpi(name, label, words, {**measure("count_distinct", expr, condition), **keys})


def total(
    name: str, label: str, words: str, expr: str, condition: str = "", *, format_: str = NUMBER, **keys: Any
) -> Kpi:
    """A sum."""
    direction = str(keys.pop("direction", "up_is_good"))
    return Kpi(name, label, words, {**measure("sum", expr, condition), **keys}, format_, direction)


def typical(name: str, label: str, words: str, agg: str, expr: str, **keys: Any) -> Kpi:
    """An average or a median."""
    form, direction = str(keys.pop("format_", MONEY)), str(keys.pop("direction", "up_is_good"))
    return Kpi(name, label, words, {**measure(agg, expr), **keys}, form, direction)


def ratio(
    name: str, label: str, words: str, numerator: Mapping[str, str], denominator: Mapping[str, str], **keys: Any
) -> Kpi:
    """One measure over another."""
    form, direction = str(keys.pop("format_", SHARE)), str(keys.pop("direction", "up_is_good"))
    parts = {"type": "ratio", "numerator": dict(numerator), "denominator": dict(denominator), **keys}
    return Kpi(name, label, words, parts, form, direction)


SIGNED_UP = (
    "sign_up",
    "signup",
    "signed_up",
    "user_signed_up",
    "account_created",
    "register",
    "registered",
    "first_open",
    "first_visit",
    "user_created",
    "complete_registration",
    "sign_up_completed",
    "create_account",
)
BOUGHT = (
    "purchase",
    "purchased",
    "order_completed",
    "checkout_completed",
    "in_app_purchase",
    "payment_succeeded",
    "purchase_completed",
    "order_placed",
    "items_purchased",
    "subscription_started",
    "completed_purchase",
)
LOOKED = (
    "page_view",
    "pageview",
    "screen_view",
    "page_viewed",
    "screen",
    "viewed_page",
    "mp_web_page_view",
)
AUTOMATIC = (
    "session_start",
    "session_end",
    "user_engagement",
    "identify",
    "autocapture",
    "pageleave",
    "scroll",
    "set",
    "app_open",
    "app_opened",
    "app_start",
    "start_session",
    "end_session",
    "web_vitals",
    "feature_flag_called",
)


class EventsExport(Export):
    """Events that people caused in a product. event, person: columns of the name, and of who it was."""

    rows = "Events"
    rows_first = False
    event: ClassVar[str]
    person: ClassVar[str]

    def named(self, listed: tuple[str, ...]) -> list[str]:
        """Events of the file that are called so, however they are written."""
        found = self.column(self.event)
        return [v for v in (found.values if found else ()) if slug(v.strip("[]$ ")) in listed]

    def proposed(self) -> Iterator[Kpi]:
        """People first, then what brings and keeps them."""
        who, event = f"{{{self.person}}}", f"{{{self.event}}}"
        yield distinct("active_users", "Active users", "People with an event.", who)
        yield from self._starting(who, event)
        yield Kpi(
            "week_1_retention",
            "Week-1 retention",
            "Who of those first seen in a week is back in the next.",
            {"type": "retention", "return": {}, "unit": "week", "at": 1, "grain": "week"},
            SHARE,
        )
        yield Kpi(
            "stickiness",
            "Stickiness",
            "People of a mean day, of those of the week.",
            {"type": "stickiness", "short": "day", "long": "week", "grain": "week"},
            SHARE,
        )
        yield from self._buying(who, event)
        looked = self.named(LOOKED)
        if looked:
            yield count("page_views", "Page views", f"Events called {' or '.join(looked)}.", one_of(event, looked))
        yield ratio(
            "events_per_user",
            "Events per user",
            "Events of a person.",
            measure("count"),
            measure("count_distinct", who),
            format_="0.0",
        )

    def _starting(self, who: str, event: str) -> Iterator[Kpi]:
        started = self.named(SIGNED_UP)
        if not started:
            return
        begun = one_of(event, started)
        yield distinct("new_users", "New users", f"People with {' or '.join(started)}.", who, begun)
        found = self.column(self.event)
        known = {*started, *self.named(LOOKED), *self.named(AUTOMATIC)}
        core = next((v for v in (found.values if found else ()) if v not in known), "")
        if core:
            words = f"New users with {core} within 7 days. Is another event what makes people stay? Name it here."
            keys = {"type": "conversion", "base": {"filter": begun}, "conversion": {"filter": one_of(event, [core])}}
            yield Kpi("activation", "Activation", words, {**keys, "window": "7 days", "grain": "week"}, SHARE)

    def _buying(self, who: str, event: str) -> Iterator[Kpi]:
        bought = self.named(BOUGHT)
        if bought:
            condition = one_of(event, bought)
            yield count("purchases", "Purchases", f"Events called {' or '.join(bought)}.", condition)
            yield distinct("buyers", "Buyers", "People with a purchase.", who, condition)


def export_names() -> list[str]:
    """Every known export: the file's stem."""
    folder = importlib.import_module("jobs.authoring.exports")
    return sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if m.name != "contract")


def export_class(name: str) -> type[Export]:
    """The Export class of jobs/authoring/exports/<name>.py."""
    module = importlib.import_module(f"jobs.authoring.exports.{name}")
    found = (item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Export))
    return next(item for item in found if item.__module__ == module.__name__)


def recognised(profile: Profile) -> Export | None:
    """The export that these columns are of, if it is known: the one that more columns tell."""
    found = [(kind.matches(profile), kind) for kind in map(export_class, export_names())]
    best = max(found, key=lambda pair: pair[0])
    return best[1](profile) if best[0] else None
