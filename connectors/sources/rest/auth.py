"""How an API knows who asks: keys, and tokens that are fetched and renewed. The options of `auth`, and what they do."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from pydantic import BaseModel, ConfigDict, Field

from connectors.clock import utc_now
from connectors.errors import SourceError
from connectors.outbound_http import guarded_client
from connectors.reading import read_regular
from connectors.secrets import hide

RENEWED = timedelta(seconds=60)  # before a token ends
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
SECONDS = 20
MOST_KEY = 1 << 20  # bytes of a key's file


@dataclass(frozen=True)
class Place:
    """where: who is told wrong. folder: of the project. allow: `outbound_hosts` of the settings."""

    where: str
    folder: Path
    allow: tuple[str, ...]

    def read(self, name: str) -> str:
        """A key's file. Raises OSError for what is no plain file, UnicodeDecodeError."""
        return read_regular(self.folder / Path(name).expanduser(), most=MOST_KEY).decode()


class Options(BaseModel):
    """Base of the ways to sign in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def auth(self, place: Place, /) -> httpx.Auth:
        """What signs the requests. Raises SourceError for a key that is none."""
        raise NotImplementedError


class Bearer(Options):
    """A key that is sent as `Authorization: Bearer KEY`."""

    type: Literal["bearer"] = "bearer"
    token: str = Field(description="The key, as ${NAME}.")

    def auth(self, _place: Place, /) -> httpx.Auth:
        """The header."""
        return Header("Authorization", f"Bearer {self.token}")


class Basic(Options):
    """User and password."""

    type: Literal["basic"] = "basic"
    user: str = Field("", description="The user, or the key where an API takes it as one.")
    password: str = Field("", description="The password, as ${NAME}.")

    def auth(self, _place: Place, /) -> httpx.Auth:
        """The header."""
        hide(self.password or self.user)
        return httpx.BasicAuth(self.user, self.password)


class ApiKey(Options):
    """A key in a header or in the address, under a name of the API's own."""

    type: Literal["api_key"] = "api_key"
    name: str = Field(description="Name of the header or parameter, such as X-Api-Key.")
    value: str = Field(description="The key, as ${NAME}.")
    place: Literal["header", "query"] = Field("header", description="Where it is sent.")

    def auth(self, _place: Place, /) -> httpx.Auth:
        """Header or parameter."""
        return Header(self.name, self.value) if self.place == "header" else Parameter(self.name, self.value)


class OAuth2(Options):
    """A token for a client's id and secret, or for a refresh token; fetched when needed, and renewed."""

    type: Literal["oauth2"] = "oauth2"
    token_url: str = Field(description="Where tokens are given.")
    client_id: str = Field(description="Id of the client.")
    client_secret: str = Field("", description="Its secret, as ${NAME}.")
    refresh_token: str = Field("", description="A refresh token, as ${NAME}; without one: client credentials.")
    scope: str = Field("", description="What the token may do, words apart by spaces.")

    def auth(self, place: Place, /) -> httpx.Auth:
        """A token that renews itself."""
        asked = {"client_id": self.client_id, "client_secret": self.client_secret, "scope": self.scope}
        if self.refresh_token:
            asked |= {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        else:
            asked |= {"grant_type": "client_credentials"}
        return Token(self.token_url, lambda: {k: v for k, v in asked.items() if v}, place)


class ServiceAccount(Options):
    """A Google service account, by the JSON file of its key."""

    type: Literal["google_service_account"] = "google_service_account"
    key_file: str = Field("", description="The JSON file of the key, relative to the project folder.")
    key_json: str = Field("", description="What is in that file, as ${NAME}, in place of `key_file`.")
    scope: str = Field(
        "", description="What the token may do, such as https://www.googleapis.com/auth/analytics.readonly."
    )

    def auth(self, place: Place, /) -> httpx.Auth:
        """A token for an assertion that the key signs."""
        try:
            text = self.key_json or place.read(self.key_file)
            account: Mapping[str, Any] = json.loads(text)
            hide(str(account["private_key"]))
            key = RSAKey.import_key(str(account["private_key"]))
            email, url = str(account["client_email"]), str(account.get("token_uri", GOOGLE_TOKENS))
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            raise SourceError(
                f"the key of the service account cannot be used: {type(error).__name__}",
                where=place.where,
                hint="`key_file` is the JSON file that Google gives for a key; it has client_email and private_key.",
            ) from None

        def asked() -> dict[str, str]:
            now = int(utc_now().timestamp())
            claims = {"iss": email, "scope": self.scope, "aud": url, "iat": now, "exp": now + 3600}
            return {"grant_type": JWT_GRANT, "assertion": jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, key)}

        return Token(url, asked, place)


class SignedToken(Options):
    """A short-lived token that an ES256 key signs, as App Store Connect wants it."""

    type: Literal["jwt_es256"] = "jwt_es256"
    issuer: str = Field(description="Who asks (iss).")
    key_id: str = Field(description="Id of the key (kid).")
    key_file: str = Field("", description="The .p8 file of the key, relative to the project folder.")
    key: str = Field("", description="What is in that file, as ${NAME}, in place of `key_file`.")
    audience: str = Field("appstoreconnect-v1", description="For whom it is (aud).")
    minutes: int = Field(15, ge=1, le=20, description="How long a token holds.")

    def auth(self, place: Place, /) -> httpx.Auth:
        """A token that is signed anew before it ends."""
        try:
            text = self.key or place.read(self.key_file)
            hide(text)
            key = ECKey.import_key(text)
        except (OSError, ValueError, TypeError, JoseError) as error:
            raise SourceError(
                f"the key that signs cannot be used: {type(error).__name__}",
                where=place.where,
                hint="`key_file` is the .p8 file, a private key of the curve P-256 in PEM.",
            ) from None

        def made() -> tuple[str, float]:
            now = int(utc_now().timestamp())
            ends = now + 60 * self.minutes
            claims = {"iss": self.issuer, "aud": self.audience, "iat": now, "exp": ends}
            return jwt.encode({"alg": "ES256", "kid": self.key_id, "typ": "JWT"}, claims, key), float(ends - now)

        return Renewed(made)


Auth = Annotated[Bearer | Basic | ApiKey | OAuth2 | ServiceAccount | SignedToken, Field(discriminator="type")]


class Header(httpx.Auth):
    """One header."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value
        hide(value.removeprefix("Bearer "))

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        request.headers[self._name] = self._value
        yield request


class Parameter(httpx.Auth):
    """One parameter of the address."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value
        hide(value)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        request.url = request.url.copy_set_param(self._name, self._value)
        yield request


class Renewed(httpx.Auth):
    """A Bearer token that is made, and made anew before it ends, or once where it is not accepted."""

    def __init__(self, made: Any) -> None:
        """made: gives a token and the seconds that it holds."""
        self._made, self._lock = made, threading.Lock()
        self._token, self._ends = "", utc_now()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        request.headers["Authorization"] = f"Bearer {self._current()}"
        answer = yield request
        if answer.status_code == 401:
            refused = request.headers["Authorization"].removeprefix("Bearer ")
            request.headers["Authorization"] = f"Bearer {self._current(but=refused)}"
            yield request

    def _current(self, but: str = "") -> str:
        with self._lock:
            if not self._token or self._token == but or utc_now() >= self._ends - RENEWED:
                self._token, seconds = self._made()
                hide(self._token)
                self._ends = utc_now() + timedelta(seconds=seconds)
            return self._token


class Token(Renewed):
    """A token that an address gives for what is asked there."""

    def __init__(self, url: str, asked: Any, place: Place) -> None:
        self._url, self._asked, self._place = url, asked, place
        super().__init__(self._fetched)

    def _fetched(self) -> tuple[str, float]:
        """Raises SourceError, OutboundRefused; httpx.TransportError, after which the request is tried again."""
        with guarded_client(self._place.allow, private=True, timeout=SECONDS) as client:
            answer = client.post(self._url, data=self._asked(), headers={"Accept": "application/json"})
        if answer.status_code >= 500 or answer.status_code == 429:
            raise httpx.RemoteProtocolError(f"HTTP {answer.status_code} where tokens are given")
        try:
            found = answer.json()
        except ValueError:
            if answer.status_code == 200:  # a page of a proxy, or half an answer
                raise httpx.RemoteProtocolError("no JSON where tokens are given") from None
            found = None
        try:
            return str(found["access_token"]), float(found.get("expires_in", 3600))
        except (ValueError, KeyError, TypeError):
            raise SourceError(
                f"no token is given for the key (HTTP {answer.status_code})",
                where=self._place.where,
                hint="Its id, secret or refresh token may be wrong or revoked, or `scope` more than it may have.",
            ) from None
