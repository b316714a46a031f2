"""Who is who: anonymous and known ids, merges, shared devices, texts that are no ids; against a plain walk."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from metrics.engine.identity import COLUMNS, PLACEHOLDERS, resolved
from tests.sampling import cases

START = datetime(2026, 3, 2, tzinfo=UTC)
Link = tuple[str, str, datetime | None, bool]


def frame(links: Iterable[Link]) -> pd.DataFrame:
    return pd.DataFrame(list(links), columns=COLUMNS)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def people(*links: Link) -> dict[str, str]:
    table = resolved(frame(links)).table
    return dict(zip(table["id"], table["person"], strict=True))


def test_an_anonymous_id_is_the_known_one_and_every_device_of_a_person_is_that_person() -> None:
    assert people(("ana", "d1", at(1), False), ("ana", "d2", at(2), False)) == {"d1": "ana", "d2": "ana"}


def test_a_device_of_two_people_makes_them_not_one_and_is_told() -> None:
    found = resolved(frame([("ana", "tablet", at(5), False), ("ben", "tablet", at(3), False)]))
    assert found.table.values.tolist()[0][:2] == ["tablet", "ben"] and len(found.table) == 1
    assert found.shared == 1


def test_known_people_are_one_by_a_merge_only() -> None:
    assert people(("ana", "ana@old", at(1), True), ("ana@old", "d1", at(0), False)) == {
        "ana": "ana@old",
        "d1": "ana@old",
    }
    refused = resolved(frame([("ana", "d1", at(1), False), ("ben", "ana", at(2), False)]))
    assert refused.table["person"].tolist() == ["ana"] and refused.refused == 1


def test_a_text_that_is_no_id_makes_nobody_one_person_and_is_counted() -> None:
    links: list[Link] = [("null", f"d{n}", at(n), False) for n in range(50)]
    links += [("ana", "undefined", at(1), False), ("Anonymous ", "ben", at(1), True)]
    found = resolved(frame(links))
    assert found.table.empty and found.placeholders == 52


def test_nothing_at_all_is_nobody() -> None:
    assert resolved(frame([])).table.columns.tolist() == ["id", "person", "linked_at"]


def test_when_it_was_linked_is_kept_and_an_unknown_time_comes_last() -> None:
    found = resolved(frame([("ana", "d1", None, False), ("ben", "d1", at(9), False)])).table
    assert found.values.tolist() == [["d1", "ben", pd.Timestamp(at(9)).tz_localize(None)]]


def walked(links: list[Link]) -> dict[str, str]:
    """Id → person, one link after the other: sets that are united, and a name for each."""
    links = [one for one in links if not {one[0].strip().lower(), one[1].strip().lower()} & PLACEHOLDERS]
    groups: dict[str, set[str]] = {i: {i} for known, other, *_ in links for i in (known, other)}
    seen: dict[str, tuple[bool, datetime]] = {}
    never = datetime.max.replace(tzinfo=UTC)
    for known, other, when, _ in links:
        for one in (known, other):
            seen[one] = min(seen.get(one, (False, never)), (False, when or never))
    known_ids = {known for known, *_ in links}
    for known, other, _, merges in links:
        if merges:
            united = groups[known] | groups[other]
            for one in united:
                groups[one] = united
    children: list[tuple[set[str], set[str]]] = []
    taken: list[set[str]] = []
    for known, other, _, merges in sorted(links, key=lambda one: (one[2] or never, one[0])):
        if merges or groups[known] is groups[other] or groups[other] & known_ids or groups[other] in taken:
            continue
        taken.append(groups[other])
        children.append((groups[known], groups[other]))
    whole = {id(group): set(group) for group in groups.values()}
    for parent, child in children:
        whole[id(parent)] |= child
        whole[id(child)] = set()
    named: dict[str, str] = {}
    for group in whole.values():
        if group:
            name = min(group, key=lambda one: (one not in known_ids, seen[one][1], one))
            named |= {one: name for one in group if one != name}
    return named


@pytest.mark.parametrize("seed", range(cases(fast=30, slow=120, full=5000)))
def test_it_is_what_a_plain_walk_finds_in_whatever_order_the_links_come(seed: int) -> None:
    chance = random.Random(seed)
    known, anonymous = [f"u{n}" for n in range(6)], [f"d{n}" for n in range(9)]
    links: list[Link] = []
    for _ in range(chance.randrange(30)):
        when = None if chance.random() < 0.05 else at(chance.randrange(12))
        kind = chance.random()
        if kind < 0.2:
            a, b = chance.sample([*known, *anonymous], 2)
            links.append((a, b, when, True))
        elif kind < 0.9:
            links.append((chance.choice(known), chance.choice(anonymous), when, False))
        elif kind < 0.95:
            links.append((chance.choice(known), chance.choice(known), when, False))
        else:
            links.append((chance.choice(["null", "0"]), chance.choice(anonymous), when, False))
    found = people(*links)
    assert found == walked(links)
    chance.shuffle(links)
    assert people(*links) == found
