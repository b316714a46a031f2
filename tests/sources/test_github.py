"""The source `github` against GitHub's API on loopback: releases in whole, issues by their last change, limits."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from connectors.sources import github
from tests.conftest import NOW, Builder, run_cli
from tests.fakes.github import REPO, TOKEN, GitHub
from tests.fakes.server import Fake, impatient

pytestmark = pytest.mark.breadth(2)
AGAIN = NOW + timedelta(minutes=5)

# The documented shape, of our own making.
RELEASE = {
    "url": "https://api.github.com/repos/octo-org/shop/releases/41",
    "html_url": "https://github.com/octo-org/shop/releases/v1.4.0",
    "id": 41,
    "node_id": "MDc6UmVsZWFzZTE=",
    "tag_name": "v1.4.0",
    "target_commitish": "main",
    "name": "Shared carts",
    "body": "Carts can be shared.",
    "draft": False,
    "prerelease": False,
    "created_at": "2026-11-02T08:00:00Z",
    "published_at": "2026-11-02T09:30:00Z",
    "author": {"login": "octocat", "id": 1, "site_admin": False},
    "assets": [{"id": 1, "name": "shop.zip", "download_count": 42, "uploader": {"login": "octocat"}}],
}
ISSUE = {
    "id": 9,
    "number": 3,
    "title": "Checkout is slow",
    "state": "closed",
    "state_reason": "completed",
    "locked": False,
    "user": {"login": "mona", "id": 2},
    "labels": [{"id": 5, "name": "bug", "color": "f29513"}, {"id": 6, "name": "p1"}],
    "assignees": [{"login": "octocat"}],
    "milestone": {"number": 1, "title": "Q4"},
    "comments": 4,
    "pull_request": {"url": "https://api.github.com/repos/octo-org/shop/pulls/3", "merged_at": "2026-11-03T10:00:00Z"},
    "draft": False,
    "created_at": "2026-11-01T09:00:00Z",
    "updated_at": "2026-11-03T10:00:00Z",
    "closed_at": "2026-11-03T10:00:00Z",
    "author_association": "MEMBER",
    "body": None,
    "html_url": "https://github.com/octo-org/shop/pull/3",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, and pages of three records."""
    impatient(monkeypatch)
    monkeypatch.setattr(github, "PAGE", 3)


@pytest.fixture
def hub() -> GitHub:
    made = GitHub()
    made.releases[REPO] = [release(n) for n in range(1, 8)]
    made.issues[REPO] = [issue(n, n) for n in range(1, 11)]
    return made


@pytest.fixture
def served(hub: GitHub) -> Iterator[Fake]:
    with Fake(hub.app) as fake:
        yield fake


def moment(hours: float) -> str:
    return f"{pd.Timestamp('2026-11-01') + pd.Timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def release(number: int, **more: Any) -> dict[str, Any]:
    at = moment(number)
    return {**RELEASE, "id": number, "tag_name": f"v{number}", "created_at": at, "published_at": at, **more}


def issue(number: int, hours: float, **more: Any) -> dict[str, Any]:
    """One that changed then; every other one is a pull request."""
    made = {**ISSUE, "id": number, "number": number, "updated_at": moment(hours), "comments": 0, **more}
    return made if number % 2 else {key: value for key, value in made.items() if key != "pull_request"}


def source(served: Fake, resource: str = "releases", more: str = "", repos: str = REPO) -> str:
    lines = f"- name: hub\n  type: github\n  table: hub\n  url: {served.url}\n  token: {TOKEN}"
    return f"{lines}\n  repos: {repos}\n  resource: {resource}\n{more}"


def table(project: Builder) -> list[tuple[Any, ...]]:
    """Id, and what may change."""
    reader = project.open().reader()
    changing = "comments, state" if "comments" in reader.frame("SELECT * FROM hub LIMIT 0") else "name, tag"
    frame = reader.frame(f"SELECT id, {changing} FROM hub ORDER BY id")
    return [tuple(row) for row in frame.itertuples(index=False)]


def truth(hub: GitHub, resource: str) -> list[tuple[Any, ...]]:
    if resource == "releases":
        return sorted((r["id"], r["name"], r["tag_name"]) for rs in hub.releases.values() for r in rs if not r["draft"])
    return sorted((i["id"], i["comments"], i["state"]) for rows in hub.issues.values() for i in rows)


def failed(project: Builder) -> str:
    result = project.sync()
    assert result.failed
    return result.sources[0].error


@pytest.mark.parametrize("resource", ["releases", "issues"])
def test_the_documented_answer_is_read(project: Builder, hub: GitHub, served: Fake, resource: str) -> None:
    hub.releases[REPO], hub.issues[REPO] = [RELEASE], [ISSUE]
    project.source(source(served, resource))
    assert not project.sync().failed
    row = project.open().reader().frame("SELECT * FROM hub").iloc[0].to_dict()
    assert list(row) == list(github.FIELDS[resource])
    known = {"id": 41, "tag": "v1.4.0", "branch": "main", "author": "octocat", "published_at": "2026-11-02 09:30:00"}
    if resource == "issues":
        known = {"id": 9, "number": 3, "author": "mona", "state_reason": "completed", "milestone": "Q4", "comments": 4}
        known |= {"is_pull_request": True, "merged_at": "2026-11-03 10:00:00", "author_association": "MEMBER"}
        assert json.loads(row["labels"]) == ["bug", "p1"] and json.loads(row["assignees"]) == ["octocat"]
    found = {key: str(row[key]) if key.endswith("_at") else row[key] for key in known}
    assert found == known and row["repo"] == REPO and row["url"].startswith("https://github.com/")


def changed(hub: GitHub, resource: str, chance: random.Random, hours: float) -> None:
    """What may happen between two syncs: new ones, edits, of releases deletions."""
    rows = hub.releases[REPO] if resource == "releases" else hub.issues[REPO]
    for _ in range(chance.randrange(5)):
        number, at = max((row["id"] for row in rows), default=0) + 1, hours + chance.choice((0, 0, 0.5))
        old = release(number, created_at=moment(-chance.randrange(9)))
        rows.append(issue(number, at) if resource == "issues" else chance.choice((release(number), old)))
    for row in chance.sample(rows, min(len(rows), chance.randrange(4))):
        if resource == "issues":
            row |= {"comments": chance.randrange(99), "state": chance.choice(("open", "closed"))}
            row["updated_at"] = moment(hours)
        else:
            row["name"] = f"name {chance.random()}"
    if resource == "releases":
        for row in chance.sample(rows, min(len(rows), chance.randrange(3))):
            rows.remove(row)


@pytest.mark.parametrize("resource", ["releases", "issues"])
def test_nothing_new_is_one_request(project: Builder, hub: GitHub, served: Fake, resource: str) -> None:
    hub.releases[REPO] = hub.releases[REPO][:2]
    project.source(source(served, resource))
    project.sync()
    charged, before = hub.charged, len(served.seen)
    again = project.sync(now=AGAIN)
    assert not again.published and again.sources[0].rows == 0 and len(served.seen) == before + 1
    assert hub.charged - charged == (0 if resource == "releases" else 1), "what did not change costs no budget"


def test_edits_and_deletions_of_releases_arrive(project: Builder, hub: GitHub, served: Fake) -> None:
    project.source(source(served))
    project.sync()
    hub.releases[REPO][0]["name"] = "Renamed"  # on the last page: the oldest
    del hub.releases[REPO][3]
    assert project.sync().published and table(project) == truth(hub, "releases")
    hub.releases[REPO].clear()
    project.sync()
    assert table(project) == []


@pytest.mark.parametrize("count", [3, 6])
def test_a_release_on_a_page_that_was_not_there_is_seen(
    project: Builder, hub: GitHub, served: Fake, count: int
) -> None:
    """All pages are full; one for an old commit makes a further page, and leaves those before it as they were."""
    hub.releases[REPO] = [release(n) for n in range(1, count + 1)]
    project.source(source(served))
    project.sync()
    hub.releases[REPO].append(release(99, created_at=moment(-50)))
    project.sync()
    assert table(project) == truth(hub, "releases") and len(table(project)) == count + 1


def test_a_release_deleted_between_two_pages_hides_no_other(project: Builder, hub: GitHub, served: Fake) -> None:
    """It moves one of the next page to the page that was read already."""
    project.source(source(served))
    hub.between = lambda page: hub.releases[REPO].pop() if page == 1 and len(hub.releases[REPO]) == 7 else None
    project.sync()
    assert table(project) == truth(hub, "releases") and len(table(project)) == 6


def test_a_later_page_in_the_place_of_the_first_hides_nothing(
    project: Builder, hub: GitHub, served: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When pages are looked at again, the first one has none before it that it could be compared with."""
    monkeypatch.setattr(github, "PAGE", 3)
    hub.releases[REPO] = [release(number) for number in range(1, 8)]
    project.source(source(served))
    served.faults.next = ["", "", "", "again", "again"]
    assert not project.sync().failed and not served.faults.next
    assert table(project) == truth(hub, "releases")


def test_an_issue_that_changes_between_two_pages_hides_no_other(project: Builder, hub: GitHub, served: Fake) -> None:
    """It goes to the end, so by page numbers the first of the next page would be on none."""
    project.source(source(served, "issues"))
    once: list[int] = []

    def commented(_page: int) -> None:
        if not once:
            once.append(1)
            hub.issues[REPO][0] |= {"updated_at": moment(30), "comments": 5}

    hub.between = commented
    project.sync()
    assert table(project) == truth(hub, "issues") and len(table(project)) == 10


def test_a_long_pull_of_issues_goes_on_where_it_stopped(project: Builder, hub: GitHub, served: Fake) -> None:
    hub.issues[REPO] = [issue(n, n) for n in range(1, 21)]
    project.source(source(served, "issues"))
    served.faults.next = [""] * 4 + ["500"] * 6
    assert project.sync().failed
    hub.issues[REPO][0] |= {"updated_at": moment(30), "comments": 5}
    hub.issues[REPO].append(issue(21, 31))
    asked, before = [one.query for one in served.seen[:4]], len(served.seen)
    assert not project.sync().failed and table(project) == truth(hub, "issues")
    assert not {*asked} & {one.query for one in served.seen[before:]}


def test_more_issues_of_one_second_than_a_page_holds(project: Builder, hub: GitHub, served: Fake) -> None:
    hub.issues[REPO] = [*(issue(n, 5) for n in range(1, 9)), *(issue(n, 6) for n in range(9, 12))]
    project.source(source(served, "issues"))
    project.sync()
    assert table(project) == truth(hub, "issues")


def test_an_issue_of_the_future_moves_no_cursor(project: Builder, hub: GitHub, served: Fake) -> None:
    hub.issues[REPO].append(issue(50, 24 * 3650))
    project.source(source(served, "issues"))
    assert project.sync().sources[0].cursor == {f"issues {REPO}": moment(10)}
    hub.issues[REPO].append(issue(51, 12))
    project.sync()
    assert table(project) == truth(hub, "issues")


def test_drafts_are_seen_by_who_may_push_and_new_keys_do_no_harm(project: Builder, hub: GitHub, served: Fake) -> None:
    hub.releases[REPO].append(release(20, draft=True, published_at=None, immutable=False))
    project.source(source(served))
    project.sync()
    assert 20 not in [row[0] for row in table(project)]
    hub.may_write = True
    project.sync()
    frame = project.open().reader().frame("SELECT draft, published_at FROM hub WHERE id = 20")
    assert bool(frame["draft"][0]) and pd.isna(frame["published_at"][0])


@pytest.mark.parametrize("resource", ["releases", "issues"])
def test_several_repositories_are_one_table(project: Builder, hub: GitHub, served: Fake, resource: str) -> None:
    hub.releases["octo-org/app"], hub.issues["octo-org/app"] = [release(100)], [issue(100, 3)]
    project.source(source(served, resource, repos="[octo-org/shop, octo-org/app]"))
    project.sync()
    assert table(project) == truth(hub, resource)
    frame = project.open().reader().frame("SELECT repo, count(*) AS n FROM hub GROUP BY repo ORDER BY repo")
    assert dict(zip(frame["repo"], frame["n"], strict=True))["octo-org/app"] == 1
    before = len(served.seen)
    assert not project.sync(now=AGAIN).published and len(served.seen) - before == (4 if resource == "releases" else 2)


@pytest.mark.parametrize("resource", ["releases", "issues"])
def test_a_pull_that_fails_in_the_middle_changes_nothing(
    project: Builder, hub: GitHub, served: Fake, resource: str
) -> None:
    project.source(source(served, resource))
    cursor = project.sync().sources[0].cursor
    kept = table(project)
    changed(hub, resource, random.Random(5), 40)
    hub.issues[REPO] += [issue(n, 41) for n in range(60, 70)]
    hub.releases[REPO].append(release(99))
    served.faults.next = ["", *["cut"] * 6]
    run = project.sync()
    assert run.failed and run.sources[0].cursor == cursor and table(project) == kept
    assert not project.sync().failed and table(project) == truth(hub, resource)


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded for user ID 1."),
        (403, {"retry-after": "0"}, "You have been temporarily blocked."),
        (403, {}, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
        (429, {"retry-after": "0"}, "Too many requests"),
    ],
)
def test_a_limit_is_waited_for_and_no_refused_key(
    project: Builder, hub: GitHub, served: Fake, status: int, headers: dict[str, str], words: str
) -> None:
    project.source(source(served))
    hub.limited = [(status, headers, words)] * 2
    assert not project.sync().failed and table(project) == truth(hub, "releases")
    hub.limited = [(status, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}, words)]
    said = failed(project)
    assert f"asks to wait (HTTP {status})" in said and "key" not in said and not hub.limited, "hours are not waited for"


def test_a_403_that_is_no_limit_is_a_refused_key(project: Builder, hub: GitHub, served: Fake) -> None:
    project.source(source(served))
    hub.limited = [(403, {"x-ratelimit-remaining": "4999"}, "Resource not accessible by personal access token")]
    said = failed(project)
    assert "does not accept the key" in said and "Resource not accessible" in said and "Contents" in said


def test_a_revoked_key_says_so_and_stands_nowhere(project: Builder, hub: GitHub, served: Fake) -> None:
    project.source(source(served).replace(TOKEN, "${HUB_TOKEN}"))
    env = {"HUB_TOKEN": TOKEN}
    assert run_cli("sync", "--project", str(project.folder), env=env).returncode == 0
    hub.revoked = True
    done = run_cli("sync", "--project", str(project.folder), env=env)
    assert done.returncode == 1 and "does not accept the key" in done.stderr and "Bad credentials" in done.stderr
    assert "fine-grained token" in done.stderr and TOKEN not in done.stderr + done.stdout
    assert not [p for p in project.folder.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]


def test_a_repository_that_is_not_there_is_named(project: Builder, hub: GitHub, served: Fake) -> None:
    project.source(source(served, repos="octo-org/shpo"))
    said = failed(project)
    assert "GitHub shows no releases of octo-org/shpo (HTTP 404)" in said and "may not see" in said


def test_no_more_is_asked_than_github_allows(project: Builder, hub: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "LIMITS", ((4, 0.8),))  # the fake counts when a request arrives, late on a slow machine
    with Fake(hub.app, budget=((4, 0.2),)) as fake:
        project.source(source(fake))
        assert not project.sync().failed and fake.too_many == 0 and len(fake.seen) == 6
    assert table(project) == truth(hub, "releases")


def test_what_was_releases_does_not_become_issues_in_silence(project: Builder, hub: GitHub, served: Fake) -> None:
    project.source(source(served))
    project.sync()
    path = project.folder / "sources.yml"
    path.write_text(path.read_text().replace("resource: releases", "resource: issues"))
    assert "is no longer in the source" in failed(project)
    assert not project.sync(full=True).failed and table(project) == truth(hub, "issues")


def test_without_a_key_public_repositories_are_read(project: Builder, hub: GitHub, served: Fake) -> None:
    project.source(source(served).replace(f"  token: {TOKEN}\n", ""))
    assert not project.sync().failed and table(project) == truth(hub, "releases")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("repos: shop", "'shop' is no repository"),
        ("repos: []", "repos"),
        ("resource: stars", "resource"),
        ("load: append", "`load: append` would keep rows twice"),
    ],
)
def test_options_that_do_not_fit_are_told_with_their_line(project: Builder, line: str, words: str) -> None:
    repos = "" if line.startswith("repos") else f"  repos: {REPO}\n"
    project.source(f"- name: hub\n  type: github\n  table: hub\n{repos}  {line}\n")
    problems = project.open().sources.read()[1]
    assert any(words in f"{p.message} {p.hint}" and p.line >= 1 for p in problems), problems
