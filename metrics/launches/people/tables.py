"""From the table that the engine answers to people added up, by variant and day of exposure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metrics.engine.exposure import FIRST_DAYS as FIRST_SPAN
from metrics.launches.people.moments import SIZE, D, Sums, W, X, Y
from metrics.launches.people.novelty import Halves

FIRST_DAYS = FIRST_SPAN.total_seconds() / 86400


@dataclass(frozen=True)
class Table:
    """One answer of exposure.exposed_sums, of those who count. ratio: whether its KPI has a denominator."""

    frame: pd.DataFrame
    ratio: bool

    def of_end(self, end: int, first: pd.Timestamp | None, last: pd.Timestamp) -> dict[str, dict[pd.Timestamp, Sums]]:
        """Variant → day of exposure → people up to the end-th end, exposed in first <= day <= last."""
        found: dict[str, dict[pd.Timestamp, Sums]] = {}
        chosen = self.frame[self.frame["day"] <= last]
        chosen = chosen if first is None else chosen[chosen["day"] >= first]
        for row in chosen.to_dict("records"):
            people = found.setdefault(str(row["variant"]), {})
            people[row["day"]] = self._sums({str(k): v for k, v in row.items()}, end)
        return found

    def _sums(self, row: Mapping[str, float], end: int) -> Sums:
        n = float(row["n"])
        sums, products = np.zeros(SIZE), np.zeros((SIZE, SIZE))
        names = {Y: f"y{end}", D: f"d{end}", X: "x", W: "w"} if self.ratio else {Y: f"y{end}", X: "x"}
        for one, name in names.items():
            sums[one] = row[name]
            for other, second in names.items():
                given = f"{name}_{second}"
                products[one, other] = row[given if given in row else f"{second}_{name}"]
        if not self.ratio:  # a mean is a ratio to 1 of each
            sums[D] = n
            products[D, :] = products[:, D] = sums
        return Sums(n, sums, products)

    def halves(self, end: pd.Timestamp, number: int) -> dict[str, dict[pd.Timestamp, Halves]]:
        """Variant → day of exposure → what its people did a day in their first days, less what they did later.

        Of those who have as many later days as first ones, up to the end, which is the number-th.
        """
        found: dict[str, dict[pd.Timestamp, Halves]] = {}
        for row in self.frame.to_dict("records"):
            later = float((end - row["day"]).days) - FIRST_DAYS
            if later < FIRST_DAYS:
                continue
            # e / first − (y − e) / later = a e − b y
            a, b = 1 / FIRST_DAYS + 1 / later, 1 / later
            y = f"y{number}"
            total = a * row["e"] - b * row[y]
            squares = a * a * row["e_e"] - 2 * a * b * row[f"e_{y}"] + b * b * row[f"{y}_{y}"]
            found.setdefault(str(row["variant"]), {})[row["day"]] = Halves(float(row["n"]), total, squares)
        return found
