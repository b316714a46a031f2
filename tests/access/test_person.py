"""Who somebody is by claims and headers, and who may see the dashboard."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.settings import Settings, SignInProxy
from jobs.access.person import person_of_claims, person_of_headers
from jobs.access.rights import kept_out

UNCONFIRMED: tuple[Any, ...] = ("False", None, 0, "0", "no", "", [], {})
NOTHING: tuple[Any, ...] = ([], None, 5, {}, [7], [None])  # for a list of names
SIGNED = {"is_logged_in": True, "email": "Ana@Example.com", "sub": "7"}


def settings(**more: Any) -> Settings:
    return Settings.model_validate({"sign_in": True, **more})


@pytest.mark.parametrize(
    ("claims", "seen"),
    [
        ({}, False),
        ({"email": "ana@example.com"}, False),
        ({**SIGNED, "is_logged_in": "true"}, False),
        (SIGNED, True),
        ({**SIGNED, "email_verified": True}, True),
        ({**SIGNED, "email_verified": False}, False),
        ({**SIGNED, "email_verified": "false"}, False),
        *(({**SIGNED, "email_verified": other}, False) for other in UNCONFIRMED),
        ({**SIGNED, "email_verified": "True"}, True),
        ({**SIGNED, "email": "ana@example.com.evil.example"}, False),
        ({**SIGNED, "email": "example.com"}, False),
        ({**SIGNED, "email": "@example.com"}, False),
        ({**SIGNED, "email": None}, False),
        ({**SIGNED, "email": " ana@example.com "}, True),
        ({**SIGNED, "email": "eve@evil.example@example.com"}, False),
    ],
)
def test_only_confirmed_addresses_of_the_domains_see_it(claims: dict[str, Any], seen: bool) -> None:
    rules = settings(sign_in_domains=["example.com"])
    found = person_of_claims(claims, rules)
    assert (found is not None and not kept_out(found, rules)) is seen


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (["growth"], True),
        (["data", "growth"], True),
        ("growth", True),
        ("growth,data", False),  # one group of that name
        (["Growth"], False),
        (["growth-guests"], False),
        ([["growth"]], False),
        ({"growth": True}, False),
        ([], False),
        (None, False),
        (7, False),
    ],
)
def test_only_members_of_the_groups_see_it(said: Any, seen: bool) -> None:
    rules = settings(sign_in_groups="growth", sign_in_claim="teams")
    found = person_of_claims({**SIGNED, "teams": said, "groups": ["growth"]}, rules)
    assert found is not None and (not kept_out(found, rules)) is seen
    assert seen or "growth" in kept_out(found, rules)


def test_domain_and_group_must_both_be_right() -> None:
    rules = settings(sign_in_domains=["example.com"], sign_in_groups=["growth"])

    def seen(email: str, *groups: str) -> bool:
        found = person_of_claims({**SIGNED, "email": email, "groups": list(groups)}, rules)
        return found is not None and not kept_out(found, rules)

    assert seen("ana@example.com", "growth")
    assert not seen("ana@example.com") and not seen("ana@other.example", "growth")


def test_a_proxy_s_headers_name_a_person() -> None:
    rules = settings(sign_in_proxy={"addresses": "10.0.0.7"}, sign_in_groups=["growth"])
    found = person_of_headers({"X-Forwarded-Email": "Ana@Example.com", "X-Forwarded-Groups": "data, growth"}, rules)
    assert found is not None and found.email == "ana@example.com" and found.groups == {"data", "growth"}
    assert not kept_out(found, rules)
    assert person_of_headers({"X-Forwarded-Groups": "growth"}, rules) is None
    assert person_of_headers({"X-Forwarded-Email": "ana@example.com"}, settings()) is None, "no proxy is named"


@pytest.mark.parametrize(
    ("claims", "edits", "name"),
    [
        ({"email": "Ana@Example.com"}, True, "ana@example.com"),
        ({"email": "ana@example.com", "email_verified": False}, False, "ana@example.com (unconfirmed)"),
        ({"name": "ana@example.com"}, False, "7"),
        ({"email": "", "name": "ana@example.com"}, False, "7"),
        ({"sub": "ana@example.com"}, False, "ana@example.com"),
        ({"name": "Ana"}, False, "Ana"),
        ({"name": "bo-7"}, False, "bo-7"),
        ({"sub": "bo-7", "name": "Bo"}, True, "Bo"),
        ({"sub": ""}, False, "somebody"),
    ],
)
def test_editors_are_confirmed_addresses_or_the_provider_s_own_words(
    claims: dict[str, Any], edits: bool, name: str
) -> None:
    """Not what somebody calls themselves."""
    rules = settings(editors=["Ana@Example.com", "bo-7"])
    found = person_of_claims({"is_logged_in": True, "sub": "7", **claims}, rules)
    assert found is not None and rules.may_edit(found.id) is edits and found.name == name


def test_addresses_of_a_proxy() -> None:
    proxy = SignInProxy.model_validate({"addresses": ["10.0.0.0/24", "2001:db8::1"]})
    assert [proxy.names(one) for one in ("10.0.0.9", "::ffff:10.0.0.9", "2001:db8::1")] == [True] * 3
    assert not any(
        proxy.names(one) for one in ("10.0.1.9", "2001:db8::2", "", "testclient", "10.0.0", "::ffff:10.0.1.9")
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sign_in": False, "sign_in_groups": ["a"]}, "keeps nobody out"),
        ({"sign_in": False, "sign_in_proxy": {"addresses": ["10.0.0.7"]}}, "keeps nobody out"),
        *(
            ({"sign_in_proxy": {"addresses": wide}}, "too many machines")
            for wide in (["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["::ffff:0:0/96"], ["2001::/16"])
        ),
        *(
            ({"sign_in_proxy": {"addresses": ["10.0.0.7"], "user": name}}, "says something else")
            for name in ("Cookie", "host", "X-Forwarded-For", "x-kpi-vouched", "Authorization")
        ),
        *(({key: said}, "leave the key out") for key in ("sign_in_domains", "sign_in_groups") for said in NOTHING),
        *(({"sign_in_proxy": {"addresses": said}}, "leave the key out") for said in NOTHING),
        ({"sign_in": False, "session_length": "1d"}, "keeps nobody out"),
        ({"session_length": "99999999999999d"}, "longer than any time"),
        ({"sign_in_proxy": {"addresses": ["proxy.internal"]}}, "is no address"),
        ({"sign_in_proxy": {"addresses": ["10.0.0.7"], "user": "X Forwarded"}}, "no name of a header"),
        ({"session_length": "1 minute"}, "5 minutes to 30 days"),
        ({"session_length": "31d"}, "5 minutes to 30 days"),
    ],
)
def test_rules_that_would_be_in_vain_or_open_to_all_are_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**more)
