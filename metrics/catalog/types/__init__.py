"""KPI types: one file = one type, its keys and what is known of a definition without asking the data.

A type has a file of the same name on each floor: here, in engine/types (how it is counted) and in kpi_views/types (how
it is told). Whoever drops three files into the folders has a new type; nothing is listed anywhere.
"""

from __future__ import annotations

import importlib
import pkgutil

from metrics.catalog.models.kpi import KpiCommon


def type_names() -> list[str]:
    """Every KPI type, by name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def kpi_type(name: str) -> type[KpiCommon]:
    """The model of a type: the class of its file whose `type` is the file's name."""
    module = importlib.import_module(f"{__name__}.{name}")
    models = (item for item in vars(module).values() if isinstance(item, type) and issubclass(item, KpiCommon))
    return next(model for model in models if model.__module__ == module.__name__)
