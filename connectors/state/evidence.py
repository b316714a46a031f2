"""Whether a state store was ever used with published data."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select

from connectors.state.alerts import INCIDENTS, STANDINGS
from connectors.state.launches import READINGS
from connectors.state.snapshots import SNAPSHOTS


def of_a_generation(connection: Connection) -> bool:
    """Whether it holds what only comes of a generation: standings, incidents, readings of launches, snapshots."""
    tables = (STANDINGS, INCIDENTS, READINGS, SNAPSHOTS)
    return any(connection.execute(select(exists().select_from(table))).scalar() for table in tables)
