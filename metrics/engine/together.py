"""Several breakdowns of a KPI counted as one: a refresh makes one frame of all its dimensions, not one after the other.

In such a scope each segment is named with its dimension before it, so whatever is done to a frame by segment is done to
all breakdowns at once. Statements are asked for each dimension alone (`by_each`), or read their rows once for all of
them (`trees.run_together`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from metrics.engine.query import TOGETHER, Scope

Names = np.ndarray[Any, Any]


def of_all(scope: Scope, dimensions: Sequence[str]) -> Scope:
    """The scope broken down by each of these; NO_DIMENSION: all rows together."""
    return dataclasses.replace(
        scope,
        by=TOGETHER + TOGETHER.join(dimensions),
        together=dict.fromkeys(dimensions, scope.catalogue),
    )


def each(scope: Scope) -> dict[str, Scope]:
    """Dimension → the scope of that one alone."""
    return {
        dimension: dataclasses.replace(
            scope,
            by=dimension or None,
            together={},
            catalogue=catalogue,
            segments=tuple(s[len(dimension) + 1 :] for s in scope.segments if s.startswith(dimension + TOGETHER)),
        )
        for dimension, catalogue in scope.together.items()
    }


def by_each(scope: Scope, count: Callable[[Scope], pd.DataFrame]) -> pd.DataFrame:
    """What `count` makes of a scope; of several dimensions, of each alone, one after the other.

    count: returns a column `segment` or `__segment`.
    """
    if not scope.together:
        return count(scope)
    found = []
    for dimension, one in each(scope).items():
        frame = count(one)
        column = "__segment" if "__segment" in frame else "segment"
        found.append(frame.assign(**{column: named(frame[column] if dimension else "", dimension, len(frame))}))
    rows = [frame for frame in found if len(frame)]
    return pd.concat(rows, ignore_index=True) if rows else found[0]


def named(segments: Iterable[Any] | str, dimension: str, length: int) -> Names:
    """Segments of a dimension by their names in a scope of several. One text: that of each of so many rows."""
    result = np.empty(length, dtype=object)
    if isinstance(segments, str):
        result[:] = f"{dimension}{TOGETHER}{segments}"
        return result
    codes, names = pd.factorize(pd.Series(segments, dtype="object"))
    if (codes < 0).any():  # NULL is `(none)` in all that is counted
        raise ValueError(f"a segment of '{dimension}' has no name")
    each_name = np.array([f"{dimension}{TOGETHER}{name}" for name in names], dtype=object)
    return each_name[codes] if len(each_name) else result


def dimensions_of(segments: Iterable[str]) -> set[str]:
    """Whose these names are."""
    return {name.partition(TOGETHER)[0] for name in segments}


def apart(segments: pd.Series) -> tuple[Names, Names]:
    """The dimension and the segment of each of these names."""
    codes, names = pd.factorize(segments.astype("object"))
    pairs = [name.partition(TOGETHER) for name in names]
    if not pairs:
        return np.array([], dtype=object), np.array([], dtype=object)
    of, own = (np.array([pair[place] for pair in pairs], dtype=object)[codes] for place in (0, 2))
    return of, own
