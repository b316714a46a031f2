"""Rows of batches for the implementation in memory: read, typed by guess, compared."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from connectors.errors import SourceError
from connectors.sources.contract import Batch, FileScan


def rows_of(batch: Batch) -> pd.DataFrame:
    """A batch's rows. Of a CSV: texts, with attrs of the types that are guessed and those that are stated."""
    scan = batch.rows
    if not isinstance(scan, FileScan):
        return (scan if isinstance(scan, pd.DataFrame) else scan.to_pandas()).copy()
    try:
        if scan.format == "parquet":
            return pd.read_parquet(scan.path)
        rows = pd.read_csv(scan.path, sep=scan.delimiter, dtype=str, na_values=list(scan.null_values))
    except ValueError as error:
        raise SourceError(f"{scan.origin} cannot be read: {error}") from error
    rows.attrs = {"guessed": {c: guessed(rows[c]) for c in rows}, "types": dict(scan.types)}
    return rows


def guessed(texts: pd.Series) -> str:
    """The type that all of these texts can be read as."""
    numbers = pd.to_numeric(texts, errors="coerce")
    if not (texts.notna() & numbers.isna()).any():
        return "BIGINT" if (numbers % 1 == 0).all() else "DOUBLE"
    times = pd.to_datetime(texts, errors="coerce", format="ISO8601")
    return "TIMESTAMP" if not (texts.notna() & times.isna()).any() else "VARCHAR"


def differing(old: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of `old` that are not in `new`, and the other way round; each counts."""

    def marked(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
        texts = frame[old.columns].astype(object).where(frame.notna(), "none")
        place = texts.astype(str).groupby(list(texts.columns)).cumcount()
        return [(*row, n) for row, n in zip(texts.itertuples(index=False, name=None), place, strict=True)]

    before, after = marked(old), marked(new)
    return old[[row not in set(after) for row in before]], new[[row not in set(before) for row in after]]


def alike(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    """Whether facts are the same but for the order of a sum."""
    floats = zip(old[:3], new[:3], strict=True)
    near = (
        a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12, abs_tol=0)) for a, b in floats
    )
    return all(near) and old[3:] == new[3:]
