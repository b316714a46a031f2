"""What somebody sees of a catalogue: which KPIs, of which rows, of how many people at least, which columns.

A restriction makes another catalogue. Whatever is asked of that one is asked of the rows that are left, so a question
needs to know of no role, and what is forgotten here is refused there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from connectors.errors import counted
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import NAME, Dataset
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.snapshot import Snapshot
from metrics.catalog.small_groups import people_behind

CLASSES = frozenset({"personal", "secret"})
MASKED = "its values are not shown to your role"


@dataclass(frozen=True)
class RowFilter:
    """Rows whose dimension has one of these values. why: why there are none; empty where there are."""

    dimension: str
    values: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class Restriction:
    """What somebody sees. areas: empty = all. classes: of columns that they see."""

    rows: tuple[RowFilter, ...] = ()
    areas: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    min_people: int = 0
    classes: frozenset[str] = CLASSES

    @property
    def of_all_rows(self) -> bool:
        """Whether every value that they see is of all rows, so that what was kept of those stands."""
        return not self.rows and not self.min_people

    def admits(self, segments: Mapping[str, str]) -> bool:
        """Whether a value of these segments (dimension → value) of the whole is one of rows that they see all of."""
        return not self.min_people and all(segments.get(item.dimension) in item.values for item in self.rows)


WHOLE = Restriction()


@dataclass(frozen=True)
class Access:
    """Whether a KPI is there for somebody, and its values. why: the rule, in words, where one of them is not."""

    listed: bool
    valued: bool
    why: str = ""


def restricted(catalogue: Catalogue, restriction: Restriction) -> Catalogue:
    """The catalogue as somebody sees it; itself where they see all of it."""
    if restriction == WHOLE:
        return catalogue
    few = restriction.min_people > 0
    restriction = _of_today(catalogue, restriction)
    seen = seen_datasets(catalogue, restriction)
    access = {name: access_of(seen, name, restriction) for name in catalogue.kpis}
    kpis = {name: _shown(kpi, seen, restriction) for name, kpi in catalogue.kpis.items() if access[name].listed}
    withheld = {name: found.why for name, found in access.items() if found.listed and not found.valued}
    broken = {name: why for name, why in catalogue.broken.items() if _lists_broken(name, restriction)}
    return dataclasses.replace(
        seen,
        kpis=kpis,
        broken=broken,
        problems=(),
        withheld=withheld,
        # Readings of launches and of their segments are of days and people that a small group would be told by.
        launches=() if few else _launches(catalogue.launches, kpis, withheld, restriction),
        drafts=() if few else _launches(catalogue.drafts, kpis, withheld, restriction),
        snapshots=tuple(_snapshot(item, kpis) for item in catalogue.snapshots),
        plans=() if restriction.rows or restriction.hidden or restriction.areas else catalogue.plans,
        min_people=restriction.min_people,
    )


def _of_today(catalogue: Catalogue, restriction: Restriction) -> Restriction:
    """With the names of today in place of those that KPIs had before: a new name makes nothing visible."""
    hidden, masked = (
        frozenset(catalogue.formerly.get(name, name) for name in names)
        for names in (restriction.hidden, restriction.masked)
    )
    return dataclasses.replace(restriction, hidden=hidden, masked=masked)


def seen_datasets(catalogue: Catalogue, restriction: Restriction) -> Catalogue:
    """The catalogue with all of its KPIs, over what somebody sees of the datasets. Its `access_of` is the decision."""
    return dataclasses.replace(catalogue, datasets=_datasets(catalogue, restriction))


def access_of(catalogue: Catalogue, name: str, restriction: Restriction) -> Access:
    """The decision on one KPI, and the rule behind it. catalogue: with the datasets as they are seen."""
    restriction, kpi = _of_today(catalogue, restriction), catalogue.kpis[name]
    if name in restriction.hidden:
        return Access(False, False, "it is among the `hidden_kpis` of the role")
    if restriction.areas and kpi.area not in restriction.areas:
        own = f"area {kpi.area}" if kpi.area else "no area"
        return Access(False, False, f"it is of {own}, and the role sees {', '.join(sorted(restriction.areas))}")
    parts = [(part, access_of(catalogue, part, restriction)) for part in catalogue.references(kpi)]
    for part, inner in sorted(parts, key=lambda item: item[1].listed):  # what is hidden decides before what is masked
        if not inner.valued:
            return Access(inner.listed, False, f"it is made of {part}: {inner.why}")
    if name in restriction.masked:
        return Access(True, False, MASKED)
    return Access(True, True) if not (why := _unseen(catalogue, kpi, restriction)) else Access(True, False, why)


def _unseen(catalogue: Catalogue, kpi: KpiCommon, restriction: Restriction) -> str:
    """Why there is no row for somebody behind a KPI, in words; empty where there may be."""
    closed = [catalogue.datasets[name].closed for name in catalogue.datasets_of(kpi)]
    if any(closed):
        return next(filter(None, closed))
    bare = [name for name in kpi.named_tables if name not in catalogue.datasets]
    if restriction.rows and bare:
        return f"its SQL reads the table {bare[0]} itself, and the role sees rows of datasets only"
    if restriction.min_people and isinstance(why := people_behind(kpi, catalogue), str):
        return f"{why}, and the role sees no value of fewer than {counted(restriction.min_people, 'person', 'people')}"
    return ""


def _lists_broken(name: str, restriction: Restriction) -> bool:
    """A file that is wrong may not say its area: who sees some areas only sees none of them."""
    return not restriction.areas and name not in restriction.hidden and not restriction.rows


def _datasets(catalogue: Catalogue, restriction: Restriction) -> dict[str, Dataset]:
    """All of them as somebody sees them. Where they borrow, it is of those rows of the lender that are seen."""
    lent: dict[str, Dataset] = {}
    hidden = _hidden_columns(catalogue, restriction)

    def lender(dataset: Dataset) -> Dataset:
        if dataset.name not in lent:
            own = tuple((f.dimension, f.values) for f in restriction.rows if f.dimension in dataset.dimensions)
            lent[dataset.name] = dataset.seen(own, "", _shows(dataset, hidden, restriction), lenders(dataset))
        return lent[dataset.name]

    def lenders(dataset: Dataset) -> dict[str, Dataset]:
        return {name: lender(other) for name, other in dataset.lenders().items()}

    return {
        name: dataset.seen(*_rows(dataset, restriction), _shows(dataset, hidden, restriction), lenders(dataset))
        for name, dataset in catalogue.datasets.items()
    }


def _rows(dataset: Dataset, restriction: Restriction) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], str]:
    """The filters of a dataset, or why none of its rows are seen."""
    for item in restriction.rows:
        if item.why:
            return (), item.why
        if item.dimension not in dataset.dimensions:
            return (), f"dataset {dataset.name} has no dimension '{item.dimension}', by which your rows are chosen"
        if dataset.select and not _apart(dataset, item.dimension):
            return (), f"the SQL of dataset {dataset.name} counts over rows of other values of {item.dimension}"
    return tuple((item.dimension, item.values) for item in restriction.rows), ""


def _apart(dataset: Dataset, dimension: str) -> bool:
    """Whether rows of a dataset's SELECT are made of rows with one value of the dimension each, as far as is seen.

    What is counted over rows must be counted apart for each value: GROUP BY or PARTITION BY its column.
    """
    tree = sql.select(dataset.select, None)
    borrowed = dimension in dataset.borrowed()
    own = set() if borrowed else {c.casefold() for c in sql.columns(sql.expression(dataset.dimensions[dimension]))}

    def by(expressions: Iterable[exp.Expr]) -> bool:
        return bool(own) and own <= {c.casefold() for item in expressions for c in sql.columns(item)}

    for window in tree.find_all(exp.Window):
        if not by(window.args.get("partition_by") or ()):
            return False
    if tree.find(exp.Limit, exp.Fetch, exp.TableSample) or any(d.args.get("on") for d in tree.find_all(exp.Distinct)):
        return False
    adding = {id(found.find_ancestor(exp.Select, exp.Window)) for found in sql.aggregates(tree)}
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        every = group is not None and group.args.get("all")
        keys = select.expressions if every else group.expressions if group is not None else ()
        if (group is not None or id(select) in adding) and not by(keys):
            return False
    return True


def _hidden_columns(catalogue: Catalogue, restriction: Restriction) -> frozenset[str]:
    """Columns of a class that is not seen, in small letters: of one dataset's table another may read the same."""
    return frozenset(
        column.casefold()
        for dataset in catalogue.datasets.values()
        for column, kind in dataset.classes.items()
        if kind not in restriction.classes
    )


def _shows(dataset: Dataset, hidden: Collection[str], restriction: Restriction) -> set[str]:
    """Dimensions that show a hidden column, borrowed ones too; but not one's own value, by which rows are chosen."""
    borrowed, found = dataset.borrowed(), set[str]()
    for name, text in dataset.dimensions.items():
        if name in borrowed:
            shown = name in _shows(borrowed[name][1], hidden, restriction)
        else:
            shown = not {c.casefold() for c in sql.columns(sql.expression(text))}.isdisjoint(hidden)
        if shown:
            found.add(name)
    return found - {item.dimension for item in restriction.rows}


def _shown(kpi: KpiCommon, seen: Catalogue, restriction: Restriction) -> KpiCommon:
    """A KPI that shows no column of a class that is not seen; of few people, one that has its first dimension only."""
    hidden = _hidden_columns(seen, restriction)
    found = kpi.without_columns(hidden) if hidden else kpi
    if restriction.min_people:
        return found.model_copy(update={"dimensions": seen.dimensions_of(found)[:1]})
    return found


def _launches(
    launches: Iterable[Launch], kpis: Mapping[str, KpiCommon], withheld: Collection[str], restriction: Restriction
) -> tuple[Launch, ...]:
    return tuple(filter(None, (_launch(item, kpis, withheld, restriction) for item in launches)))


def _launch(
    launch: Launch, kpis: Mapping[str, KpiCommon], withheld: Collection[str], restriction: Restriction
) -> Launch | None:
    """A launch with the KPIs that are seen; None where it is of others only, or of an area that is not.

    What it is held against is a part of each verdict: who does not see that sees none.
    """
    named = (*launch.judged_by, *launch.kpis)
    controls = [text for text in launch.held_against if re.fullmatch(NAME, text)]
    other_area = bool(launch.area and restriction.areas and launch.area not in restriction.areas)
    unseen = [name for name in controls if name not in kpis or name in withheld]
    if other_area or unseen or (named and not any(name in kpis for name in named)):
        return None
    return launch.model_copy(
        update={
            "success": tuple(item for item in launch.success if item.kpi in kpis),
            "guardrails": tuple(item for item in launch.guardrails if item.kpi in kpis),
            "kpis": tuple(name for name in launch.kpis if name in kpis),
            "feedback": launch.feedback if launch.feedback in kpis else "",
        }
    )


def _snapshot(snapshot: Snapshot, kpis: Mapping[str, KpiCommon]) -> Snapshot:
    """A definition without KPIs that are not seen."""
    sections = tuple(
        section.model_copy(update={"kpis": tuple(item for item in section.kpis if item.kpi in kpis)})
        for section in snapshot.sections
    )
    return snapshot.model_copy(update={"sections": sections})


def unknown_names(catalogue: Catalogue, restriction: Restriction) -> list[tuple[str, str]]:
    """(what, name) that a restriction names and nobody knows: a filter that filters nothing is no filter."""
    areas = {kpi.area for kpi in catalogue.kpis.values()}
    names = {*catalogue.kpis, *catalogue.broken, *catalogue.formerly}
    dimensions = {name for dataset in catalogue.datasets.values() for name in dataset.dimensions}
    return [
        *(("KPI", name) for name in sorted((restriction.hidden | restriction.masked) - names)),
        *(("area", name) for name in sorted(restriction.areas - areas)),
        *(("dimension", item.dimension) for item in restriction.rows if item.dimension not in dimensions),
    ]
