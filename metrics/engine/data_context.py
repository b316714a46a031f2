"""What every view model reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.errors import Problem
from connectors.warehouse.contract import Reader, SourceRun
from metrics.catalog.catalogue import Catalogue


@dataclass(frozen=True)
class DataContext:
    """One generation, its definitions, how sources fared, the clock.

    overdue: why no sync is heard of, or empty. warnings: what the last sync found valid but surely wrong.
    country: whose holidays expected ranges keep quiet on.
    """

    catalogue: Catalogue
    reader: Reader
    runs: Mapping[str, SourceRun]
    table_sources: Mapping[str, str]  # table → source
    now: datetime
    overdue: str = ""
    warnings: tuple[Problem, ...] = ()
    country: str = ""
