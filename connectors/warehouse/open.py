"""The one place that chooses an engine. An engine is loaded when it is chosen, not before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from connectors.cage.limits import USUAL, Limits
from connectors.errors import SettingsError

if TYPE_CHECKING:
    from connectors.warehouse.contract import Warehouse


SHARED_FROM = 10**9  # bytes


def open_warehouse(
    url: str, data: Path, *, memory_limit: str, threads: int, limits: Limits = USUAL, shared_from: int = SHARED_FROM
) -> Warehouse:
    """The warehouse of a project: the engine at `url`, or embedded DuckDB in its `data` folder.

    memory_limit: most memory of one process's queries, such as 4GB; threads: of one process's queries;
    limits: of what computes SQL of definitions; shared_from: bytes of a generation from which the rows of its large
    tables lie in files that generations share.
    Connects to nothing. Raises SettingsError for an address that no engine here takes.
    """
    if url not in ("", "duckdb"):
        raise SettingsError(
            f"no engine for `warehouse: {url.partition(':')[0]}:…`",  # no more of it: it may hold a password
            where="settings.yml",
            hint="Leave `warehouse` out, or write `warehouse: duckdb`: it is the only engine yet.",
        )
    from connectors.warehouse.duckdb.warehouse import DuckWarehouse

    return DuckWarehouse(data, memory_limit=memory_limit, threads=threads, limits=limits, shared_from=shared_from)
