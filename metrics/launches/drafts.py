"""Launches as releases and changes of flags tell them: one for each release, one for each flag's latest rollout.

A table is one of releases or of changes by its columns, whatever source brought it. What comes out depends on which
rows there are, and not on the order in which they came or how often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from connectors.errors import DefinitionError, counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.launch_grain import launch_grain

RELEASES = ("id", "tag", "published_at")  # what a table of releases has at least, and what more is read of it
MORE_OF_RELEASES = ("repo", "name", "url", "draft", "prerelease", "updated_at")
CHANGES = ("id", "flag", "environment", "changed_at", "is_on", "share")
MORE_OF_CHANGES = ("project", "name", "url", "strategy", "constrained")
MOMENTS = ("published_at", "changed_at")
EVERYWHERE = "*"
MOST_KPIS = 3  # proposed for success, and as guardrails
LONGEST_ID = 200
AHEAD = pd.Timedelta(days=1)  # clocks differ; what is later than that has not happened


@dataclass(frozen=True)
class Rule:
    """What is drafted, and what is proposed for it: `launches:` of a source says what each key means."""

    area: str
    since: date
    only: tuple[str, ...] = ()
    owner: str = ""
    prereleases: bool = False
    environment: str = "production"


@dataclass(frozen=True)
class Drafted:
    """A launch as its release or flag tells it. id: the vendor's. stem: words for the file's name. of: what it is.

    steps: of a rollout, day and share; else `on`. until: the day on which the flag was turned off again.
    """

    id: str
    stem: str
    label: str
    of: str
    rule: Rule
    url: str
    on: date | None = None
    steps: tuple[tuple[date, float], ...] = ()
    until: date | None = None


@dataclass(frozen=True)
class Found:
    """What a table tells. notes: what was left out, in sentences."""

    drafts: tuple[Drafted, ...]
    notes: tuple[str, ...] = ()


def columns_read(known: Collection[str]) -> tuple[str, ...]:
    """The columns of a table that drafts are made of. Raises DefinitionError where it has too few."""
    for least, more in ((RELEASES, MORE_OF_RELEASES), (CHANGES, MORE_OF_CHANGES)):
        if set(least) <= set(known):
            return (*least, *(name for name in more if name in known))
    raise DefinitionError(
        "no launch can be drafted from its table: it holds neither releases nor changes of flags",
        hint=f"Releases have {', '.join(RELEASES)}; changes have {', '.join(CHANGES)}. Rename by `columns:`.",
    )


def drafted(frame: pd.DataFrame, rules: Collection[Rule], zone: str, now: pd.Timestamp) -> Found:
    """Launches of a table. frame: `columns_read` of it, moments as UTC. zone: where days begin. now: with its zone.

    Raises DefinitionError for a table that says two things of one release.
    """
    at = "published_at" if "tag" in frame else "changed_at"
    rows = frame.drop_duplicates().assign(at=pd.to_datetime(frame[at], utc=True, errors="coerce"))
    dated = rows["at"].notna() & (rows["at"] <= now + AHEAD)
    late = int((rows["at"] > now + AHEAD).sum())
    notes = [f"{counted(late, 'row lies', 'rows lie')} in the future, left out."] if late else []
    rows = rows[dated].assign(day=lambda r: r["at"].dt.tz_convert(zone).dt.date)
    found = _releases(rows, rules) if "tag" in frame else _flags(rows, rules, notes)
    return Found(tuple(found), tuple(notes))


# ---- releases


def _releases(rows: pd.DataFrame, rules: Collection[Rule]) -> list[Drafted]:
    if "updated_at" in rows:
        rows = rows.sort_values("updated_at", na_position="first").drop_duplicates("id", keep="last")
    if twice := sorted(rows.loc[rows["id"].duplicated(), "id"]):
        raise DefinitionError(
            f"release {twice[0]} is in the table with two contents, and nothing says which is newer",
            hint="State `primary_key: id` of the source, so that the later row takes the place of the earlier.",
        )
    found = []
    for row in rows.sort_values(["at", "id"]).to_dict("records"):
        rule = _rule(str(row["tag"]), rules)
        if rule is None or _true(row, "draft") or row["day"] < rule.since:
            continue
        if rule.prereleases or not _true(row, "prerelease"):
            found.append(_release(row, rule))
    return found


def _release(row: Mapping[Any, Any], rule: Rule) -> Drafted:
    tag, name, repo = str(row["tag"]), _text(row, "name"), _text(row, "repo")
    of = " ".join(filter(None, (repo, tag)))
    stem = " ".join(filter(None, (repo.rpartition("/")[2] or "release", tag)))
    label = f"{name} ({tag})" if name and tag not in name else name or stem
    return Drafted(_key(str(row["id"])), stem, label[:LONGEST_ID], of, rule, _text(row, "url"), on=row["day"])


# ---- flags


def _flags(rows: pd.DataFrame, rules: Collection[Rule], notes: list[str]) -> list[Drafted]:
    rows = rows.assign(project=rows["project"].fillna("") if "project" in rows else "")
    # Ids of one vendor rise with time; numbers among them compare as numbers.
    rows = rows.assign(order=rows["id"].str.zfill(LONGEST_ID)).sort_values(["at", "order"])
    found, unknown, elsewhere = [], 0, set[str]()
    for (project, flag), changes in rows.groupby(["project", "flag"], sort=True):
        rule = _rule(str(flag), rules)
        if rule is None:
            continue
        mine = changes[changes["environment"].isin([rule.environment, EVERYWHERE])]
        if mine.empty:
            elsewhere |= set(changes["environment"])
            continue
        rollout = _rollout(mine)
        unknown += rollout.unknown
        if rollout.steps and rollout.steps[0][0] >= rule.since:
            found.append(_flag(str(project), str(flag), mine.iloc[-1].to_dict(), rollout, rule))
    if unknown:
        notes.append(
            f"Of {counted(unknown, 'flag')} no change says whether they are on: nothing was drafted from them."
        )
    if elsewhere and not found:
        known = ", ".join(sorted(map(str, elsewhere)))
        notes.append(f"No flag changed in the environment that counts. The table has: {known}. State `environment`.")
    return found


@dataclass
class _Rollout:
    """Of one flag: steps since it began last; when it ended; whether no change says that it is on; whether only some
    users are let in at all.
    """

    steps: tuple[tuple[date, float], ...]
    until: date | None
    unknown: bool
    constrained: bool


def _rollout(changes: pd.DataFrame) -> _Rollout:
    """What counts is the end of each day: the first day above nothing begins a rollout, one of nothing ends it."""
    on: bool | None = None
    shares: dict[str, float] = {}
    limited: dict[str, bool] = {}
    days: dict[date, float] = {}
    numbers = pd.to_numeric(changes["share"], errors="coerce")
    for row in changes.assign(share=numbers).to_dict("records"):
        if _text(row, "is_on"):
            on = _true(row, "is_on")
        by = _text(row, "strategy")
        if not pd.isna(row["share"]):
            shares[by] = min(100.0, max(0.0, float(row["share"]))) / 100
            limited[by] = _true(row, "constrained")
        # Where no change says a share, whoever asks gets it. Of several strategies one is enough.
        days[row["day"]] = (max(shares.values()) if shares else 1.0) if on else 0.0
    steps: list[tuple[date, float]] = []
    until = None
    for day, share in sorted(days.items()):
        if share <= 0:
            until = until or (day if steps else None)
        elif until is not None or not steps:
            steps, until = [(day, share)], None
        elif steps[-1][1] != share:
            steps.append((day, share))
    some = any(limited[by] for by, share in shares.items() if share > 0)
    return _Rollout(tuple(steps), until, on is None, some)


def _flag(project: str, flag: str, row: Mapping[Any, Any], rollout: _Rollout, rule: Rule) -> Drafted:
    of = f"{flag} in {rule.environment}" + (", limited by rules" if rollout.constrained else "")
    key = _key("/".join((project, flag, rule.environment)))
    steps = tuple((day, round(share, 6)) for day, share in rollout.steps)
    label = (_text(row, "name") or flag)[:LONGEST_ID]
    return Drafted(key, flag, label, of, rule, _text(row, "url"), steps=steps, until=rollout.until)


# ---- what is proposed


def proposed(catalogue: Catalogue, area: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """KPIs of the area that a launch may move, and those with a critical limit that it must not hurt. By name."""
    known = [kpi for _, kpi in sorted(catalogue.kpis.items()) if kpi.status == "live"]
    near = [kpi for kpi in known if kpi.area.casefold() == area.casefold()]
    moved = [kpi.name for kpi in near if kpi.overview and kpi.direction != "neutral" and launch_grain(kpi, catalogue)]
    success = moved[:MOST_KPIS]
    kept = [kpi.name for kpi in (*near, *(kpi for kpi in known if kpi not in near)) if _has_limit(kpi)]
    return tuple(success), tuple([name for name in kept if name not in success][:MOST_KPIS])


def _has_limit(kpi: KpiCommon) -> bool:
    critical = kpi.thresholds.critical if kpi.thresholds else None
    return critical is not None and critical.limit(None) is not None


def _rule(name: str, rules: Collection[Rule]) -> Rule | None:
    return next((r for r in rules if not r.only or any(fnmatchcase(name, p) for p in r.only)), None)


def _key(text: str) -> str:
    return text if len(text) <= LONGEST_ID else hashlib.sha256(text.encode()).hexdigest()


def _text(row: Mapping[Any, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None or pd.isna(value) else " ".join(str(value).split())


def _true(row: Mapping[Any, Any], name: str) -> bool:
    return _text(row, name).casefold() in ("true", "1", "1.0", "yes", "on")
