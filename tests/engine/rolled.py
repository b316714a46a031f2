"""Events and people of roll-ups, which are kept however few the rows are."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from metrics.engine import rollups

PEOPLE, DAYS = 80, 70
FIRST = date(2026, 9, 1)


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roll-ups of few rows are kept, too."""
    monkeypatch.setattr(rollups, "LEAST_ROWS", 0)
    monkeypatch.setattr(rollups, "MOST_KEPT", 10)


def events(seed: int, rows: int = 1500) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.Timestamp(FIRST) + pd.to_timedelta(rng.integers(0, DAYS * 86400, rows), unit="s")
    platform = rng.choice(np.array(["web", "ios", None], dtype=object), rows, p=[0.5, 0.4, 0.1])
    user = rng.integers(1, PEOPLE + 1, rows).astype(float)
    user[rng.random(rows) < 0.04] = np.nan
    amount = np.where(rng.random(rows) < 0.1, np.nan, np.round(rng.exponential(30, rows), 2))
    country = rng.choice(["DE", "US", "FR"], rows)
    columns = {"at": at, "user_id": user, "platform": platform, "country": country, "amount": amount}
    return pd.DataFrame({"id": np.arange(rows), **columns})


def people(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed + 1)
    at = pd.Timestamp(FIRST) + pd.to_timedelta(rng.integers(0, DAYS * 86400, PEOPLE), unit="s")
    plan = rng.choice(np.array(["pro", "free", None], dtype=object), PEOPLE)
    return pd.DataFrame({"user_id": np.arange(1.0, PEOPLE + 1), "plan": plan, "at": at})
