"""Who asks: by Streamlit's signed cookie, or by the headers of a proxy that signs people in. For pages and files."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from streamlit.auth_util import get_cookie_with_chunks, get_origin_from_redirect_uri
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import AUTH_COOKIE_MAX_AGE_SECONDS

from jobs.access.person import Person, person_of_claims, person_of_headers
from jobs.project.project import Project
from ui.shell.providers import providers

USER_COOKIE = "_streamlit_user"
STREAMLITS = timedelta(seconds=AUTH_COOKIE_MAX_AGE_SECONDS)  # that it keeps who signed in
# What the door adds to a request whose proxy it knows, with the time. Nobody outside of this process can say it.
VOUCHED, VOUCHER = "x-kpi-vouched", secrets.token_urlsafe()


def person(cookies: Mapping[str, str], headers: Mapping[str, str], project: Project) -> Person | None:
    """Whoever asks; None if nobody signed in, or longer ago than a session lasts.

    headers: as the door left them (ui/shell/middleware.py); those of a page are of when it connected.
    """
    settings = project.settings
    if settings.sign_in_proxy is not None:
        age = vouched_for(headers)
        return person_of_headers(headers, settings) if age is not None and age < settings.session_length else None
    return person_of_claims(claims(cookies, settings.session_length), settings)


def ended(cookies: Mapping[str, str], headers: Mapping[str, str], project: Project) -> bool:
    """Whether somebody signed in, but longer ago than a session lasts."""
    length = project.settings.session_length
    if project.settings.sign_in_proxy is not None:
        age = vouched_for(headers)
        return age is not None and age >= length
    return bool(claims(cookies, STREAMLITS)) and not claims(cookies, length)


def voucher() -> str:
    """What the door writes beside the headers of a proxy that it knows."""
    return f"{VOUCHER} {time.monotonic():.3f}"


def vouched_for(headers: Mapping[str, str]) -> timedelta | None:
    """How long ago the door let these headers pass; None if it did not."""
    said, _, at = headers.get(VOUCHED, "").partition(" ")
    if not hmac.compare_digest(said.encode(), VOUCHER.encode()):
        return None
    return timedelta(seconds=time.monotonic() - float(at))


def claims(cookies: Mapping[str, str], length: timedelta) -> dict[str, Any]:
    """What a provider of ours said of who signed in here no longer ago than that; empty without such.

    The time is that of our own signature: no provider has to say when somebody signed in. Another dashboard with the
    same `cookie_secret`, and a provider that was taken away, sign nobody in.
    """
    days = length / timedelta(days=1)

    def one(name: str) -> bytes | None:
        given = cookies.get(name, "").encode("latin-1", "replace")
        return decode_signed_value(get_cookie_secret(), name, given, max_age_days=days)

    try:
        found = json.loads(get_cookie_with_chunks(one, USER_COOKIE) or b"{}")
    except ValueError:
        return {}
    if not isinstance(found, dict) or found.get("provider") not in providers():
        return {}
    here = get_origin_from_redirect_uri()
    return found if here and found.get("origin") == here else {}
