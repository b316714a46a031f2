"""Public holidays by country: `holidays: DE` in settings and KPIs."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd


@lru_cache(maxsize=64)
def public_holidays(country: str, first: int, last: int) -> frozenset[pd.Timestamp]:
    """Public holidays of a country (DE) or a part of it (DE-BY), years inclusive. Raises NotImplementedError."""
    import holidays  # 0.13 s that most commands never need

    code, _, part = country.partition("-")
    found = holidays.country_holidays(code, subdiv=part or None, years=range(first, last + 1))
    return frozenset(pd.Timestamp(day) for day in found)


def known_country(country: str) -> bool:
    """Whether a holiday calendar of that name exists."""
    try:
        public_holidays(country, 2020, 2020)
    except (NotImplementedError, KeyError):
        return False
    return True
