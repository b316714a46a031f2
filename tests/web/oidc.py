"""A small OpenID provider, a process of its own: discovery, authorize, token (with PKCE), keys. For tests only.

    python tests/web/oidc.py PORT EMAIL-FILE

Whoever authorizes is who the file names: an address, then `unconfirmed` if the provider has not confirmed it,
`groups=a,b`, or JSON of claims that are said instead (null: not said), with `key` and `alg` for how it is signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "dashboard", "canary-of-the-client-7f3a"
KEY = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})


class Provider(http.server.BaseHTTPRequestHandler):
    """One request after another; codes are good once."""

    codes: dict[str, dict[str, str]] = {}
    base, person = "", Path()

    def do_GET(self) -> None:
        """Discovery, keys, and the consent that is always given."""
        parts = urlsplit(self.path)
        if parts.path == "/.well-known/openid-configuration":
            self.answer(
                {
                    "issuer": self.base,
                    "authorization_endpoint": f"{self.base}/authorize",
                    "token_endpoint": f"{self.base}/token",
                    "jwks_uri": f"{self.base}/jwks",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )
        elif parts.path == "/jwks":
            self.answer({"keys": [KEY.as_dict(private=False)]})
        elif parts.path == "/authorize":
            given = {name: values[0] for name, values in parse_qs(parts.query).items()}
            assert given["client_id"] == CLIENT and given["response_type"] == "code", given
            code = secrets.token_urlsafe()
            self.codes[code] = given
            self.send_response(302)
            back = urlencode({"code": code, "state": given["state"]})
            self.send_header("Location", f"{given['redirect_uri']}?{back}")
            self.end_headers()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """A code for a token, if client, secret and verifier are right."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        given = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        known = self.headers.get("Authorization") == f"Basic {basic}" or form.get("client_secret") == SECRET
        if given is None or not known or given["code_challenge"] != challenge:
            self.answer({"error": "invalid_grant"}, 400)
            return
        address, _, word = self.person.read_text().strip().partition(" ")
        now = int(time.time())
        claims = {
            "iss": self.base, "aud": CLIENT, "sub": address, "iat": now, "exp": now + 600, "nonce": given["nonce"],
            "email": address, "email_verified": word != "unconfirmed", "name": "Ana",
            **({"groups": word.removeprefix("groups=").split(",")} if word.startswith("groups=") else {}),
        }  # fmt: skip
        forged = json.loads(word) if word.startswith("{") else {}
        token = signed(forged.pop("alg", "RS256"), forged.pop("key", ""), {**claims, **forged})
        self.answer({"access_token": "access", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def answer(self, value: dict[str, Any], status: int = 200) -> None:
        """JSON."""
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def signed(alg: str, key: str, said: dict[str, Any]) -> str:
    """A token; with another algorithm as whoever has only what is public, or the client's secret, would sign it."""
    claims = {name: value for name, value in said.items() if value is not None}
    if alg == "RS256":
        return jwt.encode({"alg": alg, "kid": "one"}, claims, OTHER if key == "other" else KEY)
    head = {"alg": alg, "kid": "one", "typ": "JWT"}
    body = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims))
    known = SECRET.encode() if key == "secret" else KEY.as_pem(private=False)
    proof = hmac.digest(known, body, "sha256") if alg == "HS256" else b""
    return (body + b"." + base64.urlsafe_b64encode(proof).rstrip(b"=")).decode()


if __name__ == "__main__":
    Provider.base, Provider.person = f"http://127.0.0.1:{sys.argv[1]}", Path(sys.argv[2])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Provider).serve_forever()
