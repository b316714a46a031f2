"""Every implementation of the contract, each over an empty data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.warehouse.contract import Warehouse
from connectors.warehouse.open import open_warehouse
from tests.warehouse.memory import MemoryWarehouse

Opened = Callable[[Path], Warehouse]
IMPLEMENTATIONS: dict[str, Opened] = {
    "duckdb": lambda data: open_warehouse("", data, memory_limit="1GB", threads=1),
    "shared": lambda data: open_warehouse("", data, memory_limit="1GB", threads=1, shared_from=1),
    "memory": MemoryWarehouse,
}


@pytest.fixture(params=["duckdb", "memory", pytest.param("shared", marks=pytest.mark.slow)])
def opened(request: pytest.FixtureRequest) -> Opened:
    """How to open the warehouse of a data folder, as each process does."""
    return IMPLEMENTATIONS[request.param]


@pytest.fixture
def warehouse(opened: Opened, tmp_path: Path) -> Warehouse:
    (tmp_path / "data").mkdir()
    return opened(tmp_path / "data")
