"""Service tokens: what opens, what does not, what is kept of them; in SQLite and in a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.errors import StateError
from connectors.secrets import mask
from connectors.state.audit_keys import AuditKeys
from connectors.state.store import StateStore
from jobs.access.tokens import LONGEST, PREFIX, admitted, create, known, listed, revoke, row_of
from tests.conftest import Builder, run_cli

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(params=["sqlite", "postgres"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    if request.param == "sqlite":
        yield StateStore(f"sqlite:///{tmp_path / 'state.sqlite'}")
        return
    store = StateStore(request.getfixturevalue("postgres"), AuditKeys([tmp_path]))
    with store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM service_tokens")
    yield store


def test_a_token_opens_its_scope_until_it_ends(state: StateStore) -> None:
    made = create(state, "prometheus", ["metrics"], 30 * DAY, by="ana", now=NOW)
    assert made.secret.startswith(PREFIX) and len(made.secret) > 40
    for at in (NOW, NOW + 30 * DAY - SECOND):
        found = admitted(state, made.secret, "metrics", now=at)
        assert found is not None and found.name == "prometheus"
    for at in (NOW + 30 * DAY, NOW + 300 * DAY):
        assert admitted(state, made.secret, "metrics", now=at) is None
    assert [one.state for one in listed(state, now=NOW + 30 * DAY)] == ["expired"]
    again = create(state, "prometheus", ["metrics"], DAY, by="ana", now=NOW + 30 * DAY)
    assert again.secret != made.secret, "the name is free once the first has ended"


def test_what_is_not_the_token_opens_nothing(state: StateStore) -> None:
    secret = create(state, "a", ["metrics"], DAY, by="ana", now=NOW).secret
    wrong = ("", "a", PREFIX, secret[:-1], secret + "A", secret.upper(), f" {secret}", secret.removeprefix(PREFIX), "%")
    assert [admitted(state, one, "metrics", now=NOW) for one in wrong] == [None] * len(wrong)
    assert admitted(state, secret, "sync", now=NOW) is None, "another scope"
    assert admitted(state, secret, "metric", now=NOW) is None, "a part of its scope's name"
    assert admitted(state, secret, "", now=NOW) is None


def test_a_revoked_token_opens_nothing_at_once(state: StateStore) -> None:
    secret = create(state, "a", ["metrics"], DAY, by="ana", now=NOW).secret
    other = create(state, "b", ["metrics"], DAY, by="ana", now=NOW).secret
    revoke(state, "a", by="bo", now=NOW + SECOND)
    assert admitted(state, secret, "metrics", now=NOW + SECOND) is None
    assert admitted(state, other, "metrics", now=NOW + SECOND) is not None
    told = {one.name: (one.state, one.revoked_by, one.revoked_at) for one in listed(state, now=NOW + SECOND)}
    assert told == {"a": ("revoked", "bo", NOW + SECOND), "b": ("active", "", None)}
    with pytest.raises(StateError, match="'a' is revoked already"):
        revoke(state, "a", by="bo", now=NOW + SECOND)
    with pytest.raises(StateError, match="no token 'bb'") as told_near:
        revoke(state, "bb", by="bo", now=NOW)
    assert "'b'" in told_near.value.hint


def test_its_use_is_noted_once_a_day(state: StateStore) -> None:
    secret = create(state, "a", ["metrics"], 9 * DAY, by="ana", now=NOW).secret
    seen = []
    for at in (NOW + SECOND, NOW + 2 * SECOND, NOW + DAY, NOW + DAY + SECOND):
        admitted(state, secret, "metrics", now=at)
        seen.append(listed(state, now=at)[0].used_at)
    assert seen == [NOW + SECOND, NOW + SECOND, NOW + DAY, NOW + DAY]
    admitted(state, secret, "sync", now=NOW + 5 * DAY)
    assert listed(state, now=NOW + 5 * DAY)[0].used_at == NOW + DAY, "what was refused is no use"


@pytest.mark.parametrize(
    ("name", "scopes", "lasts", "words"),
    [
        ("", ["metrics"], DAY, "is no name"),
        ("A b", ["metrics"], DAY, "is no name"),
        ("a" * 61, ["metrics"], DAY, "is no name"),
        ("a\n", ["metrics"], DAY, "is no name"),
        ("a", [], DAY, "opens nothing"),
        ("a", ["metric"], DAY, "no scope 'metric'"),
        ("a", ["metrics"], timedelta(0), "two years"),
        ("a", ["metrics"], LONGEST + SECOND, "two years"),
        ("taken", ["metrics"], DAY, "there is a token 'taken'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_kept(
    state: StateStore, name: str, scopes: list[str], lasts: timedelta, words: str
) -> None:
    create(state, "taken", ["metrics"], DAY, by="ana", now=NOW)
    with pytest.raises(StateError, match=words):
        create(state, name, scopes, lasts, by="ana", now=NOW)
    assert [one.name for one in listed(state, now=NOW)] == ["taken"]


def test_the_token_itself_is_nowhere(tmp_path: Path) -> None:
    project = Builder(tmp_path / "project")
    made = run_cli("token", "create", "scraper", "--scope", "metrics", "--json", "--project", str(project.folder))
    secret = json.loads(made.stdout)["token"]
    assert made.stdout.count(secret) == 1 and secret not in made.stderr
    kept = [path for path in project.folder.rglob("*") if path.is_file()]
    assert any(path.name.startswith("state.sqlite") for path in kept)
    assert all(secret.encode() not in path.read_bytes() for path in kept)
    shown = run_cli("token", "list", "--json", "--project", str(project.folder)).stdout
    assert secret not in shown and json.loads(shown)[0]["name"] == "scraper"


def test_a_token_is_masked_wherever_it_is_written() -> None:
    secret = PREFIX + "uwEp0tfFkK8cP91ewptSJZazZU2XxiSFETeEDk4YLYo"
    assert len(secret) == 47
    for text in (f"said {secret}", f"kpi token revoke {secret}", f"there is no token '{secret}'"):
        assert secret not in mask(text) and "***" in mask(text)
    assert mask("kpi_of_sign_ups kpi_sign_ups_of_people_who_came_by_the_campaign_of") == (
        "kpi_of_sign_ups kpi_sign_ups_of_people_who_came_by_the_campaign_of"
    )


def test_the_verbs(tmp_path: Path) -> None:
    folder = str(Builder(tmp_path / "project").folder)

    def kpi(*arguments: str) -> tuple[int, str, str]:
        done = run_cli("token", *arguments, "--project", folder, "--now", "2026-11-26T12:00:00Z")
        return done.returncode, done.stdout, done.stderr

    assert kpi("list", "--json") == (0, "[]\n", "")
    status, secret, told = kpi("create", "scraper", "--scope", "metrics", "--valid", "7d", "--by", "ana")
    assert status == 0 and secret.startswith(PREFIX) and "until 2026-12-03 12:00 UTC" in told
    (row,) = json.loads(kpi("list", "--json")[1])
    assert row == {
        "name": "scraper", "scopes": "metrics", "state": "active", "by": "ana", "created_at": "2026-11-26T12:00:00Z",
        "expires_at": "2026-12-03T12:00:00Z", "revoked_at": None, "revoked_by": "", "used_at": None,
        "role": "",
    }  # fmt: skip
    assert kpi("create", "scraper", "--scope", "metrics")[0] == 1
    assert kpi("create", "other", "--scope", "metrics", "--valid", "soon")[0] == 2
    assert kpi("create", "other", "--scope", "metrics", "--valid", "99999999999999d")[0] == 2
    assert kpi("revoke", "scraper")[:2] == (0, "scraper opens nothing any more\n")
    assert kpi("revoke", "scraper")[0] == 1


def test_a_token_has_a_role_and_says_why_it_does_not_open(state: StateStore) -> None:
    made = create(state, "sheets", ["read"], DAY, by="ana", now=NOW, role="emea")
    found = admitted(state, made.secret, "read", now=NOW)
    assert found is not None and found.role == "emea" and row_of(found)["role"] == "emea"
    assert admitted(state, made.secret, "sync", now=NOW) is None
    other = known(state, made.secret, now=NOW)
    assert other is not None and other.scopes == ("read",)
    assert known(state, made.secret, now=NOW + DAY) is None and known(state, f"{made.secret}A", now=NOW) is None
    with pytest.raises(StateError, match="no name of a role"):
        create(state, "b", ["read"], DAY, by="ana", now=NOW, role="E M")
    assert [one.name for one in listed(state, now=NOW)] == ["sheets"]
