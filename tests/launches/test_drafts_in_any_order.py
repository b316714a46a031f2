"""Drafts in any order: fifty releases and fifty changes of flags, doubled and changed, are one draft each.

Never over what a person changed. What is expected is worked out here, from the truth and from what the person did.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from tests.conftest import NOW, Builder
from tests.fakes.github import REPO, TOKEN, GitHub
from tests.fakes.server import Fake
from tests.launches.drafting import FIRST, PROPOSED, RULE, SINCE, by_origin, change, path_of, records, release
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(2)


def expected_release(told: dict[str, Any]) -> dict[str, Any] | None:
    """What the file of a release says, apart from its name; None = there is none."""
    on = datetime.fromisoformat(told["published_at"]).date() if told["published_at"] else None
    if told["draft"] or told["prerelease"] or on is None or on < SINCE:
        return None
    return {
        "label": f"{told['name']} ({told['tag_name']})",
        "on": on,
        "links": {"Release": told["html_url"]},
        "area": "Checkout",
        "owner": "ana@example.com",
        "draft": True,
        **PROPOSED,
    }


def of_github(told: dict[str, Any]) -> dict[str, Any]:
    more = {"tag_name": told["tag"], "html_url": told["url"], "created_at": told["published_at"], "author": None}
    return {
        **{k: v for k, v in told.items() if k not in ("tag", "url", "repo")},
        **more,
        "body": "",
        "target_commitish": "m",
    }


@pytest.fixture
def hub() -> GitHub:
    made = GitHub()
    made.releases[REPO] = []
    return made


@pytest.fixture
def served(hub: GitHub) -> Iterator[Fake]:
    with Fake(hub.app) as fake:
        yield fake


class Person:
    """Edits, deletes and finishes drafts. mine: origin → key → what they wrote; frozen: origin → the whole file."""

    def __init__(self, project: Builder, chance: random.Random) -> None:
        self.project, self.chance = project, chance
        self.mine: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.frozen: dict[str, str] = {}

    def acts(self) -> None:
        known = sorted(set(by_origin(self.project)) - set(self.frozen))
        for origin in self.chance.sample(known, min(len(known), 6)):
            path = path_of(self.project, origin)
            text = path.read_text()
            kind = self.chance.choice(["label", "label", "guardrails", "owner gone", "comment", "delete", "finish"])
            if kind == "label":
                value = f"Mine {self.chance.randrange(1000)}"
                lines = [f"label: {value}" if line.startswith("label:") else line for line in text.splitlines()]
                text = "\n".join(lines) + "\n"
                self.mine.setdefault(origin, {})["label"] = value
            elif kind == "guardrails" and "guardrails" not in self.mine.get(origin, {}):
                text = text.replace("guardrails:\n- kpi: crashes\n", "guardrails: [{kpi: carts, limit: '> 5'}]\n")
                self.mine.setdefault(origin, {})["guardrails"] = [{"kpi": "carts", "limit": "> 5"}]
            elif kind == "owner gone":
                text = text.replace("owner: ana@example.com\n", "")
                self.mine.setdefault(origin, {})["owner"] = None
            elif kind == "comment":
                text += "# to be discussed\n"
                self.mine.setdefault(origin, {})
            elif kind == "delete":
                path.unlink()
                self.deleted.add(origin)
                continue
            elif kind == "finish":
                text = text.replace("draft: true\n", "")
                self.frozen[origin] = text
            path.write_text(text)

    def held_to(self, told: dict[str, dict[str, Any]]) -> None:
        """The files are what was told, but for what this person did. told: origin → keys."""
        found = by_origin(self.project)
        texts = {origin: path_of(self.project, origin).read_text() for origin in found}
        assert {origin: texts.get(origin) for origin in self.frozen} == self.frozen
        wanted = {}
        for origin, keys in told.items():
            if origin not in self.deleted and origin not in self.frozen:
                both = {**keys, **self.mine.get(origin, {})}
                wanted[origin] = {key: value for key, value in both.items() if value is not None}
        open_ = {k: v for k, v in found.items() if k not in self.frozen}
        seen = {o: {k: v for k, v in item.items() if k not in ("name", "origin")} for o, item in open_.items()}
        gone = {origin for origin in seen if origin not in wanted}
        changed = {*self.mine} - {*wanted} - self.deleted - {*self.frozen}
        assert gone == changed, "what a person changed outlives its release, and nothing else does"
        assert {o: v for o, v in seen.items() if o not in gone} == wanted


@pytest.mark.parametrize("number", range(cases(fast=1, slow=3, full=40)))
def test_fifty_releases_in_any_order_are_one_draft_each(shop: Builder, hub: GitHub, served: Fake, number: int) -> None:
    """They come out of order, renamed, unpublished and deleted, over five syncs; a person works on the drafts."""
    chance = random.Random(f"{SEED} releases {number}")
    truth = [of_github(release(n, prerelease=n % 9 == 4)) for n in range(50)]
    for extra in chance.sample(truth, 3):
        extra["draft"], extra["published_at"] = True, None
    shop.source(
        f"- name: hub\n  type: github\n  table: hub\n  url: {served.url}\n  token: {TOKEN}\n  repos: {REPO}\n"
        f"  launches: {RULE}"
    )
    hub.may_write = True
    waiting = chance.sample(truth, 50)
    person = Person(shop, chance)
    for _ in range(5):
        hub.releases[REPO] += [waiting.pop() for _ in range(min(len(waiting), chance.randrange(5, 18)))]
        for one in chance.sample(hub.releases[REPO], 3):
            one["name"] = f"Renamed {chance.randrange(1000)}"
        for one in chance.sample(hub.releases[REPO], 3):
            if chance.random() < 0.5 or str(one["id"]) in person.mine:
                hub.releases[REPO].remove(one)
        for one in hub.releases[REPO]:
            if one["draft"] and chance.random() < 0.3:
                one |= {"draft": False, "published_at": one["created_at"] or "2026-10-10T10:00:00Z"}
        assert not shop.sync().failed
        told = {str(one["id"]): keys for one in hub.releases[REPO] if (keys := expected_release(one))}
        person.held_to(told)
        person.acts()
    again = {path: path.read_bytes() for path in (shop.folder / "launches").iterdir()}
    assert not shop.sync(now=NOW + timedelta(minutes=1)).published
    assert {path: path.read_bytes() for path in (shop.folder / "launches").iterdir()} == again


def steps_of(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], date | None]:
    """Rollout and last day of one flag, from what is true at the end of each day: no running state."""
    mine = sorted(
        (r for r in rows if r["environment"] in ("production", "*")), key=lambda r: (r["changed_at"], r["id"])
    )
    if not mine:
        return [], None
    days = pd.date_range(mine[0]["changed_at"][:10], mine[-1]["changed_at"][:10])

    def at_end(day: pd.Timestamp) -> float:
        past = [r for r in mine if r["changed_at"][:10] <= f"{day:%Y-%m-%d}"]
        states = [r["is_on"] for r in past if r["is_on"] is not None]
        if not states or not states[-1]:
            return 0.0
        shares = {r.get("strategy"): r["share"] for r in past if r["share"] is not None}
        return max(shares.values()) / 100 if shares else 1.0

    path = [(day.date(), at_end(day)) for day in days]
    begins = [d for i, (d, share) in enumerate(path) if share > 0 and (i == 0 or path[i - 1][1] <= 0)]
    if not begins or begins[-1] < SINCE:
        return [], None
    rest = [(d, share) for d, share in path if d >= begins[-1]]
    ends = [d for d, share in rest if share <= 0]
    steps = [(d, s) for i, (d, s) in enumerate(rest) if s > 0 and (i == 0 or rest[i - 1][1] != s)]
    return [{"on": d, "share": round(s, 6)} for d, s in steps], ends[0] if ends else None


@pytest.mark.parametrize("number", range(cases(fast=1, slow=2, full=60)))
def test_fifty_flag_changes_in_any_order_are_one_draft_for_each_flag(shop: Builder, number: int) -> None:
    """Several strategies, environments, switches on one day; each sync knows more, some twice, in another order."""
    chance = random.Random(f"{SEED} flags {number}")
    truth = []
    for count in range(50):
        at = FIRST + timedelta(days=chance.randrange(80), hours=chance.randrange(24), seconds=count)
        flag = chance.choice(["carts", "checkout-2", "Search.New"])
        kind = chance.choice(["on", "off", "share", "share", "both"])
        truth.append(
            change(
                count,
                at,
                flag=flag,
                environment=chance.choice(["production"] * 5 + ["test", "*"]),
                is_on={"on": True, "off": False, "both": True}.get(kind),
                share=chance.choice([0.0, 1.0, 12.5, 50.0, 100.0]) if kind in ("share", "both") else None,
                strategy=chance.choice([None, "a", "b"]) if kind in ("share", "both") else None,
                url=f"https://flags.example/{flag}",
            )
        )
    person = Person(shop, chance)
    known = chance.sample(truth, 10)
    for _ in range(4):
        known += chance.sample([row for row in truth if row not in known], 10)
        told = [*known, *chance.sample(known, 5)]
        chance.shuffle(told)
        records(shop, told, RULE)
        assert not shop.sync().failed
        wanted = {}
        for flag in {row["flag"] for row in known}:
            steps, until = steps_of([row for row in known if row["flag"] == flag])
            if steps:
                keys = {
                    "label": flag,
                    "rollout": steps,
                    "until": until,
                    "links": {"Flag": f"https://flags.example/{flag}"},
                }
                more = {"area": "Checkout", "owner": "ana@example.com", "draft": True, **PROPOSED}
                wanted[f"/{flag}/production"] = {k: v for k, v in {**keys, **more}.items() if v is not None}
        person.held_to(wanted)
        person.acts()
