"""The one place that chooses an engine. An engine is loaded when it is chosen, not before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from connectors.cage.limits import USUAL, Limits
from connectors.errors import SettingsError

if TYPE_CHECKING:
    from connectors.warehouse.contract import Warehouse
    from connectors.warehouse.engines.terms import Terms


SHARED_FROM = 10**9  # bytes
EMBEDDED = ("", "duckdb")


def open_warehouse(
    url: str,
    data: Path,
    *,
    memory_limit: str,
    threads: int,
    limits: Limits = USUAL,
    shared_from: int = SHARED_FROM,
    terms: Terms | None = None,
) -> Warehouse:
    """The warehouse of a project: embedded DuckDB in its `data` folder, its rows there or in the engine at `url`.

    memory_limit: most memory of one process's queries, such as 4GB; threads: of one process's queries;
    limits: of what computes SQL of definitions; shared_from: bytes of a generation from which the rows of its large
    tables lie in files that generations share. terms: on which an engine by URL is asked.
    Connects to nothing. Raises SettingsError for an address that no engine here takes.
    """
    from connectors.warehouse.duckdb.warehouse import DuckWarehouse

    here = url in EMBEDDED
    local = DuckWarehouse(
        data, memory_limit=memory_limit, threads=threads, limits=limits, shared_from=shared_from, computes=here
    )
    if here:
        return local
    if terms is None:
        raise SettingsError("this needs a project whose rows are on this machine, and `warehouse` names an engine")
    if terms.lake:
        from connectors.warehouse.lake.warehouse import LakeWarehouse

        return LakeWarehouse(url, local, terms, data=data)
    from connectors.warehouse.engines.warehouse import EngineWarehouse

    return EngineWarehouse(url, local, terms)
