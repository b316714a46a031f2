"""The sources `launchdarkly` and `unleash` against a simple fake each: one contract, and the documented examples."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.sources import launchdarkly, unleash
from connectors.sources.rest.flags import CHANGES
from tests.conftest import NOW, Builder, run_cli
from tests.fakes import launchdarkly as ld_fake
from tests.fakes import unleash as unleash_fake
from tests.fakes.launchdarkly import LaunchDarkly
from tests.fakes.server import Fake, impatient
from tests.fakes.unleash import Unleash
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(4)
VENDORS = ("launchdarkly", "unleash")
START = "2026-11-01"
Vendor = LaunchDarkly | Unleash

# Of LaunchDarkly's documentation of webhooks and entries, of our own making.
LD_ENTRY: dict[str, Any] = {
    "_links": {"site": {"href": "/default/test/features/test-flag", "type": "text/html"}},
    "_id": "65bb6662837cea0fc2bf0f3d",
    "_accountId": "1234",
    "date": 1795000000123,
    "accesses": [
        {"action": "updateOn", "resource": "proj/default:env/production;critical:flag/test-flag;web"},
        {"action": "updateFallthrough", "resource": "proj/default:env/production;critical:flag/test-flag;web"},
    ],
    "kind": "flag",
    "name": "test flag",
    "description": "* Turned the flag on\n* Changed the default rollout",
    "member": {"_id": "1", "email": "ariel@example.com", "firstName": "Ariel"},
    "titleVerb": "updated the flag",
    "target": {"name": "test flag", "resources": ["proj/default:env/production:flag/test-flag"]},
    "currentVersion": {
        "key": "test-flag",
        "kind": "boolean",
        "variations": [{"_id": "a", "value": True, "name": "on"}, {"_id": "b", "value": False, "name": "off"}],
        "environments": {
            "production": {
                "on": True,
                "targets": [],
                "rules": [],
                "fallthrough": {
                    "rollout": {"variations": [{"variation": 0, "weight": 32500}, {"variation": 1, "weight": 67500}]}
                },
                "offVariation": 1,
            }
        },
    },
}
# Of Unleash's reference of events.
UNLEASH_EVENT: dict[str, Any] = {
    "id": 920,
    "type": "feature-strategy-update",
    "createdBy": "user@company.com",
    "createdAt": "2026-11-18T10:03:11.549Z",
    "data": {
        "id": "3f4bf713-696c-43a4-8ce7-d6c607108858",
        "name": "flexibleRollout",
        "constraints": [],
        "parameters": {"groupId": "new-feature", "rollout": "32", "stickiness": "default"},
    },
    "preData": {
        "id": "3f4bf713-696c-43a4-8ce7-d6c607108858",
        "name": "flexibleRollout",
        "parameters": {"groupId": "new-feature", "rollout": "67", "stickiness": "default"},
        "constraints": [],
    },
    "tags": [],
    "featureName": "new-feature",
    "project": "my-other-project",
    "environment": "production",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, and small pages."""
    impatient(monkeypatch)
    monkeypatch.setattr(launchdarkly, "PAGE", 4)
    monkeypatch.setattr(unleash, "PAGE", 4)


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return LaunchDarkly() if request.param == "launchdarkly" else Unleash()


@pytest.fixture
def served(vendor: Vendor) -> Iterator[Fake]:
    with Fake(vendor.app) as fake:
        yield fake


def source(served: Fake, vendor: Vendor | str, more: str = "", *, start: str = START) -> str:
    is_ld = vendor == "launchdarkly" or isinstance(vendor, LaunchDarkly)
    kind, token = ("launchdarkly", ld_fake.TOKEN) if is_ld else ("unleash", unleash_fake.TOKEN)
    project = "  project: default\n" if is_ld else ""
    entry = f"- name: flags\n  type: {kind}\n  table: flags\n  url: {served.url}\n  token: {token}\n"
    return f"{entry}  start: {start}\n{project}{more}"


def moment(hours: float) -> int:
    """Milliseconds since 1970, so many hours before NOW."""
    return round((NOW - timedelta(hours=hours)).timestamp() * 1000)


def change(vendor: Vendor, number: int, hours: float, share: float = 50.0, **more: Any) -> None:
    if isinstance(vendor, LaunchDarkly):
        vendor.change(f"e{number:04d}", moment(hours), share=share, **more)
    else:
        vendor.change(number, moment(hours), share=share, **more)


def truth(vendor: Vendor) -> list[tuple[str, str, str, float]]:
    if isinstance(vendor, LaunchDarkly):
        found = [
            (
                str(e["_id"]),
                str(e["name"]).lower(),
                f"{pd.Timestamp(e['date'], unit='ms'):%Y-%m-%d %H:%M:%S.%f}",
                e["currentVersion"]["environments"]["production"]["fallthrough"]["rollout"]["variations"][0]["weight"]
                / 1000,
            )
            for e in vendor.entries
        ]
    else:
        found = [
            (
                str(e["id"]),
                str(e["featureName"]),
                f"{pd.Timestamp(e['createdAt'].rstrip('Z')):%Y-%m-%d %H:%M:%S.%f}",
                float(e["data"]["parameters"]["rollout"]),
            )
            for e in vendor.events
        ]
    return sorted(found)


def table(project: Builder) -> list[tuple[Any, ...]]:
    frame = project.open().reader().frame("SELECT id, flag, changed_at, share FROM flags ORDER BY id")
    return sorted((i, f, f"{c:%Y-%m-%d %H:%M:%S.%f}", s) for i, f, c, s in frame.itertuples(index=False))


def first(project: Builder) -> dict[str, Any]:
    return dict(project.open().reader().frame("SELECT * FROM flags").iloc[0].to_dict())


def answering(bodies: dict[str, Any]) -> Starlette:
    async def answer(request: Request) -> Response:
        return JSONResponse(bodies[request.url.path])

    return Starlette(routes=[Route("/{path:path}", answer)])


def test_the_documented_entry_of_launchdarkly_is_read(project: Builder) -> None:
    key = LD_ENTRY["_id"]
    short = {name: value for name, value in LD_ENTRY.items() if name != "currentVersion"}
    bodies = {"/api/v2/auditlog": {"items": [short], "_links": {}}, f"/api/v2/auditlog/{key}": LD_ENTRY}
    with Fake(answering(bodies)) as served:
        project.source(source(served, "launchdarkly"))
        assert not project.sync().failed
        row = first(project)
        assert list(row) == list(CHANGES)
        known: dict[str, Any] = {
            "id": key,
            "project": "default",
            "flag": "test-flag",
            "name": "test flag",
            "environment": "production",
        }
        known |= {"action": "updateOn, updateFallthrough", "is_on": True, "share": 32.5, "constrained": False}
        known |= {"author": "ariel@example.com", "url": f"{served.url}/default/test/features/test-flag"}
        assert {name: row[name] for name in known} == known
        assert str(row["changed_at"]) == str(pd.Timestamp(LD_ENTRY["date"], unit="ms"))


def test_the_documented_event_of_unleash_is_read(project: Builder) -> None:
    with Fake(answering({"/api/admin/search/events": {"events": [UNLEASH_EVENT], "total": 1}})) as served:
        project.source(source(served, "unleash"))
        assert not project.sync().failed
        row = first(project)
        assert list(row) == list(CHANGES)
        known: dict[str, Any] = {
            "id": "920",
            "project": "my-other-project",
            "flag": "new-feature",
            "environment": "production",
        }
        known |= {"action": "feature-strategy-update", "share": 32.0, "strategy": UNLEASH_EVENT["data"]["id"]}
        known |= {"constrained": False, "author": "user@company.com"}
        assert {name: row[name] for name in known} == known and pd.isna(row["is_on"])
        assert row["url"] == f"{served.url}/projects/my-other-project/features/new-feature"
        assert str(row["changed_at"]) == "2026-11-18 10:03:11.549000"


@pytest.mark.parametrize("number", range(cases(fast=1, slow=2, full=20)))
def test_the_table_is_the_truth_after_each_sync(project: Builder, vendor: Vendor, served: Fake, number: int) -> None:
    """Random histories: changes of one moment, ones that come late, pages whose order differs within a moment."""
    chance = random.Random(f"{SEED} {type(vendor).__name__} {number}")
    if isinstance(vendor, Unleash):
        vendor.shuffled = True
    project.source(source(served, vendor))
    count, now = 0, NOW - timedelta(hours=30)
    for _ in range(3):
        behind = (NOW - now).total_seconds() / 3600
        for _ in range(chance.randrange(1, 14)):
            late = chance.uniform(0.01, 40) if not count else chance.uniform(0.01, 8)
            at = behind + (late if chance.random() < 0.4 else 0.1 + 0.01 * (count // 3 % 9))  # three of one moment
            change(vendor, count, at, chance.choice([0, 5, 50, 100]), flag=chance.choice(["checkout", "search"]))
            count += 1
        result = project.sync(now=now)
        assert not result.failed, result.sources[0].error
        assert table(project) == truth(vendor)
        now += timedelta(hours=9)
    before = len(served.seen)
    again = project.sync(now=now - timedelta(hours=9) + timedelta(minutes=1))
    assert not again.published and again.sources[0].rows == 0
    assert {one.path for one in served.seen[before:]} == {
        "/api/v2/auditlog" if isinstance(vendor, LaunchDarkly) else "/api/admin/search/events"
    }


def test_nothing_new_is_one_request(
    project: Builder, vendor: Vendor, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launchdarkly, "PAGE", 20)
    monkeypatch.setattr(unleash, "PAGE", 1000)
    for number in range(6):
        change(vendor, number, 0.1)
    project.source(source(served, vendor))
    project.sync()
    before = len(served.seen)
    again = project.sync(now=NOW + timedelta(minutes=1))
    assert not again.published and again.sources[0].rows == 0 and len(served.seen) - before == 1


def test_a_change_between_two_pages_hides_no_other(project: Builder, vendor: Vendor, served: Fake) -> None:
    for number in range(9):
        change(vendor, number, 10 + number)
    once: list[int] = []

    def meanwhile() -> None:
        if not once:
            once.append(1)
            change(vendor, 50, 0.2)

    vendor.between = meanwhile
    project.source(source(served, vendor))
    project.sync()
    held = {row[0] for row in table(project)}
    assert {row[0] for row in truth(vendor)} - held <= {"e0050", "50"}
    project.sync(now=NOW + timedelta(minutes=1))
    assert table(project) == truth(vendor)


def test_a_change_of_the_future_moves_no_cursor(project: Builder, vendor: Vendor, served: Fake) -> None:
    change(vendor, 1, 5)
    change(vendor, 2, -24 * 3650)
    project.source(source(served, vendor))
    project.sync()
    change(vendor, 3, 1)
    project.sync(now=NOW + timedelta(minutes=1))
    assert table(project) == truth(vendor)


def test_a_pull_that_fails_in_the_middle_changes_nothing(project: Builder, vendor: Vendor, served: Fake) -> None:
    for number in range(9):
        change(vendor, number, 10 + number)
    project.source(source(served, vendor))
    cursor = project.sync().sources[0].cursor
    kept = table(project)
    for number in range(20, 29):
        change(vendor, number, number / 20)
    served.faults.next = ["", *["cut"] * 6]
    run = project.sync(now=NOW + timedelta(minutes=1))
    assert run.failed and run.sources[0].cursor == cursor and table(project) == kept
    assert not project.sync(now=NOW + timedelta(minutes=2)).failed and table(project) == truth(vendor)


def test_a_revoked_key_says_so_and_stands_nowhere(project: Builder, vendor: Vendor, served: Fake) -> None:
    token = ld_fake.TOKEN if isinstance(vendor, LaunchDarkly) else unleash_fake.TOKEN
    project.source(source(served, vendor).replace(token, "${FLAG_TOKEN}"))
    vendor.revoked = True
    done = run_cli("sync", "--project", str(project.folder), env={"FLAG_TOKEN": token})
    assert done.returncode == 1 and "does not accept the key" in done.stderr and "token" in done.stderr
    assert token not in done.stderr + done.stdout
    assert not [p for p in project.folder.rglob("*") if p.is_file() and token.encode() in p.read_bytes()]


def test_other_environments_are_left_out_unless_all_are_asked_for(
    project: Builder, vendor: Vendor, served: Fake
) -> None:
    change(vendor, 1, 5)
    change(vendor, 2, 4, environment="test")
    project.source(source(served, vendor))
    project.sync()
    environments = "SELECT DISTINCT environment FROM flags ORDER BY 1"
    assert list(project.open().reader().frame(environments)["environment"]) == ["production"]
    path = project.folder / "sources.yml"
    path.write_text(path.read_text() + "  environment: '*'\n")
    project.sync(full=True)
    assert list(project.open().reader().frame(environments)["environment"]) == ["production", "test"]


def test_a_page_of_one_moment_is_told(project: Builder) -> None:
    vendor = LaunchDarkly()
    for number in range(9):
        vendor.change(f"e{number}", moment(3))
    with Fake(vendor.app) as served:
        project.source(source(served, vendor))
        run = project.sync().sources[0]
    assert not run.error and any("some may be missing" in note for note in run.notes), run.notes


@pytest.mark.parametrize(
    ("state", "share"),
    [
        ({"fallthrough": {"variation": 0}, "offVariation": 1}, 100.0),
        ({"fallthrough": {"variation": 1}, "offVariation": 1}, 0.0),
        ({"fallthrough": {"variation": 0}}, 100.0),  # the off one is the one that is false
        ({"fallthrough": {}, "offVariation": 1}, None),
        ({"offVariation": 1}, None),
        ({"fallthrough": {"rollout": {"variations": [{"variation": 0, "weight": 1}]}}, "offVariation": 1}, 0.001),
    ],
)
def test_the_share_of_launchdarkly_is_of_whom_no_rule_names(
    project: Builder, state: dict[str, Any], share: float | None
) -> None:
    vendor = LaunchDarkly()
    vendor.change("e1", moment(3), on=False)
    rules = [{"variation": 0, "clauses": []}]
    vendor.entries[0]["currentVersion"]["environments"]["production"] = {"on": False, "rules": rules, **state}
    with Fake(vendor.app) as served:
        project.source(source(served, vendor))
        assert not project.sync().failed
    row = first(project)
    assert row["is_on"] == False and row["constrained"] == True  # noqa: E712 (numpy's own)
    assert (None if pd.isna(row["share"]) else row["share"]) == share


def test_what_launchdarkly_does_not_say_is_told(project: Builder) -> None:
    vendor = LaunchDarkly()
    vendor.change("e1", moment(3))
    del vendor.entries[0]["currentVersion"]
    with Fake(vendor.app) as served:
        project.source(source(served, vendor))
        run = project.sync().sources[0]
    assert run.rows == 1 and run.notes == ("1 change does not say what the flag does since.",)


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({"kind": "feature-environment-enabled"}, (True, None, None)),
        ({"kind": "feature-environment-disabled"}, (False, None, None)),
        ({"kind": "feature-archived", "environment": None}, (False, None, None)),
        ({"kind": "feature-strategy-remove"}, (None, 0.0, False)),
        ({"kind": "feature-strategy-add", "name": "default", "parameters": {}}, (None, 100.0, False)),
        ({"kind": "feature-strategy-add", "name": "userWithId"}, (None, 0.0, True)),
        (
            {"kind": "feature-strategy-add", "share": 40, "constraints": [{"contextName": "country"}]},
            (None, 40.0, True),
        ),
        ({"kind": "feature-strategy-add", "share": 40, "disabled": True}, (None, 0.0, False)),
        ({"kind": "feature-strategy-add", "name": "ours", "parameters": {"x": "1"}}, (None, None, False)),
        ({"name": "gradualRolloutUserId", "parameters": {"percentage": "12"}}, (None, 12.0, False)),
    ],
)
def test_what_an_event_of_unleash_says(project: Builder, change: dict[str, Any], known: tuple[Any, ...]) -> None:
    vendor = Unleash()
    vendor.change(1, moment(3), **change)
    with Fake(vendor.app) as served:
        project.source(source(served, vendor))
        assert not project.sync().failed
    row = first(project)
    assert tuple(None if pd.isna(row[name]) else row[name] for name in ("is_on", "share", "constrained")) == known
    assert row["environment"] == ("*" if change.get("environment", 1) is None else "production")


def test_events_that_do_not_add_up_fail_the_pull(project: Builder) -> None:
    with Fake(answering({"/api/admin/search/events": {"events": [UNLEASH_EVENT], "total": 3}})) as served:
        project.source(source(served, "unleash"))
        run = project.sync()
    assert run.failed and "Unleash counts 3 events and gave 1" in run.sources[0].error


@pytest.mark.parametrize("kind", VENDORS)
def test_rows_that_would_be_kept_twice_are_refused(project: Builder, kind: str) -> None:
    project.source(
        f"- {{name: flags, type: {kind}, table: flags, url: 'http://x.example', token: t, project: p, "
        "start: 2026-01-01, load: append}"
    )
    problems = project.open().sources.read()[1]
    assert any("would keep rows twice" in f"{p.message} {p.hint}" for p in problems), problems
