"""What a well-formed launch can still get wrong: names of KPIs and datasets, filters."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from connectors.errors import Problem, did_you_mean
from connectors.warehouse.contract import Columns
from metrics.catalog import sql
from metrics.catalog.document import Document
from metrics.catalog.models.dataset import NAME, Dataset
from metrics.catalog.models.launch import Launch
from metrics.catalog.segments import Segments, segments

Place = tuple[str | int, ...]


def launch_problems(
    item: Launch,
    document: Document,
    kpis: Collection[str],
    datasets: Mapping[str, Dataset],
    renamed: Mapping[str, str],
    columns: Mapping[str, Columns | None],
) -> list[Problem]:
    """Every problem of one launch. kpis: names that are defined. renamed: former name → name of today.

    columns: of each dataset, where they are known.
    """
    named: list[tuple[Place, str]] = [(("kpis", i), k) for i, k in enumerate(item.kpis)]
    named += [(("success", i, "kpi"), s.kpi) for i, s in enumerate(item.success)]
    named += [(("guardrails", i, "kpi"), g.kpi) for i, g in enumerate(item.guardrails)]
    named += [((key,), name) for key, name in (("feedback", item.feedback),) if name]
    named += [(place, text) for place, text in _controls(item) if re.fullmatch(NAME, text)]
    found = [
        document.problem(place, "unknown_kpi", f"unknown KPI '{name}'", did_you_mean(name, sorted(kpis), renamed))
        for place, name in named
        if name not in kpis
    ]
    found += [*(_filters(item, document) or _touched(item, document)), *_adoption(item, document, datasets)]
    return found + _exposure(item, document, datasets, columns)


def _controls(item: Launch) -> list[tuple[Place, str]]:
    """Each control with its place in the file."""
    if not item.controls:
        return [(("control",), item.control)] if item.control else []
    return [(("controls", i), text) for i, text in enumerate(item.controls)]


def _touched(item: Launch, document: Document) -> list[Problem]:
    """Controls that the launch reaches: a control that moves with it takes its effect away."""
    treated = segments(item.audience) if item.audience else None
    found = []
    for place, text in _controls(item):
        if text in item.judged_by:
            problem = f"'{text}' is judged by this launch, so it is no control of it"
            found.append(document.problem(place, "touched_control", problem, "Name what the launch does not reach."))
            continue
        control = None if re.fullmatch(NAME, text) else segments(text)
        if control is None or treated is None or control.dimension != treated.dimension:
            continue
        both = _both(treated, control)
        if both:
            problem = f"the control `{text}` has {both} of the audience `{item.audience}`"
            hint = f"Write who never gets it, such as {control.dimension} NOT IN (…) with all of the audience."
            found.append(document.problem(place, "touched_control", problem, hint))
    return found


def _both(one: Segments, other: Segments) -> str:
    """Segments of both, in words; empty = none that are known of."""
    if one.others and other.others:
        return "segments that neither of them names"
    named, rest = (other, one) if one.others else (one, other)
    return ", ".join(value for value in named.values if (value in rest.values) != rest.others)


def _filters(item: Launch, document: Document) -> list[Problem]:
    given: list[tuple[Place, str, bool]] = [(("audience",), item.audience, False)]
    given += [(("rollout", i, "segment"), step.segment, True) for i, step in enumerate(item.rollout)]
    given += [(place, text, True) for place, text in _controls(item) if not re.fullmatch(NAME, text)]
    found = []
    for place, text, one_dimension in given:
        if not text:
            continue
        try:
            if segments(text) is None and one_dimension:
                hint = "Write it as platform = 'web', country IN ('DE', 'FR') or plan != 'free'."
                found.append(document.problem(place, "sql", f"`{text}` does not name segments of one dimension", hint))
        except sql.SqlProblem as problem:
            found.append(document.problem(place, "sql", str(problem), problem.hint))
    return found


def _whose(
    key: str, name: str, document: Document, datasets: Mapping[str, Dataset], hint: str, *, stated: str = ""
) -> list[Problem]:
    """What is wrong with the dataset under a key: it must be there and say whose its rows are."""
    if name not in datasets:
        near = did_you_mean(name, sorted(datasets))
        return [document.problem((key, "dataset"), "unknown_dataset", f"unknown dataset '{name}'", near)]
    if not (stated or datasets[name].entity):
        return [document.problem((key, "dataset"), "no_entity", f"dataset '{name}' has no entity", hint)]
    return []


def _adoption(item: Launch, document: Document, datasets: Mapping[str, Dataset]) -> list[Problem]:
    if item.adoption is None:
        return []
    wrong = _whose("adoption", item.adoption.dataset, document, datasets, "Write its `entity:`: who uses it.")
    if wrong:
        return wrong
    try:
        tree = sql.expression(item.adoption.used)
    except sql.SqlProblem as problem:
        return [document.problem(("adoption", "used"), "sql", str(problem), problem.hint)]
    if sql.has_aggregate(tree):
        return [document.problem(("adoption", "used"), "sql", "a condition on rows has no aggregate")]
    return []


def _exposure(
    item: Launch, document: Document, datasets: Mapping[str, Dataset], columns: Mapping[str, Columns | None]
) -> list[Problem]:
    """Its dataset, its columns and whether anybody can be told from others. Which variants there are, only rows say."""
    if item.exposure is None:
        return []
    name = item.exposure.dataset
    hint = "Write its `entity:`, or `entity:` here: who was exposed."
    wrong = _whose("exposure", name, document, datasets, hint, stated=item.exposure.entity)
    if wrong:
        return wrong
    known = columns.get(name)
    if known is None:
        return []
    found = []
    for key in ("variant", "entity", "at"):
        column = getattr(item.exposure, key)
        if column and column not in known:
            hint = did_you_mean(column, list(known))
            text = f"dataset {name} has no column '{column}'"
            found.append(document.problem(("exposure", key), "unknown_column", text, hint))
    kind = known.get(item.exposure.at, "")
    if item.exposure.at and kind and not kind.startswith(("TIMESTAMP", "DATE")):
        text, hint = f"'{item.exposure.at}' is {kind}, so it is no time", "State its type in the source's `types`."
        found.append(document.problem(("exposure", "at"), "not_a_time", text, hint))
    return found
