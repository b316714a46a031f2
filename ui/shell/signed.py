"""Who asks: by Streamlit's signed cookie, or by the headers of a proxy that signs people in. For pages and files."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

from jobs.access.person import Person, person_of_claims, person_of_headers
from jobs.project.project import Project

USER_COOKIE = "_streamlit_user"
STREAMLITS = timedelta(days=30)  # that it keeps who signed in
# What the door adds to a request whose proxy it knows. Nobody outside of this process can say it.
VOUCHED, VOUCHER = "x-kpi-vouched", secrets.token_urlsafe()


def person(cookies: Mapping[str, str], headers: Mapping[str, str], project: Project) -> Person | None:
    """Whoever asks; None if nobody signed in, or longer ago than a session lasts.

    headers: as the door left them (ui/shell/middleware.py).
    """
    settings = project.settings
    if settings.sign_in_proxy is not None:
        vouched = hmac.compare_digest(headers.get(VOUCHED, "").encode(), VOUCHER.encode())
        return person_of_headers(headers, settings) if vouched else None
    return person_of_claims(claims(cookies, settings.session_length), settings)


def ended(cookies: Mapping[str, str], project: Project) -> bool:
    """Whether somebody signed in, but longer ago than a session lasts."""
    return bool(claims(cookies, STREAMLITS)) and not claims(cookies, project.settings.session_length)


def claims(cookies: Mapping[str, str], length: timedelta) -> dict[str, Any]:
    """What the provider said of who signed in no longer ago than that; empty without such, or with a wrong signature.

    The time is that of our own signature: no provider has to say when somebody signed in.
    """
    days = length / timedelta(days=1)

    def one(name: str) -> bytes | None:
        given = cookies.get(name, "").encode("latin-1", "replace")
        return decode_signed_value(get_cookie_secret(), name, given, max_age_days=days)

    try:
        found = json.loads(get_cookie_with_chunks(one, USER_COOKIE) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
