"""Identity: which ids are one person, from what a product's rows say of them.

An anonymous id belongs to the first known one that it came with: a device that two people share never makes them one.
Known ids are one person only where a merge says so. The result depends on the links alone, not on the order of syncs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

# Texts that stand where an id should: a client that sends them would make one person of everybody. In lower case.
PLACEHOLDERS = frozenset(
    ("", "0", "-1", "anonymous", "guest", "unknown", "undefined", "null", "none", "nil", "nan", "true", "false")
    + ("id", "email", "user_id", "distinct_id", "distinctid", "not_authenticated", "[object object]")
    + ("00000000-0000-0000-0000-000000000000",)
)
COLUMNS = ["known", "other", "at", "merges"]


@dataclass(frozen=True)
class People:
    """table: id, person (texts), linked_at (UTC): a row for each id that is not its person's own name, by id.

    shared: anonymous ids that came with more than one person. refused: links that would make two known people one
    without a merge. placeholders: links of a text that is no id.
    """

    table: pd.DataFrame
    shared: int = 0
    refused: int = 0
    placeholders: int = 0


def resolved(links: pd.DataFrame) -> People:
    """Who is who. links: known, other (texts), at (UTC or NaT), merges (both are one; else `other` is anonymous)."""
    links = links[COLUMNS].assign(at=pd.to_datetime(links["at"], utc=True).dt.tz_localize(None))
    fake = links["known"].str.strip().str.lower().isin(PLACEHOLDERS)
    fake |= links["other"].str.strip().str.lower().isin(PLACEHOLDERS)
    links = links[~fake]
    codes, ids = pd.factorize(pd.concat([links["known"], links["other"]], ignore_index=True))
    if not len(ids):
        return People(pd.DataFrame({"id": ids, "person": ids, "linked_at": pd.to_datetime([])}), 0, 0, int(fake.sum()))
    links = links.assign(known=codes[: len(links)], other=codes[len(links) :])
    group = _merged(links[links["merges"]], len(ids))
    known = np.zeros(len(ids), dtype=bool)
    known[links["known"]] = True
    owner, shared, refused = _owners(links[~links["merges"]], group, known, ids)
    seen = _first_seen(links)
    names = _names(seen, ids, owner[group], known)
    table = pd.DataFrame({"id": ids, "person": ids.take(names[owner[group]]), "linked_at": seen})
    table = table[table["id"] != table["person"]].sort_values("id", ignore_index=True)
    return People(table, shared, refused, int(fake.sum()))


def _merged(merges: pd.DataFrame, size: int) -> np.ndarray:
    """The group of each id."""
    from scipy.sparse import coo_matrix  # half a second, which syncs without identities need not wait
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(merges), dtype=np.int8)
    graph = coo_matrix((ones, (merges["known"], merges["other"])), shape=(size, size))
    found: np.ndarray = connected_components(graph, directed=False)[1]
    return found


def _owners(said: pd.DataFrame, group: np.ndarray, known: np.ndarray, ids: pd.Index) -> tuple[np.ndarray, int, int]:
    """Group → the group of its person; how many anonymous groups came with several; how many links were refused."""
    owner = np.arange(_count(group))
    identified = np.zeros(len(owner), dtype=bool)
    np.logical_or.at(identified, group, known)
    pairs = pd.DataFrame({"known": group[said["known"]], "other": group[said["other"]], "at": said["at"].to_numpy()})
    pairs["id"] = ids.take(said["known"])
    pairs = pairs[pairs["known"] != pairs["other"]]
    wrong = identified[pairs["other"]]
    pairs = pairs[~wrong]
    several = pairs.groupby("other")["known"].nunique()
    first = pairs.sort_values(["at", "id"], kind="stable").drop_duplicates("other")
    owner[first["other"]] = first["known"]
    return owner, int((several > 1).sum()), int(wrong.sum())


def _first_seen(links: pd.DataFrame) -> np.ndarray:
    """When each id was in a link first."""
    times = pd.concat([links["at"], links["at"]], ignore_index=True)
    codes = pd.concat([links["known"], links["other"]], ignore_index=True)
    found: np.ndarray = times.groupby(codes).min().to_numpy()
    return found


def _names(seen: np.ndarray, ids: pd.Index, group: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Group → the id that names its person: a known one, that which was linked first, or the first by the alphabet."""
    found = pd.DataFrame({"group": group, "known": known, "at": seen, "text": ids})
    found = found.sort_values(["known", "at", "text"], ascending=[False, True, True]).drop_duplicates("group")
    names = np.zeros(_count(group), dtype=int)
    names[found["group"]] = found.index
    return names


def _count(group: np.ndarray) -> int:
    return int(group.max()) + 1 if len(group) else 0
