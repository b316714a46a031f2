"""What Google's APIs share: a service account's key, and tokens for what it signs."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN = "ya29.of-the-fake-"


def account(url: str) -> str:
    """The file that Google gives for a key; tokens are given at `url`."""
    who = {"type": "service_account", "client_email": "kpi@x.iam.gserviceaccount.com"}
    return json.dumps({**who, "private_key": KEY, "token_uri": f"{url}/token"})


class Tokens:
    """Gives tokens for assertions with a scope, and knows them again."""

    def __init__(self, scope: str) -> None:
        self.scope, self.given = scope, 0
        self.route = Route("/token", self._token, methods=["POST"])

    async def _token(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        try:
            claims = jwt.decode(form["assertion"][0], RSAKey.import_key(KEY), algorithms=["RS256"]).claims
        except (JoseError, ValueError, KeyError):
            claims = {}
        if form.get("grant_type") != [GRANT] or claims.get("scope") != self.scope:
            return JSONResponse({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        self.given += 1
        return JSONResponse({"access_token": f"{TOKEN}{self.given}", "expires_in": 3599, "token_type": "Bearer"})

    def refused(self, request: Request) -> Response | None:
        """An answer to who has no token of these."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}{self.given}":
            return wrong(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED")
        return None


def wrong(status: int, words: str, name: str) -> Response:
    """An error as Google's APIs have it."""
    return JSONResponse({"error": {"code": status, "message": words, "status": name}}, status)
