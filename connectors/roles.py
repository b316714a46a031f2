"""Roles of settings.yml: who somebody is to the dashboard, what of it they see, and what they may do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Base = Literal["viewer", "editor", "analyst", "admin"]
Class = Literal["personal", "secret"]
BASES = ("viewer", "editor", "analyst", "admin")
ACTIONS = {
    "export": "download tables, pages and snapshots",
    "acknowledge": "acknowledge, silence and mark alerts",
    "decide": "decide about launches",
    "note": "write notes beside snapshots",
    "take": "take snapshots by hand",
    "send": "send snapshots",
    "sync": "start a sync",
    "launch": "add, change and delete launches",
    "edit": "add sources",
    "tokens": "create and revoke service tokens",
    "audit": "read the audit",
}
VIEWER = ("export",)
EDITOR = (*VIEWER, "acknowledge", "decide", "note", "take", "send", "sync", "launch")
OF_THE_WHOLE = (
    "take",
    "launch",
    "edit",
    "tokens",
    "audit",
)  # who sees a part would change or open what they do not see
MAY: Mapping[str, tuple[str, ...]] = {
    "viewer": VIEWER,
    "editor": EDITOR,
    "analyst": (*EDITOR, "edit"),
    "admin": tuple(ACTIONS),
}
SEES: Mapping[str, tuple[Class, ...]] = {
    "viewer": (),
    "editor": (),
    "analyst": ("personal",),
    "admin": ("personal", "secret"),
}
PAGES = ("overview", "kpis", "launches", "alerts", "snapshots", "data", "account")
ALWAYS = ("overview", "account")
LEADS_TO = {"overview": "kpi", "launches": "launch"}  # pages of one thing
EVERYBODY = "everybody"
MEMBER = re.compile(r"everybody|group:.+|claim:[^=]+=.+|@[a-z0-9-]+(\.[a-z0-9-]+)+|[^@\s]+@[^@\s]+|[^@:\s]+")
NOBODY_KNOWN = "(none)"  # of rows whose value is unknown: a lookup that finds nothing gives it, too
CLAIM = re.compile(r"\{claim\.([^{}]+)\}")
MOST_PEOPLE = 1000  # that a small group may be asked to have


class Role(BaseModel):
    """Who has it, what they may do and what they see. The first role that names somebody is theirs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)
    members: tuple[str, ...] = Field(
        (),
        description="ann@example.com, @example.com, group:NAME, claim:NAME=VALUE, or `everybody` who signs in; "
        "empty = only tokens, snapshots and contact points have it.",
    )
    base: Base = Field("viewer", description="What its people may do; default its name, if that is one of them.")
    pages: tuple[str, ...] = Field((), description="Pages that they see beside overview, kpi and account; default all.")
    areas: tuple[str, ...] = Field((), description="Areas whose KPIs they see; default all.")
    hidden_kpis: tuple[str, ...] = Field((), description="KPIs that are not there for them, nor what is made of them.")
    masked_kpis: tuple[str, ...] = Field((), description="KPIs that they see listed, without values.")
    row_filters: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Dimension → its values in the rows that they see; `{claim.NAME}` = those of the person's claim.",
    )
    min_people: int = Field(
        0, ge=0, le=MOST_PEOPLE, description="Values of fewer people are not shown, nor what would tell them."
    )
    exports: bool = Field(True, description="False = nothing can be downloaded.")
    columns: tuple[Class, ...] = Field((), description="Classes of columns that they see beside those of `base`.")

    @model_validator(mode="before")
    @classmethod
    def _named_for_its_base(cls, given: Any) -> Any:
        if isinstance(given, dict) and "base" not in given and given.get("name") in BASES:
            return {**given, "base": given["name"]}
        return given

    @field_validator("members")
    @classmethod
    def _people(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(text.lower() if "@" in text and ":" not in text else text for text in members)
        for text in found:
            near = text.casefold() in ("everybody", "everyone") and text != EVERYBODY
            if near or ": " in text or not MEMBER.fullmatch(text):
                raise ValueError(
                    f"'{text}' names nobody\n"
                    "Write ann@example.com, @example.com, group:sales, claim:team=sales or everybody."
                )
        return found

    @field_validator("pages")
    @classmethod
    def _known_pages(cls, pages: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [page for page in pages if page not in PAGES]
        if wrong:
            raise ValueError(f"there is no page '{wrong[0]}'\nPages: {', '.join(PAGES)}.")
        return pages

    @field_validator("row_filters", mode="before")
    @classmethod
    def _values(cls, given: Any) -> Any:
        """One value stands for a list of one. An empty list would be a filter that nobody meant."""
        if not isinstance(given, dict):
            return given
        found = {}
        for dimension, values in given.items():
            listed = values if isinstance(values, list) else [values]
            if not listed or not all(isinstance(value, (str, int, bool)) for value in listed):
                raise ValueError(
                    f"`{dimension}` has no values\nWrite such as {dimension}: [DE, FR], or leave it out for all."
                )
            # As a dimension's values are shown: DuckDB writes truth in small letters.
            found[dimension] = [str(v).lower() if isinstance(v, bool) else str(v) for v in listed]
        return found

    @field_validator("row_filters")
    @classmethod
    def _whole_claims(cls, filters: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for values in filters.values():
            for text in values:
                if text == NOBODY_KNOWN:
                    raise ValueError(f"rows without a value belong to nobody\nTake '{NOBODY_KNOWN}' out.")
                if ("{" in text or "}" in text) and not CLAIM.fullmatch(text):
                    raise ValueError(f"'{text}' is no value\nA claim stands alone: {{claim.country}}.")
        return filters

    @model_validator(mode="after")
    def _no_page_of_whole_tables(self) -> Role:
        """The page Data counts rows of whole tables and shows some as they came."""
        if "data" in self.pages and self.is_limited:
            raise ValueError(
                "the page data shows whole tables, which this role does not see\nTake `data` out of its `pages`."
            )
        return self

    @property
    def is_limited(self) -> bool:
        """Whether it sees less than all KPIs of all rows."""
        return bool(self.areas or self.hidden_kpis or self.masked_kpis or self.row_filters or self.min_people)

    @property
    def actions(self) -> tuple[str, ...]:
        """What its people may do, of ACTIONS."""
        never = {*(OF_THE_WHOLE if self.is_limited else ()), *(() if self.exports else ("export", "send"))}
        return tuple(action for action in MAY[self.base] if action not in never)

    @property
    def classes(self) -> frozenset[str]:
        """Classes of columns that its people see."""
        return frozenset((*SEES[self.base], *self.columns))

    @property
    def shown_pages(self) -> tuple[str, ...]:
        """Pages that its people see, those of one KPI and one launch among them."""
        given = self.pages or tuple(page for page in PAGES if page != "data" or not self.is_limited)
        shown = tuple(dict.fromkeys((*ALWAYS, *given)))
        audit = ("audit",) if "audit" in self.actions else ()
        return (*shown, *audit, *(LEADS_TO[page] for page in shown if page in LEADS_TO))
