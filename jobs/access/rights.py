"""What somebody may see and do, by the role that settings.yml gives them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.errors import SettingsError, Withheld, did_you_mean
from connectors.roles import ACTIONS, CLAIM, EDITOR, EVERYBODY, NOBODY_KNOWN, Role
from connectors.settings import Settings
from jobs.access.person import Person
from metrics.catalog.restriction import WHOLE, Restriction, RowFilter

OF_EDITORS = ("edit", "tokens", "audit")


@dataclass(frozen=True)
class Rights:
    """What somebody may see and do. role: its name, empty where there are none. member: what of it names them.

    pages: None = all.
    """

    role: str
    actions: frozenset[str]
    pages: frozenset[str] | None = None
    restriction: Restriction = WHOLE
    member: str = ""

    @property
    def key(self) -> str:
        """The same for all who see the same: what is kept of one must not be shown to others."""
        if self.restriction == WHOLE:
            return "everything"
        seen = self.restriction
        parts = (seen.rows, sorted(seen.areas), sorted(seen.hidden), sorted(seen.masked), seen.min_people)
        return hashlib.sha256(repr((self.role, *parts, sorted(seen.classes))).encode()).hexdigest()

    def opens(self, page: str) -> bool:
        """Whether they see a page."""
        return self.pages is None or page in self.pages

    def may(self, action: str) -> bool:
        """Whether they may do it, of ACTIONS."""
        return action in self.actions

    def require(self, action: str) -> None:
        """Raises Withheld unless they may."""
        if not self.may(action):
            what = f"your role '{self.role}'" if self.role else "you"
            raise Withheld(
                f"{what} may not {ACTIONS[action]}", hint="Ask whoever keeps this dashboard's roles, in settings.yml."
            )


def everything() -> Rights:
    """Of whoever works on the machine itself: its files are theirs."""
    return Rights("", frozenset(ACTIONS))


def kept_out(person: Person, settings: Settings) -> str:
    """Why somebody may not see the dashboard, in words; empty if they may."""
    domains, groups = settings.sign_in_domains, settings.sign_in_groups
    if domains and person.email.rpartition("@")[2] not in domains:
        return f"it is for confirmed addresses of {', '.join(f'@{name}' for name in domains)}."
    if groups and not person.groups & set(groups):
        return f"it is for members of {', '.join(groups)}."
    if settings.roles and role_of(person, settings) is None:
        return "no role of this dashboard names you."
    return ""


def rights_of(person: Person | None, settings: Settings) -> Rights | None:
    """Of whoever asks a page; None where roles are given and none is theirs. person: None = nobody signs in here."""
    if settings.roles:
        found = role_of(person, settings) if person is not None else None
        return _rights(*found, person) if found is not None else None
    more = OF_EDITORS if settings.may_edit(person.id if person is not None else "") else ()
    return Rights("", frozenset((*EDITOR, *more)))


def rights_of_role(name: str, settings: Settings) -> Rights:
    """Of a token, a snapshot or a contact point: of no person, so of no claim. Raises SettingsError."""
    if not name:
        return everything()
    role = settings.role(name)
    if role is None:
        known = [item.name for item in settings.roles]
        raise SettingsError(f"there is no role '{name[:80]}'", where="settings.yml", hint=did_you_mean(name, known))
    return _rights(role, "", None)


def role_of(person: Person, settings: Settings) -> tuple[Role, str] | None:
    """The first role that names somebody, and what of it does."""
    for role in settings.roles:
        for member in role.members:
            if _names(member, person):
                return role, member
    return None


def _names(member: str, person: Person) -> bool:
    """Whether a member of a role is this person: by what is confirmed of them only."""
    if member == EVERYBODY:
        return True
    kind, _, rest = member.partition(":")
    if kind == "group":
        return rest in person.groups
    if kind == "claim":
        name, _, value = rest.partition("=")
        return value in claimed(person, name)
    if member.startswith("@"):
        return bool(person.email) and person.email.rpartition("@")[2] == member[1:]
    return bool(person.id) and person.id == member


def claimed(person: Person, name: str) -> tuple[str, ...]:
    """The values of a claim as texts: of one value, or of a list of them. Anything else says nothing."""
    if name.lower() == "email":
        return (person.email,) if person.email else ()
    said: Any = person.claims.get(name)
    given = said if isinstance(said, Sequence) and not isinstance(said, (str, bytes)) else [said]
    texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in given if _is_value(item)]
    return tuple(dict.fromkeys(text for text in texts if text not in ("", NOBODY_KNOWN)))


def _is_value(item: Any) -> bool:
    return isinstance(item, (str, int)) and not isinstance(item, Mapping)


def _rights(role: Role, member: str, person: Person | None) -> Rights:
    limits = Restriction(
        rows=tuple(_row_filter(name, values, person) for name, values in sorted(role.row_filters.items())),
        areas=frozenset(role.areas),
        hidden=frozenset(role.hidden_kpis),
        masked=frozenset(role.masked_kpis),
        min_people=role.min_people,
        classes=role.classes,
    )
    return Rights(role.name, frozenset(role.actions), frozenset(role.shown_pages), limits, member)


def _row_filter(dimension: str, values: Sequence[str], person: Person | None) -> RowFilter:
    found = list[str]()
    for text in values:
        claim = CLAIM.fullmatch(text)
        if claim is None:
            found.append(text)
        elif person is not None:
            found += claimed(person, claim[1])
    if found:
        return RowFilter(dimension, tuple(dict.fromkeys(found)))
    names = ", ".join(re.sub(r"[{}]", "", text) for text in values)
    whose = "your sign-in says no" if person is not None else "rows are chosen by a person's"
    return RowFilter(dimension, (), f"{whose} {names}")
