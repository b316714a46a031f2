"""Who a request's cookies say is signed in, for what is served beside the pages: Streamlit's own signature decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

USER_COOKIE = "_streamlit_user"


def signed_in(cookies: Mapping[str, str]) -> dict[str, Any]:
    """The claims of the user's cookie; empty without one, or where its signature is wrong or old."""

    def one(name: str) -> bytes | None:
        return decode_signed_value(get_cookie_secret(), name, cookies.get(name, "").encode("latin-1", "replace"))

    try:
        found = json.loads(get_cookie_with_chunks(one, USER_COOKIE) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
