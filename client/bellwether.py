"""Ask a Bellwether dashboard from Python: copy this file, it needs pandas and nothing else.

from bellwether import Bellwether

dashboard = Bellwether("https://kpi.example.com", token)  # kpi token create NAME --scope read
dashboard.query("nps", grain="month", by="platform")
"""

from __future__ import annotations

import base64
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

AGAIN = (429, 503)  # what is worth asking again
TOLERANCE = 300.0  # seconds that a webhook's message may be old, or ahead


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows to nowhere: a token is for the server that it was given for."""

    def redirect_request(self, *_: Any) -> None:
        return None


class BellwetherError(Exception):
    """What the server says: its words as the message, status (0 = it was not reached) and code beside them."""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Bellwether:
    """A dashboard. tries: how often a question is asked where the server is busy; timeout: seconds of each."""

    def __init__(self, url: str, token: str, *, tries: int = 4, timeout: float = 60.0) -> None:
        if not url.startswith(("https://", "http://")):
            raise BellwetherError(f"{url} is no address of a dashboard; write https://…")
        self._open = urllib.request.build_opener(_Here).open
        self._base, self._headers = url.rstrip("/") + "/api/v1", {"Authorization": f"Bearer {token}"}
        self._tries, self._timeout = tries, timeout

    def kpis(self, **options: Any) -> pd.DataFrame:
        """The catalogue, a row per KPI. options: tag, area."""
        return pd.DataFrame(list(self._rows("/kpis", options)))

    def query(self, kpi: str, **options: Any) -> pd.DataFrame:
        """Values of one KPI, a row per period.

        options: grain, start, end, by, where (DIM=VALUE, or several of them), compare, as_of.
        """
        found = self._ask("GET", f"/kpis/{urllib.parse.quote(kpi, safe='')}", options)
        return _dated(pd.DataFrame(found["rows"]))

    def values(self, *kpis: str, **options: Any) -> pd.DataFrame:
        """Values of several KPIs (none = all), a row per KPI and period; attrs["problems"] says which have none."""
        problems: list[dict[str, str]] = []
        found = _dated(pd.DataFrame(list(self._rows("/values", {"kpi": kpis, **options}, problems))))
        found.attrs["problems"] = problems
        return found

    def alerts(self, **options: Any) -> pd.DataFrame:
        """Where every alert rule stands. options: kpi, state."""
        return pd.DataFrame(list(self._rows("/alerts", options)))

    def snapshot(self, week: str, **options: Any) -> dict[str, Any]:
        """What was frozen of a week, such as 2026-W46. options: snapshot, revision."""
        return self._ask("GET", f"/snapshots/{urllib.parse.quote(week, safe='')}", options)

    def sync(self) -> dict[str, Any]:
        """Start a sync and wait for its end; the token needs the scope sync."""
        found = self._ask("POST", "/sync", {})
        while found["running"]:
            time.sleep(1.0)
            found = self._ask("GET", "/sync", {})
        if found["rows"] is None:
            raise BellwetherError("the sync failed: " + " ".join(found["said"]))
        return found

    def _rows(
        self, path: str, options: Mapping[str, Any], problems: list[dict[str, str]] | None = None
    ) -> Iterator[dict[str, Any]]:
        cursor, more = "", True
        while more:
            part = self._ask("GET", path, {**options, "cursor": cursor})
            yield from part["rows"]
            if problems is not None:
                problems += part["problems"]
            cursor, more = part["next"], part["next"] is not None

    def _ask(self, method: str, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in options.items() if value not in (None, "", ())}
        url = f"{self._base}{path}?{urllib.parse.urlencode(given, doseq=True)}"
        request = urllib.request.Request(url, method=method, headers=self._headers)  # noqa: S310 (by __init__)
        for left in reversed(range(self._tries)):
            try:
                with self._open(request, timeout=self._timeout) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                if error.code not in AGAIN or not left:
                    raise _told(error) from None
                time.sleep(min(float(error.headers.get("Retry-After") or 1), 60.0))
            except OSError as error:
                raise BellwetherError(f"{self._base} is not reached: {error}") from None
        raise AssertionError


def verified(body: bytes, headers: Mapping[str, str], secret: str, *, now: float | None = None) -> dict[str, Any]:
    """The event in a webhook's message: `type`, `timestamp`, `data`, and its `id`, which is the same in a repeat.

    body: as it came, before anything reads it. now: seconds since 1970, default the machine's.
    Raises BellwetherError for what the secret did not sign, and for what is older than five minutes.
    """
    given = {name.lower(): value for name, value in headers.items()}
    number, at, signatures = (given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (number and len(at) <= 12 and at.isascii() and at.isdigit() and signatures):
        raise BellwetherError("this is no signed message: webhook-id, -timestamp and -signature are not all there")
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    digest = base64.b64encode(hmac.digest(key, f"{number}.{at}.".encode() + body, "sha256")).decode()
    if not any(hmac.compare_digest(f"v1,{digest}".encode(), one.encode()) for one in signatures.split(" ")):
        raise BellwetherError("this message was not signed with the secret")
    if abs((time.time() if now is None else now) - int(at)) > TOLERANCE:
        raise BellwetherError("this message is older than five minutes, or ahead of this machine's clock")
    try:
        return {**json.loads(body), "id": number}
    except (ValueError, TypeError) as error:
        raise BellwetherError(f"this message is no event: {error}") from None


def _told(error: urllib.error.HTTPError) -> BellwetherError:
    try:
        said = json.load(error)
        words = " ".join(filter(None, (said["detail"], said["hint"])))
        return BellwetherError(words, error.code, said["code"])
    except (ValueError, KeyError, TypeError):  # of a proxy
        return BellwetherError(f"{error.code} {error.reason}", error.code)


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    """Periods as timestamps, where all are dates."""
    if "period" in frame and not (frame["period"] == "total").any():
        frame["period"] = pd.to_datetime(frame["period"], utc=False)
    return frame
