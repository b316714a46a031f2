"""KPIs that no sync has computed: nobody's page runs a definition that was never tried."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.warehouse.contract import Reader
from metrics.catalog.catalogue import Catalogue

NEW = "computes at the next sync"


def uncomputed(catalogue: Catalogue, reader: Reader) -> Mapping[str, str]:
    """KPI → why it has no values in this generation, of those that it was not made with or could not compute."""
    stored, failures, found = reader.all_stored_definitions(), reader.failures(), dict[str, str]()
    for name, kpi in catalogue.kpis.items():
        versions = stored.get((name, kpi.grain))
        if versions and versions[-1][0] == catalogue.definition(name):
            continue
        own = any(catalogue.transforms[step].limits for step in kpi.transform_names)
        if (own and versions) or _other_texts(name, catalogue, reader):
            found[name] = NEW
        elif name in failures:
            found[name] = f"not computed at the last sync: {failures[name].message}"
    return found


def _other_texts(name: str, catalogue: Catalogue, reader: Reader) -> bool:
    """Whether the KPI, or what it is made of, reads differently from what the generation was made with.

    A KPI without one row has no stored values, and is computed all the same.
    """
    old, new = reader.published_files(), catalogue.texts()
    return any(old.get(key) != new.get(key) for key in _made_of(name, catalogue))


def _made_of(name: str, catalogue: Catalogue) -> list[str]:
    kpi = catalogue.kpis[name]
    datasets = [f"dataset:{dataset}" for dataset in catalogue.joined_with(kpi)]
    return [f"kpi:{name}", *datasets, *(key for r in catalogue.references(kpi) for key in _made_of(r, catalogue))]
