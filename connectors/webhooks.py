"""Webhooks of settings.yml: programs that are told what happens, each by an address and a secret that signs."""

from __future__ import annotations

import re
from base64 import b64decode
from ipaddress import ip_address
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.secrets import NAMED

Kind = Literal["incident", "verdict", "snapshot", "restatement"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEAST_SECRET = 24  # letters, or bytes of what is in base64
ENCODED = "whsec_"  # before a secret that is in base64, by Standard Webhooks
HOW_TO_MAKE = "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one; write it as ${NAME}."


class Webhook(BaseModel):
    """A program that is told what happens. Address and secret are filled in when something is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(min_length=1, max_length=100)
    url: str = Field(repr=False, description="https://…, or http://… of this machine; secrets as ${ENV_NAME}.")
    secret: str = Field(repr=False, description="What signs each message: 24 letters or more, as ${ENV_NAME}.")
    events: tuple[Kind, ...] = Field(KINDS, min_length=1, description="What it is told of; default all.")
    role: str = Field("", description="Role of who gets it: what it does not see is not sent.")

    @field_validator("events", mode="before")
    @classmethod
    def _one_event(cls, said: Any) -> Any:
        return [said] if isinstance(said, str) else said

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not NAMED.search(url) and (problem := address_problem(url)):
            raise ValueError(f"{problem}\nWrite one such as https://hooks.example.com/kpi.")
        return url

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: str) -> str:
        if not NAMED.search(secret) and (problem := secret_problem(secret)):
            raise ValueError(f"{problem}\n{HOW_TO_MAKE}")
        return secret


def address_problem(url: str) -> str:
    """Why an address is none that messages are sent to, without the address itself; empty if it is one."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is no web address"
    if re.search(r"[^\x21-\x7e]", url) or "\\" in url:
        return "the address has letters that none has"
    if parts.scheme not in ("https", "http") or not host:
        return "the address does not begin with https:// and a host"
    if parts.username is not None or parts.fragment:
        return "the address has a user or a fragment, and messages are signed instead"
    if parts.scheme == "http" and not _this_machine(host):
        return "http:// is for this machine only (127.0.0.1, localhost): elsewhere anybody on the way could read it"
    return ""


def secret_problem(secret: str) -> str:
    """Why a secret cannot sign, without the secret; empty if it can."""
    try:
        length = len(signing_key(secret))
    except ValueError:
        return f"what follows {ENCODED} is no base64"
    what = "bytes in base64" if secret.startswith(ENCODED) else "letters"
    return "" if length >= LEAST_SECRET else f"the secret is shorter than {LEAST_SECRET} {what}"


def signing_key(secret: str) -> bytes:
    """The key of a secret: of `whsec_…` what that is in base64, else its letters in UTF-8. Raises ValueError."""
    if secret.startswith(ENCODED):
        return b64decode(secret.removeprefix(ENCODED), validate=True)
    return secret.encode()


def _this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
