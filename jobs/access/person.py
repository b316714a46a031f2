"""Who somebody is by what a provider or a proxy says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.settings import Settings


@dataclass(frozen=True)
class Person:
    """Somebody who signed in. groups: as the provider names them. claims: all that it said, for rules.

    name: what others read: the confirmed address, else what the provider calls them, never an address of theirs that
    is unconfirmed as if it were. id: what rules name: the confirmed address, else the provider's own word for them,
    which nobody chooses for themselves. said: the address as it was said.
    """

    name: str
    id: str
    email: str = ""  # confirmed, in small letters; empty if they have none
    groups: frozenset[str] = frozenset()
    said: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict, compare=False)


def person_of_claims(claims: Mapping[str, Any], settings: Settings) -> Person | None:
    """Whoever a provider's claims are about; None if nobody signed in. An address that is unconfirmed is nobody's."""
    if claims.get("is_logged_in") is not True:
        return None
    said = str(claims.get("email") or "").strip().lower()
    email = said if _is_confirmed(claims) and _is_address(said) else ""
    subject, called = str(claims.get("sub") or ""), str(claims.get("name") or "")
    called = subject if "@" in called or not called else called
    name = email or (f"{said} (unconfirmed)" if said else called) or "somebody"
    groups = _groups(claims.get(settings.sign_in_claim))
    return Person(name, email or ("" if "@" in subject else subject), email, groups, said, claims)


def _is_confirmed(claims: Mapping[str, Any]) -> bool:
    """Where the provider says nothing of it, it has no unconfirmed addresses."""
    return "email_verified" not in claims or str(claims["email_verified"]).strip().lower() == "true"


def person_of_headers(headers: Mapping[str, str], settings: Settings) -> Person | None:
    """Whoever a proxy's headers name; None if they name nobody. Only for requests that a named proxy passed on."""
    proxy = settings.sign_in_proxy
    said = headers.get(proxy.user, "").strip() if proxy is not None else ""
    if proxy is None or not said:
        return None
    email = said.lower() if _is_address(said) else ""
    groups = _groups(headers.get(proxy.groups, "").split(","))
    claims = {"email": email, settings.sign_in_claim: sorted(groups)}
    return Person(email or said, email or said, email, groups, said, claims)


def _is_address(text: str) -> bool:
    name, _, domain = text.partition("@")
    return bool(name and domain) and "@" not in domain


def _groups(said: Any) -> frozenset[str]:
    """Of a list, or one text; anything else names no group."""
    if isinstance(said, str):
        said = [said]
    if not isinstance(said, Sequence):
        return frozenset()
    return frozenset(item.strip() for item in said if isinstance(item, str) and item.strip())
