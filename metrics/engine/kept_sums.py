"""Sums of people that a generation was asked for once, by the digest of the question: of millions each takes seconds.

A generation never changes, so neither does an answer of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from connectors.warehouse.contract import Reader


class KeptSums:
    """A reader that asks its generation only what is not known yet. asked: all that was asked, as plain values."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known
        self.asked: dict[str, Any] = {}

    def over(self, reader: Reader) -> Reader:
        """The reader of that generation, as it is but for `frame`."""
        return cast("Reader", _Remembering(reader, self))

    def answer(self, reader: Reader, sql: str) -> pd.DataFrame:
        """What the reader answers. Raises WarehouseError, QueryLimit."""
        key = hashlib.sha256(sql.encode()).hexdigest()
        if key not in self.asked:
            self.asked[key] = self._known[key] if key in self._known else _plain(reader.frame(sql))
        return _frame(self.asked[key])


class _Remembering:
    def __init__(self, reader: Reader, sums: KeptSums) -> None:
        self._reader, self._sums = reader, sums

    def frame(self, sql: str) -> pd.DataFrame:
        return self._sums.answer(self._reader, sql)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def _plain(frame: pd.DataFrame) -> dict[str, Any]:
    """For JSON, exactly: times as texts, unknown as null."""
    times = [name for name in frame if pd.api.types.is_datetime64_any_dtype(frame[name])]
    columns = {
        str(name): [None if pd.isna(v) else v.isoformat() if name in times else v for v in frame[name].tolist()]
        for name in frame
    }
    return {"columns": columns, "times": [str(name) for name in times]}


def _frame(plain: Mapping[str, Any]) -> pd.DataFrame:
    found = pd.DataFrame(dict(plain["columns"]))
    return found.assign(**{name: pd.to_datetime(found[name]).astype("datetime64[us]") for name in plain["times"]})
