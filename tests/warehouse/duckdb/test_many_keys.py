"""Keys of a long load are compared in parts: the last row of each stays, whichever part it falls into."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from connectors.warehouse.duckdb import loading
from tests.conftest import Builder


@pytest.mark.parametrize("repeated", [False, True])
def test_the_last_row_of_each_key_stays(project: Builder, monkeypatch: pytest.MonkeyPatch, *, repeated: bool) -> None:
    monkeypatch.setattr(loading, "KEYS_AT_ONCE", 7)
    chance = random.Random(f"{repeated}")
    keys = [(f"k{n}", chance.randrange(3)) for n in range(60)]
    if repeated:
        keys += chance.sample(keys, 1)
    rows = pd.DataFrame(keys, columns=["key", "part"]).assign(at=pd.Timestamp("2026-11-02"), n=range(len(keys)))
    rows.to_parquet(project.folder / "files" / "t.parquet", index=False)
    project.source("- {name: t, type: files, table: t, path: files/t.parquet, primary_key: [key, part]}")
    project.sync()
    found = project.open().reader().frame("SELECT n FROM t ORDER BY n")["n"].tolist()
    assert found == sorted(rows.drop_duplicates(["key", "part"], keep="last")["n"])
