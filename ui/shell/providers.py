"""The OpenID providers of `[auth]` in .streamlit/secrets.toml: which there are, and what is missing of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.errors import StreamlitAPIException

SHARED = ("redirect_uri", "cookie_secret")  # of all providers
KEYS = ("client_id", "client_secret", "server_metadata_url")  # of each
DEFAULT = "default"  # what Streamlit calls the one that stands in [auth] itself
CALLBACK = "/oauth2callback"
SHORTEST_SECRET = 32


def problem() -> str:
    """What is missing of a sign-in; empty if nothing is."""
    if not all(importlib.util.find_spec(name) for name in ("authlib", "httpx")):
        return "The packages Authlib and httpx are missing: pip install -r requirements.lock."
    found = _section()
    if found is None:
        return "There is no [auth] in .streamlit/secrets.toml."
    if wrong := _lacking("auth", found, SHARED):
        return wrong
    if len(str(found["cookie_secret"])) < SHORTEST_SECRET:
        return f"cookie_secret of [auth] is shorter than {SHORTEST_SECRET} letters, so anybody could guess it."
    if urlsplit(str(found["redirect_uri"])).path.rpartition("/")[2] != CALLBACK.strip("/"):
        return f"redirect_uri of [auth] does not end in {CALLBACK}."
    for name in providers():
        section, told = (found, "auth") if name == DEFAULT else (found[name], f"auth.{name}")
        if "_" in name:
            return f"The name of [{told}] holds a _, which Streamlit does not take: write {name.replace('_', '-')}."
        if wrong := _lacking(told, section, KEYS):
            return wrong
        if not str(section["server_metadata_url"]).startswith(("https://", "http://")):
            return f"server_metadata_url of [{told}] is no web address."
    return ""


def providers() -> list[str]:
    """Their names; that of [auth] itself is DEFAULT."""
    found = _section() or {}
    named = [name for name, value in found.items() if isinstance(value, Mapping) and name != "client_kwargs"]
    return [*([DEFAULT] if not named or any(key in found for key in KEYS) else []), *named]


def _section() -> Mapping[str, Any] | None:
    try:
        found = st.secrets.get("auth")
    except (OSError, ValueError, StreamlitAPIException):
        return None
    return found if isinstance(found, Mapping) else None


def _lacking(section: str, found: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    missing = [key for key in keys if not str(found.get(key, "")).strip()]
    return f"[{section}] lacks {', '.join(missing)}." if missing else ""
