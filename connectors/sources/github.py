"""GitHub: the releases of repositories, or their issues and pull requests.

Releases have no `since`, but are few: all are listed, unless GitHub says by ETag that no page of them changed; that
costs none of the key's requests, and brings edits and deletions. Issues are asked for in the order in which they
changed, from the last change on. Not page by page: an issue that changes meanwhile goes to the end, and one of a page
not read yet would slip to one that was read. Each request begins anew at the moment that the last one ended with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectors.errors import SourceError
from connectors.settings import Span
from connectors.sources.contract import (
    FUTURE,
    Batch,
    Cursor,
    Question,
    RecordField,
    SourceOptions,
    Starter,
    StarterTable,
)
from connectors.sources.rest.auth import Bearer
from connectors.sources.rest.budget import Budget
from connectors.sources.rest.client import Answer, Client
from connectors.sources.rest.moments import moment
from connectors.sources.rest.paging import Records, awaited, records_of
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool
from connectors.sources.rest.windows import Kept, listed

PAGE = 100  # records of one answer, the most there may be
LIMITS = ((900, 60.0), (5_000, 3_600.0))  # requests of one key: the secondary and the primary limit
OPEN_LIMITS = ((60, 3_600.0),)  # without a key
GONE = (404, 410, 451)  # not there, or not to be seen; issues are switched off; taken down
NOT_CHANGED = 304
Given = dict[str, int]  # the ETag of each page that came in one pull → the page's number
SECOND = timedelta(seconds=1)  # how fine GitHub's times are
ROUNDS = 3  # of listing pages that change meanwhile
RIGHTS = (
    "A fine-grained token needs access to the repository and the right to read Contents (releases) or Issues "
    "(issues); a classic one needs `repo` for private repositories."
)
COMMON = {
    "id": RecordField(("id",), "BIGINT"),
    "repo": RecordField(("repo",)),
    "created_at": RecordField(("created_at",), "utc"),
    "body": RecordField(("body",)),
    "url": RecordField(("html_url",)),
}
FIELDS = {
    "releases": {
        **COMMON,
        "tag": RecordField(("tag_name",)),
        "name": RecordField(("name",)),
        "branch": RecordField(("target_commitish",)),
        "author": RecordField(("author", "login")),
        "draft": RecordField(("draft",), "BOOLEAN"),
        "prerelease": RecordField(("prerelease",), "BOOLEAN"),
        "published_at": RecordField(("published_at",), "utc"),
    },
    "issues": {
        **COMMON,
        "number": RecordField(("number",), "BIGINT"),
        "title": RecordField(("title",)),
        "state": RecordField(("state",)),
        "state_reason": RecordField(("state_reason",)),
        "author": RecordField(("user", "login")),
        "author_association": RecordField(("author_association",)),
        "labels": RecordField(("labels",), "JSON"),
        "assignees": RecordField(("assignees",), "JSON"),
        "milestone": RecordField(("milestone", "title")),
        "comments": RecordField(("comments",), "BIGINT"),
        "is_pull_request": RecordField(("is_pull_request",), "BOOLEAN"),
        "draft": RecordField(("draft",), "BOOLEAN"),
        "merged_at": RecordField(("pull_request", "merged_at"), "utc"),
        "updated_at": RecordField(("updated_at",), "utc"),
        "closed_at": RecordField(("closed_at",), "utc"),
    },
}


def _delivery(label: str, text: str) -> str:
    return f"label: {label}\narea: Delivery\n{text}"


def _median_days(label: str, dataset: str, end: str) -> str:
    days = f"date_diff('second', created_at, {end}) / 86400.0"
    return _delivery(label, f"dataset: <{dataset}>\nagg: median\nexpr: {days}\ngrain: week\ndirection: down_is_good")


# Datasets of the table of issues, by other moments than that of opening.
CHANGES = {
    "closed": "sql: SELECT * FROM <issues> WHERE NOT is_pull_request AND closed_at IS NOT NULL\n"
    "time_dimension: closed_at\nentity: author\nprimary_key: id\ndimensions: [repo, state_reason]",
    "merged": "sql: SELECT * FROM <issues> WHERE is_pull_request AND merged_at IS NOT NULL\n"
    "time_dimension: merged_at\nentity: author\nprimary_key: id\ndimensions: [repo]",
    "moves": "sql: |\n  SELECT created_at AS at, repo, 1 AS change FROM <issues> WHERE NOT is_pull_request\n"
    "  UNION ALL SELECT closed_at, repo, -1 FROM <issues> WHERE NOT is_pull_request AND closed_at IS NOT NULL\n"
    "time_dimension: at\ndimensions: [repo]",
}
ISSUES = {
    "open_issues": _delivery(
        "Open issues",
        "type: cumulative\ndataset: <moves>\nmeasure: {agg: sum, expr: change}\ngrain: day\ndirection: down_is_good",
    ),
    "opened_issues": _delivery("Opened issues", "dataset: <issues>\nagg: count\ngrain: week\ndirection: neutral"),
    "closed_issues": _delivery("Closed issues", "dataset: <closed>\nagg: count\ngrain: week"),
    "days_to_close": _median_days("Days to close (median)", "closed", "closed_at"),
    "merged_pull_requests": _delivery("Merged pull requests", "dataset: <merged>\nagg: count\ngrain: week"),
    "days_to_merge": _median_days("Days to merge (median)", "merged", "merged_at"),
}


class GithubOptions(SourceOptions):
    """Options of `type: github`."""

    primary_key: tuple[str, ...] = Field(("id",), description="Columns that name a row.")
    url: str = Field("https://api.github.com", description="Address of the API; of GitHub Enterprise Server /api/v3.")
    token: str = Field("", description="A token, as ${NAME}; without one: public repositories, 60 requests an hour.")
    repos: tuple[str, ...] = Field(min_length=1, description="Repositories as owner/name; their rows go to one table.")
    resource: Literal["releases", "issues"] = Field(
        "releases", description="What is pulled: releases, or issues (pull requests among them)."
    )
    lookback: Span = Field(
        timedelta(minutes=10), description="How far before the last change to ask again for issues, such as 1h."
    )

    @field_validator("repos", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
        for name in found if isinstance(found, tuple) else ():
            if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
                raise ValueError(f"'{name}' is no repository\nWrite owner/name, such as octo-org/shop.")
        return found

    @model_validator(mode="after")
    def _merged(self) -> GithubOptions:
        if self.load not in (None, "merge"):
            raise ValueError(f"`load: {self.load}` would keep rows twice\nLeave it out: rows are merged by their id.")
        return self


class Github(RestSource):
    """Releases or issues. The cursor holds, by repository, the ETags of the pages, or the latest change."""

    Options = GithubOptions
    example = '- {name: releases, type: github, table: releases, repos: octo-org/shop, token: "${GITHUB_TOKEN}"}'
    starter = Starter(
        (
            Question("repos", "Repository as owner/name"),
            Question("token", "Token that may read Contents and Issues", secret=True),
            Question("url", "Address of the API", "https://api.github.com"),
        ),
        (
            StarterTable(
                "issues",
                {"resource": "issues"},
                "sql: SELECT * FROM <issues> WHERE NOT is_pull_request\ntime_dimension: created_at\nentity: author\n"
                "primary_key: id\ndimensions: [repo, author_association]",
                ISSUES,
                CHANGES,
            ),
            StarterTable(
                "releases",
                {"resource": "releases"},
                "sql: SELECT * FROM <releases> WHERE NOT draft\ntime_dimension: published_at\nentity: author\n"
                "primary_key: id\ndimensions: [repo, prerelease]",
                {
                    "releases": _delivery(
                        "Releases", "dataset: <releases>\nagg: count\nfilter: NOT prerelease\ngrain: month"
                    )
                },
            ),
        ),
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """Yield what is new, or all releases if any of them changed. Raises SourceError."""
        options: GithubOptions = self.options
        with self._client() as client, Spool(options.name, FIELDS[options.resource], self.now) as spool:
            pulled = self._releases if options.resource == "releases" else self._issues
            yield from pulled(client, spool, cursor)

    def probe(self) -> str:
        """Ask for one record of each repository."""
        options: GithubOptions = self.options
        with self._client() as client:
            answers = [self._asked(client, repo, {"per_page": 1}) for repo in options.repos]
        left = answers[-1].headers.get("x-ratelimit-remaining", "")
        return f"answers; {', '.join(options.repos)}" + (f"; requests left of this hour: {left}" if left else "")

    def _client(self) -> Client:
        options: GithubOptions = self.options
        token = options.token.strip()
        return Client(
            options.url,
            place=self.place,
            auth=Bearer(token=token).auth(self.place) if token else None,
            headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
            budget=Budget(*(LIMITS if token else OPEN_LIMITS), where=self.where),
            rights=RIGHTS,
        )

    # ---- releases

    def _releases(self, client: Client, spool: Spool, cursor: Cursor) -> Iterator[Batch]:
        """All releases of all repositories, or nothing where GitHub says that no page changed."""
        options: GithubOptions = self.options
        keys = {f"releases {repo}": repo for repo in options.repos}
        given: dict[str, Given] = {repo: {} for repo in options.repos}
        if cursor.keys() == keys.keys() and all(
            self._same(client, repo, cursor[key], given[repo]) for key, repo in keys.items()
        ):
            return
        done: dict[str, str] = {}
        for key, repo in keys.items():
            releases, done[key] = self._listed(client, repo, given[repo])
            for release in releases:
                spool.add({**release, "repo": repo})
        yield Batch(options.table, spool.take(), done, restart=True, covered=self.now)

    def _same(self, client: Client, repo: str, tags: str, given: Given) -> bool:
        """Whether every page is what it was. tags: their ETags; none where that cannot be known."""
        known: list[str] = json.loads(tags)
        for number, tag in enumerate(known, 1):
            answer = self._asked(client, repo, {"per_page": PAGE, "page": number}, tag=tag)
            if answer.status != NOT_CHANGED:
                given.setdefault(answer.headers.get("etag", ""), number)
                return False
        return bool(known)

    def _listed(self, client: Client, repo: str, given: Given) -> tuple[Records, str]:
        """All releases of one moment, and the ETags of their pages. One that is deleted while pages are read moves
        another to a page that was read already, so several pages are looked at again."""
        for _ in range(ROUNDS):
            releases, tags, full = self._pages(client, repo, given)
            if len(tags) == 1 or not all(tags) or self._same(client, repo, json.dumps(tags), given):
                break
        # One more may stand on a page after a full last one, which then is as it was.
        return releases, json.dumps([] if full or not all(tags) else tags)

    def _pages(self, client: Client, repo: str, given: Given) -> tuple[Records, list[str], bool]:
        """Releases, ETags, and whether the last page is full."""
        releases: Records = []
        tags: list[str] = []
        kept = {field.path[0] for field in FIELDS["releases"].values()}
        while True:
            answer = self._page(client, repo, len(tags) + 1, given)
            found = self._records(answer)
            releases += [{key: value for key, value in one.items() if key in kept} for one in found]
            tags.append(answer.headers.get("etag", ""))
            if "next" not in answer.links:
                return releases, tags, len(found) >= PAGE

    def _page(self, client: Client, repo: str, number: int, given: Given) -> Answer:
        """One page of releases, and not another of this pull in its place."""

        def elsewhere(answer: Answer) -> bool:
            tag = answer.headers.get("etag", "")
            return bool(tag) and given.setdefault(tag, number) != number

        asked = {"per_page": PAGE, "page": number}
        return awaited(lambda: self._asked(client, repo, asked), elsewhere, where=self.where)

    # ---- issues

    def _issues(self, client: Client, spool: Spool, cursor: Cursor) -> Iterator[Batch]:
        """What changed since the last change that was seen, repository by repository."""
        options: GithubOptions = self.options
        done = dict(cursor)
        anew = bool(cursor) and not any(key.startswith("issues ") for key in cursor)  # the table held releases
        with Kept(self.kept, (options.url, options.repos, sorted(cursor.items()))) as kept:
            for number, repo in enumerate(options.repos):
                most = cursor.get(f"issues {repo}", "")
                for issues in listed(kept.folder / f"{number}", partial(self._changed, client, repo, most)):
                    for issue in issues:
                        most = self._later(issue, most)
                        spool.add(_row(issue, repo))
                    if spool.full:
                        yield Batch(options.table, spool.take(), dict(cursor), anew, covered=moment(most))
                if most:
                    done[f"issues {repo}"] = most
        if not spool.empty or not cursor:
            reached = [at for value in done.values() if (at := moment(value))]
            yield Batch(options.table, spool.take(), done, anew, covered=min(reached, default=None))

    def _changed(self, client: Client, repo: str, known: str, position: str) -> Iterator[tuple[Records, str]]:
        """Issues from a moment on, oldest change first, and the moment from which the page after them is asked for."""
        options: GithubOptions = self.options
        order = {"state": "all", "sort": "updated", "direction": "asc", "per_page": PAGE}
        last = moment(known)
        since = moment(position) or (last - options.lookback if last else None)
        answer = self._asked(client, repo, {**order, "since": _written(since)})
        while True:
            found = self._records(answer)
            if not found or "next" not in answer.links:
                yield found, ""
                return
            end = moment(found[-1].get("updated_at"))
            # Others of its second may follow; whether `since` holds its own moment, GitHub does not say.
            edge = end - SECOND if end else None
            if edge and (since is None or edge > since):
                since = edge
                yield found, f"{_written(since)}"
                answer = self._asked(client, repo, {**order, "since": _written(since)})
            else:  # more of one second than a page holds
                yield found, f"{_written(since) or ''}"
                answer = self._asked(client, repo, {}, address=answer.links["next"])

    def _later(self, issue: Mapping[str, Any], most: str) -> str:
        """The later of two changes. One in the future does not count, or nothing would be new any more."""
        text = str(issue.get("updated_at") or "")
        at, before = moment(text), moment(most)
        if at is None or at > self.now + FUTURE:
            return most
        return text if before is None or at > before else most

    # ---- requests

    def _asked(
        self, client: Client, repo: str, params: Mapping[str, Any], *, tag: str = "", address: str = ""
    ) -> Answer:
        """One answer; its body is None where nothing changed since `tag`. Raises SourceError."""
        path = address or f"repos/{repo}/{self.options.resource}"
        headers = {"If-None-Match": tag} if tag else None
        answer = client.get(path, params or None, missing=(*GONE, NOT_CHANGED), headers=headers)
        if answer.status in GONE:
            raise SourceError(
                f"GitHub shows no {self.options.resource} of {repo} (HTTP {answer.status})",
                where=self.where,
                hint=f"Compare the name; what a key may not see, GitHub does not show either. {RIGHTS}",
            )
        return answer

    def _records(self, answer: Answer) -> Records:
        """The objects of an answer. Raises SourceError for what is none."""
        found = records_of(answer.body, "", self.where)
        if not all(isinstance(one, Mapping) for one in found):
            raise SourceError("GitHub's answer holds what is no object", where=self.where, hint="Is `url` its API?")
        return found


def _row(issue: Mapping[str, Any], repo: str) -> Mapping[str, Any]:
    """An issue with what stands between its lines: it is a pull request if it has that key."""
    return {
        **issue,
        "repo": repo,
        "is_pull_request": issue.get("pull_request") is not None,
        "labels": _names_of(issue.get("labels"), "name"),
        "assignees": _names_of(issue.get("assignees"), "login"),
    }


def _names_of(items: Any, key: str) -> list[str]:
    """Their names; a label may be a bare one."""
    found = items if isinstance(items, list) else []
    return [str(item.get(key) if isinstance(item, Mapping) else item) for item in found]


def _written(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None
