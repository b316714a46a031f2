"""What is clicked after a session has ended is not done; what a door vouched for ends with the session, too."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import streamlit as st

from connectors.errors import KpiError, Withheld
from connectors.roles import ACTIONS
from connectors.settings import Settings
from jobs.access.person import Person
from jobs.project.project import Project
from ui.shell import acts, signed, state

ANA = Person("ana@example.com", "ana@example.com", "ana@example.com")
PROXIED = Settings.model_validate(
    {
        "sign_in": True,
        "sign_in_proxy": {"addresses": ["10.0.0.7"]},
        "session_length": "1h",
        "sign_in_domains": "example.com",
    }
)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings and person of the session, as a test sets them."""
    now: dict[str, Any] = {"settings": PROXIED, "person": ANA}
    monkeypatch.setattr(state, "served", lambda: SimpleNamespace(settings=now["settings"]))
    monkeypatch.setattr(state, "person", lambda: now["person"])
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setenv("USER", "kpi-service")
    return now


def test_who_is_signed_in_acts_by_their_own_name(served: dict[str, Any]) -> None:
    acts.admit("decide", 0.0)
    assert state.who() == "ana@example.com"


@pytest.mark.parametrize("person", [None, dataclasses.replace(ANA, email="ana@other.example"), Person("eve", "eve")])
def test_nothing_is_done_by_who_is_not_nor_in_the_server_s_name(served: dict[str, Any], person: Person | None) -> None:
    served["person"] = person
    for act in (lambda: acts.admit("decide", 0.0), state.who):
        with pytest.raises(KpiError, match="your session has ended, and nothing was done"):
            act()


def test_where_nobody_signs_in_the_machine_s_user_acts(served: dict[str, Any]) -> None:
    served["settings"], served["person"] = Settings(), None
    acts.admit("decide", 0.0)
    assert state.who() == "kpi-service"


def test_what_the_door_vouched_for_lasts_as_long_as_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    project = cast("Project", SimpleNamespace(settings=PROXIED))
    headers = {"X-Forwarded-Email": "ana@example.com", signed.VOUCHED: signed.voucher()}
    began = time.monotonic()
    for later, there in ((0.0, True), (3590.0, True), (3601.0, False)):
        monkeypatch.setattr(time, "monotonic", lambda later=later: began + later)
        assert (signed.person({}, headers, project) is not None) is there
        assert signed.ended({}, headers, project) is not there
    for said in ("", "guessed", "guessed 1", f" {signed.VOUCHER}"):
        assert signed.vouched_for({**headers, signed.VOUCHED: said}) is None
    assert timedelta(0) <= cast("timedelta", signed.vouched_for(headers)) < timedelta(hours=2)


@pytest.mark.parametrize("action", sorted({*ACTIONS} - {"export"}))
def test_what_a_role_may_not_is_not_done_whatever_is_clicked(served: dict[str, Any], action: str) -> None:
    """Pages do not show the button; whoever says that it was clicked all the same is told."""
    looking = {"name": "looking", "base": "viewer", "members": ["@example.com"]}
    served["settings"] = Settings.model_validate({"sign_in": True, "roles": [looking]})
    with pytest.raises(Withheld, match="your role 'looking' may not"):
        acts.admit(action, 0.0)
