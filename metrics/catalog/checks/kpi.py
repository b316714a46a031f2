"""What a well-formed KPI can still get wrong: names, grains, transforms, references, features that come later.

What a type alone can get wrong is said in its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from connectors.errors import Problem, did_you_mean
from metrics.catalog.checks.alerts import alerts
from metrics.catalog.checks.fields import Known, dataset_name, expression
from metrics.catalog.checks.targets import beginnings, targets
from metrics.catalog.document import STAND_IN, Document
from metrics.catalog.former_names import former_names
from metrics.catalog.models.kpi import KpiCommon, Place
from metrics.catalog.models.values import GRAINS
from metrics.catalog.sql import SqlProblem

LATER = {"drivers": "drivers"}  # keys that are parsed and kept, but do nothing in this version


def kpi(item: KpiCommon, document: Document, known: Known) -> list[Problem]:
    """Every problem of one KPI but those of the KPIs it refers to."""
    found = dataset_name(document, ("dataset",), item.dataset, known)
    found += [] if found else item.problems(document, known)
    found += _dimensions(document, item, known)
    found += _grains(document, item, known)
    found += _transforms(document, item, known)
    found += targets(item, document) + beginnings(item, document, known)
    found += alerts(item, document, known.datasets)
    return found + _not_used_yet(document, item)


def names(item: KpiCommon, document: Document, known: Known) -> list[Problem]:
    """Names that do not exist in a KPI of whose file only half could be read."""
    columns = known.columns.get(item.dataset)
    checks: list[Callable[[], list[Problem]]] = [
        lambda: dataset_name(document, ("dataset",), item.dataset, known),
        lambda: item.problems(document, known),
        lambda: _dimensions(document, item, known),
        lambda: _transforms(document, item, known),
        lambda: beginnings(item, document, known),
        lambda: alerts(item, document, known.datasets),
        *(lambda f=text: expression(document, ("filter",), f, columns) for text in item.row_filters.values() if text),
    ]
    found: list[Problem] = []
    for check in checks:
        try:
            found += check()
        except (KeyError, ValueError, SqlProblem):  # half a definition: what it cannot say is told with its keys
            continue
    return only_names(found)


def only_names(found: Iterable[Problem]) -> list[Problem]:
    """Those that say that a name does not exist, and are not of a stand-in."""
    return [p for p in found if p.code.startswith("unknown_") and p.code != "unknown_key" and STAND_IN not in p.message]


def _not_used_yet(document: Document, item: KpiCommon) -> list[Problem]:
    return [
        document.problem(
            (key,),
            "not_used_yet",
            f"`{key}` is not used yet: this version has no {what}",
            "It is checked and stored.",
            "warning",
        )
        for key, what in LATER.items()
        if getattr(item, key)
    ]


def reference(
    name: str,
    target: str,
    kpis: Mapping[str, KpiCommon],
    broken: Mapping[str, Sequence[Problem]],
    document: Document,
    place: Place,
) -> Problem | None:
    """What is wrong with KPI `name` referring to KPI `target`; None if nothing."""
    if target in broken:
        text = f"KPI '{target}' has an invalid definition"
        return document.problem(place, "broken_reference", text, f"Fix kpis/{target}.yml first.")
    if target not in kpis:
        parts = name in kpis and bool(kpis[name].parts)
        fitting = sorted(other for other in kpis if other != name and (kpis[other].is_part or not parts))
        hint = did_you_mean(target, fitting, former_names(kpis))
        return document.problem(place, "unknown_kpi", f"unknown KPI '{target}'", hint)
    if name not in kpis:  # only half of it could be read
        return None
    seen, todo = set(), [target]
    while todo:
        current = todo.pop()
        if current == name:
            return document.problem(place, "circular", f"'{name}' refers to itself through '{target}'")
        if current in kpis and current not in seen:
            seen.add(current)
            todo += [found for _, found in kpis[current].references]
    if kpis[name].parts and not kpis[target].is_part:
        text = f"'{target}' is {kpis[target].type}; a {kpis[name].type}'s part is a simple KPI or an inline measure"
        return document.problem(place, "wrong_part", text, "Use `type: derived` to divide other KPIs.")
    return None


def _sums(name: str, options: Mapping[str, object]) -> bool:
    return name == "cumulative" or (name == "rolling" and options.get("agg") == "sum")


def _base(item: KpiCommon) -> str:
    """The dataset whose rows have a KPI's periods and dimensions."""
    return next((condition.dataset for condition in item.conditions.values()), item.dataset)


def _dimensions(document: Document, item: KpiCommon, known: Known) -> list[Problem]:
    base = _base(item)
    if not item.dimensions or base not in known.datasets:
        return []
    have = item.own_dimensions(known.datasets[base])
    return [
        document.problem(("dimensions", i), "unknown_dimension", f"unknown dimension '{d}'", did_you_mean(d, have))
        for i, d in enumerate(item.dimensions)
        if d not in have
    ]


def _grains(document: Document, item: KpiCommon, known: Known) -> list[Problem]:
    found = []
    finest = min([item.grain, *item.grains], key=GRAINS.index)
    if item.trailing_window and finest == "hour":
        text = "a windowed KPI has no hour grain: its window is whole days"
        found.append(document.problem(("grains",), "grain", text, "Offer day and coarser."))
    columns = known.columns.get(_base(item))
    data = known.datasets.get(_base(item))
    if columns and data and columns.get(data.time_dimension) == "DATE" and finest == "hour":
        text = f"'{data.time_dimension}' is a DATE, so the finest grain is day"
        found.append(document.problem(("grains",) if item.grains else ("grain",), "grain", text))
    return found


def _transforms(document: Document, item: KpiCommon, known: Known) -> list[Problem]:
    found = []
    for index, step in enumerate(item.transforms):
        for name, options in step.items():
            place = ("transforms", index, name)
            if name not in known.transforms:
                hint = did_you_mean(name, sorted(known.transforms))
                found.append(document.problem(place, "unknown_transform", f"unknown transform '{name}'", hint))
            elif _sums(name, options) and item.additivity != "additive":
                text = f"{name} adds up values of single {item.grain}s, but those of '{item.name}' do not add up"
                hint = "Write `window:` in a simple KPI, or `type: cumulative`: both recount over the longer span."
                found.append(document.problem(place, "adds_up", text, hint))
            else:
                for message, hint in known.transforms[name].option_problems(options):
                    found.append(document.problem(place, "transform_option", f"{name}: {message}", hint))
    return found
