"""Whose dimension is meant, where the parts of a KPI lie in several datasets that each have one of that name."""

from __future__ import annotations

from collections.abc import Iterable

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon


def which_is_meant(kpi: KpiCommon, catalogue: Catalogue, dimensions: Iterable[str]) -> list[str]:
    """A sentence for each of these dimensions that is not the same column for all parts."""
    parts = _parts(kpi, catalogue)
    found = []
    for dimension in dict.fromkeys(dimensions):
        owners = {label: _owner(catalogue.datasets[dataset], dimension) for label, dataset in parts.items()}
        if len(set(owners.values())) > 1:
            told = ", ".join(f"that of {owner} for {label}" for label, owner in owners.items())
            found.append(f"{dimension} is each part's own: {told}")
    return found


def _parts(kpi: KpiCommon, catalogue: Catalogue) -> dict[str, str]:
    """What people call a part → the dataset whose rows it filters."""
    if kpi.conditions:
        return {kpi.title: next(iter(kpi.conditions.values())).dataset}
    if kpi.parts:
        parts = kpi.parts.items()
        return {name: catalogue.kpi(part).dataset if isinstance(part, str) else part.dataset for name, part in parts}
    inner = [_parts(catalogue.kpi(name), catalogue) for name in catalogue.references(kpi)]
    named = zip(catalogue.references(kpi), inner, strict=True)
    found = {
        catalogue.kpi(name).title if len(of) == 1 else f"{catalogue.kpi(name).title}, {label}": dataset
        for name, of in named
        for label, dataset in of.items()
    }
    return found or ({kpi.title: kpi.dataset} if kpi.dataset else {})


def _owner(dataset: Dataset, dimension: str) -> str:
    """The dataset whose column a dimension is, however often it was lent."""
    lent = dataset.borrowed().get(dimension)
    return _owner(lent[1], dimension) if lent else dataset.label or dataset.name
