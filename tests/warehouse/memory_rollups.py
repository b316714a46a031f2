"""Roll-ups of the warehouse in memory: frames beside its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from connectors.warehouse.contract import Rollup


class KeptFrames:
    """kept: name → what is said of a roll-up and its rows; made: rows that a staging computed, until it publishes."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[dict[str, Any], pd.DataFrame | None]] = {}
        self.made: dict[str, pd.DataFrame] = {}
        self._waiting: list[Callable[[], None]] = []

    def tables(self) -> dict[str, pd.DataFrame]:
        """As SQL reads them."""
        kept = {f"kept {name}": rows for name, (_, rows) in self.kept.items() if rows is not None}
        return {**kept, **{f"made {name}": rows for name, rows in self.made.items()}}

    def rollups(self) -> Mapping[str, Rollup]:
        """Those that are published."""
        return {n: Rollup(n, "" if rows is None else f'"kept {n}"', about) for n, (about, rows) in self.kept.items()}

    def keep(
        self,
        name: str,
        about: Mapping[str, Any],
        rows: pd.DataFrame,
        most: int,
        touched: tuple[datetime, datetime] | None,
    ) -> str:
        """The relation of these rows."""
        if len(rows) > most:
            self._waiting.append(lambda: self.kept.update({name: (dict(about), None)}))
            return ""
        self.made[name] = rows
        self._waiting.append(lambda: self._bring(name, dict(about), rows, touched))
        return f'"made {name}"'

    def forget(self, kept: Iterable[str]) -> None:
        """Drop all others when this publishes."""
        names = set(kept)
        self._waiting.append(lambda: self._only(names))

    def publish(self) -> None:
        """What waits is done."""
        for step in self._waiting:
            step()
        self._waiting, self.made = [], {}

    def _only(self, names: set[str]) -> None:
        self.kept = {name: said for name, said in self.kept.items() if name in names}

    def _bring(
        self, name: str, about: dict[str, Any], rows: pd.DataFrame, touched: tuple[datetime, datetime] | None
    ) -> None:
        _, before = self.kept.get(name, (about, None))
        if touched is not None and before is not None:
            days = before["day"].astype("datetime64[us]")
            inside = (days >= pd.Timestamp(touched[0])) & (days < pd.Timestamp(touched[1]))
            rows = pd.concat([before[~inside], rows], ignore_index=True)
        self.kept[name] = about, rows
