"""Adoption: which share of the audience used what was launched, how soon, again, and where."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

WITHIN = (1, 7, 28)  # days since an entity was first there
MOST_SEGMENTS = 8


@dataclass(frozen=True)
class Share:
    """used of `of`; unknown (None) while nobody was there long enough."""

    name: str
    used: int
    of: int

    @property
    def value(self) -> float | None:
        """0..1."""
        return self.used / self.of if self.of else None


@dataclass(frozen=True)
class Adoption:
    """audience: entities seen since launch; used: those who used it; again: those who did on more than one day.

    curve: days since launch → share of everybody seen by then who had used it by then. within: of those seen at least
    so many days ago, who used it in their first so many days. segments: per dimension, largest first. to: exclusive.
    """

    audience: int
    used: int
    again: int
    curve: tuple[tuple[pd.Timestamp, float], ...]
    within: tuple[Share, ...]
    segments: tuple[tuple[str, tuple[Share, ...]], ...]
    to: pd.Timestamp

    @property
    def share(self) -> float | None:
        """used of audience, 0..1."""
        return self.used / self.audience if self.audience else None


def summarized(whole: pd.DataFrame, by: dict[str, pd.DataFrame], start: pd.Timestamp, end: pd.Timestamp) -> Adoption:
    """From tables of engine/adoption.py: of everybody, and per dimension."""
    count = whole["entities"]
    users = whole["used_on"].notna()
    used, again = int(count[users].sum()), int(count[whole["again"].astype(bool)].sum())
    segments = []
    for dimension, table in by.items():
        sizes = table.groupby("segment")["entities"].sum().sort_values(ascending=False, kind="stable")
        uses = table[table["used_on"].notna()].groupby("segment")["entities"].sum()
        shares = [Share(str(s), int(uses.get(s, 0)), int(n)) for s, n in sizes.items()][:MOST_SEGMENTS]
        if len(sizes) > 1:
            segments.append((dimension, tuple(shares)))
    return Adoption(
        int(count.sum()),
        used,
        again,
        _curve(whole, start, end),
        tuple(_within(whole, days, end) for days in WITHIN),
        tuple(segments),
        end,
    )


def _curve(whole: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> tuple[tuple[pd.Timestamp, float], ...]:
    days = pd.date_range(start, end, freq="D", inclusive="left")
    seen = whole.groupby("seen_on")["entities"].sum().reindex(days, fill_value=0).cumsum()
    used = whole.dropna(subset=["used_on"]).groupby("used_on")["entities"].sum().reindex(days, fill_value=0).cumsum()
    return tuple((day, float(used[day] / seen[day])) for day in days if seen[day])


def _within(whole: pd.DataFrame, days: int, end: pd.Timestamp) -> Share:
    old = whole[whole["seen_on"] + pd.Timedelta(days=days) <= end]
    soon = (old["used_on"] - old["seen_on"]) < pd.Timedelta(days=days)
    return Share(f"D{days}", int(old.loc[soon, "entities"].sum()), int(old["entities"].sum()))
