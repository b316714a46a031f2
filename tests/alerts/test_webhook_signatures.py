"""What signs a message to a webhook: by the scheme that others know, and nothing else is believed."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.bellwether import BellwetherError, verified
from connectors.channels.contract import Message
from connectors.channels.webhook import WebhookChannel, signature
from connectors.settings import Settings
from connectors.webhooks import address_problem, secret_problem
from tests.alerts.receiver import SECRET

AT = 1_700_000_000
BODY = b'{"type": "snapshot.taken", "timestamp": "2026-11-23T02:30:00Z", "data": {"week": "2026-W46"}}'
LETTERS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


def signed(body: bytes = BODY, secret: str = SECRET, number: str = "evt_1", at: int = AT) -> dict[str, str]:
    return {
        "webhook-id": number,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(secret, number, str(at), body),
    }


def refused(body: bytes, headers: dict[str, str], secret: str = SECRET, now: float = AT) -> bool:
    try:
        verified(body, headers, secret, now=now)
    except BellwetherError:
        return True
    return False


def test_the_example_of_the_scheme_is_signed_as_it_says() -> None:
    """The vector in the libraries of Standard Webhooks."""
    secret, number, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    made = signature(secret, number, at, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_sent_is_what_verifies() -> None:
    headers = WebhookChannel(SECRET, clock=lambda: datetime.fromtimestamp(AT, UTC))._headers(
        Message("t", BODY.decode(), id="evt_1")
    )
    assert verified(BODY, headers, SECRET, now=AT)["id"] == "evt_1"
    assert headers["webhook-signature"].startswith("v1,") and b64decode(headers["webhook-signature"][3:])


@given(
    secret=st.text(min_size=24, max_size=60), number=LETTERS, at=st.integers(0, 10**11), body=st.binary(max_size=200)
)
def test_any_message_is_signed_as_anybody_would(secret: str, number: str, at: int, body: bytes) -> None:
    if secret.startswith("whsec_"):
        return
    expected = hmac.new(secret.encode(), number.encode() + b"." + str(at).encode() + b"." + body, "sha256").digest()
    assert signature(secret, number, str(at), body) == f"v1,{b64encode(expected).decode()}"


@st.composite
def tampered(draw: st.DrawFn) -> tuple[bytes, dict[str, str], str]:
    """A signed message of which one thing is another: a letter of it or of its headers, the secret, a header."""
    body, headers, secret = BODY, signed(), SECRET
    what = draw(st.sampled_from(["body", "cut", "more", "secret", "scheme", "gone", *headers]))
    if what == "body":
        place, value = draw(st.integers(0, len(body) - 1)), draw(st.integers(0, 255))
        body = body[:place] + bytes([value if value != body[place] else value ^ 1]) + body[place + 1 :]
    elif what == "cut":
        body = body[: draw(st.integers(0, len(body) - 1))]
    elif what == "more":
        body += draw(st.binary(min_size=1, max_size=20))
    elif what == "secret":
        secret = draw(
            st.text(min_size=1, max_size=40).filter(lambda text: text != SECRET and not text.startswith("whsec_"))
        )
    elif what == "scheme":
        headers["webhook-signature"] = (
            draw(st.sampled_from(["v2,", "v1a,", "", "V1,", "v1, "])) + headers["webhook-signature"][3:]
        )
    elif what == "gone":
        del headers[draw(st.sampled_from(sorted(headers)))]
    else:
        old = headers[what]
        place, letter = draw(st.integers(0, len(old) - 1)), draw(st.sampled_from("0123456789abzAZ+/=,."))
        headers[what] = old[:place] + (letter if letter != old[place] else "_") + old[place + 1 :]
    return body, headers, secret


@given(tampered())
def test_whatever_is_changed_is_not_believed(message: tuple[bytes, dict[str, str], str]) -> None:
    body, headers, secret = message
    assert refused(body, headers, secret)


@given(seconds=st.integers(-(10**6), 10**6))
def test_a_message_is_good_for_five_minutes(seconds: int) -> None:
    assert refused(BODY, signed(), now=AT + seconds) == (abs(seconds) > 300)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "١٢"},
        {"webhook-id": ""},
    ],
)
def test_headers_that_are_none_are_no_error(headers: dict[str, str]) -> None:
    assert refused(BODY, {**signed(), **headers} if headers else {})


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"{"])
def test_a_body_that_is_no_event_is_told(body: bytes) -> None:
    assert refused(body, signed(body))


def test_names_of_headers_are_of_any_case_and_several_signatures_are_tried() -> None:
    """As while a secret is changed: the old and the new one sign."""
    headers = {name.upper(): value for name, value in signed().items()}
    headers["WEBHOOK-SIGNATURE"] = f"v1a,xyz v1,AAAA {headers['WEBHOOK-SIGNATURE']}"
    assert verified(BODY, headers, SECRET, now=AT)["type"] == "snapshot.taken"


HOOK = {"name": "program", "url": "https://hooks.example.com/x", "secret": "${HOOK}"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "http://hooks.example.com/x"}, "for this machine only"),
        ({"url": "http://127.0.0.1.example.com/x"}, "for this machine only"),
        ({"url": "http://10.0.0.7/x"}, "for this machine only"),
        ({"url": "ftp://hooks.example.com/x"}, "does not begin with https://"),
        ({"url": "file:///etc/passwd"}, "does not begin with https://"),
        ({"url": "https://"}, "does not begin with https://"),
        ({"url": "https://a:b@hooks.example.com/"}, "has a user"),
        ({"url": "https://hooks.example.com@127.0.0.1/"}, "has a user"),
        ({"url": "https://hooks.example.com/#x"}, "a fragment"),
        ({"url": "https://hooks.example.com/\r\nX: y"}, "letters that none has"),
        ({"url": "https://hooks.example.com\\@127.0.0.1/"}, "letters that none has"),
        ({"url": "https://hooks.example.com:99999/"}, "no web address"),
        ({"url": "https://[::1/"}, "no web address"),
        ({"secret": "x" * 23}, "shorter than 24 letters"),
        ({"secret": "whsec_MfKQ9r8G"}, "shorter than 24 bytes"),
        ({"secret": "whsec_not base64 at all, is it"}, "no base64"),
        ({"secret": ""}, "shorter than 24 letters"),
        ({"name": ""}, "at least 1"),
        ({"events": []}, "at least 1"),
        ({"events": ["birthday"]}, "birthday|incident"),
        ({"role": "nobody"}, "no role 'nobody' for a webhook"),
        ({"colour": "red"}, "Extra"),
    ],
)
def test_a_webhook_that_is_wrong_is_an_error(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Settings.model_validate({"webhooks": [{**HOOK, **change}]})


def test_names_are_of_one_place_each() -> None:
    point = {"name": "program", "url": "json://x"}
    for settings in ({"webhooks": [HOOK, HOOK]}, {"webhooks": [HOOK], "contact_points": [point]}):
        with pytest.raises(ValueError, match="two webhooks or contact points 'program'"):
            Settings.model_validate(settings)
    one = Settings.model_validate({"webhooks": [{**HOOK, "events": "snapshot"}]})
    assert one.webhooks[0].events == ("snapshot",) and "HOOK" not in repr(one.webhooks[0])


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_told_why_not(text: str) -> None:
    assert isinstance(address_problem(text), str) and isinstance(secret_problem(text), str)
    assert not text or text not in secret_problem(text) or len(text) < 8
