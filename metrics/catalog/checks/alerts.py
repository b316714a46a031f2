"""What a well-formed alert rule can still get wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.errors import Problem, did_you_mean
from metrics.catalog.document import Document
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import Alert, KpiCommon, Measure

WAYS = {"<": "down", "<=": "down", ">": "up", ">=": "up"}


def alerts(item: KpiCommon, document: Document, datasets: Mapping[str, Dataset]) -> list[Problem]:
    """Every problem of a KPI's rules, and of the country whose holidays it keeps."""
    found: list[Problem] = []
    dimensions = _dimensions(item, datasets)
    companions = [str(options["as"]) for step in item.transforms for options in step.values() if "as" in options]
    seen: set[str] = set()
    for index, alert in enumerate(item.alerts):
        place = ("alerts", index)
        if alert.name in seen:
            found.append(document.problem((*place, "name"), "twice", f"rule '{alert.name}' is defined twice"))
        seen.add(alert.name)
        for i, name in enumerate(alert.by):
            if dimensions is not None and name not in dimensions:
                hint = did_you_mean(name, sorted(dimensions))
                found.append(
                    document.problem((*place, "by", i), "unknown_dimension", f"unknown dimension '{name}'", hint)
                )
        if alert.of and alert.of not in companions:
            text = f"`of: {alert.of}` is no companion series of this KPI"
            hint = did_you_mean(alert.of, companions) if companions else "A transform with `as:` makes one."
            found.append(document.problem((*place, "of"), "unknown_companion", text, hint))
        found += _thresholds(item, alert, document, place)
    if item.holidays and not _known_country(item.holidays):
        text = f"no holiday calendar for '{item.holidays}'"
        found.append(document.problem(("holidays",), "unknown_country", text, "Write a country code such as DE or US."))
    return found


def _thresholds(item: KpiCommon, alert: Alert, document: Document, place: tuple[str | int, ...]) -> list[Problem]:
    at = (*place, "thresholds")
    if alert.compare == "expected_range":
        if alert.thresholds is None:
            return []
        text = "an expected range finds its limits by itself"
        return [document.problem(at, "not_used", text, "Set `sensitivity`; thresholds are ignored here.", "warning")]
    stated = alert.thresholds or (item.thresholds if alert.compare == "value" else None)
    if stated is None or not (stated.warning or stated.critical):
        if alert.compare == "target" and alert.thresholds is None:
            return []
        text = f"rule '{alert.name}' has no threshold"
        hint = (
            'Write `thresholds: {critical: "< -10%"}`.'
            if alert.compare != "value"
            else 'Write `thresholds: {critical: "< 9500"}`, here or for the KPI.'
        )
        return [document.problem(place, "missing_key", text, hint)]
    if alert.thresholds is None:
        return []
    found = []
    for key in ("warning", "critical", "warning_recovery", "critical_recovery"):
        limit = getattr(stated, key)
        if limit is not None and limit.of_target and alert.compare != "value":
            hint = 'Write "< -5%" with `compare: target`, or "< -5% of target" with `compare: value`.'
            found.append(document.problem((*at, key), "not_allowed", "'of target' goes with `compare: value`", hint))
    for key in ("warning", "critical"):
        limit, back = getattr(stated, key), getattr(stated, f"{key}_recovery")
        if limit is not None and back is not None and WAYS[limit.operator] == WAYS[back.operator]:
            text = f"'{back.text}' recovers in the direction in which '{limit.text}' fires"
            hint = 'Write the good side: critical "< -10%", critical_recovery "> -7%".'
            found.append(document.problem((*at, f"{key}_recovery"), "not_allowed", text, hint))
    return found


def _dimensions(item: KpiCommon, datasets: Mapping[str, Dataset]) -> Sequence[str] | None:
    """What a rule can be told by; None where only the whole catalogue knows."""
    if item.dimensions is not None:
        return item.dimensions
    names = [condition.dataset for condition in item.conditions.values()][:1]
    names = names or [part.dataset for part in item.parts.values() if isinstance(part, Measure)]
    names = names or ([item.dataset] if item.dataset else [])
    whole_catalogue = not names or any(isinstance(part, str) for part in item.parts.values())
    if whole_catalogue or any(name not in datasets for name in names):
        return None
    return [d for d in datasets[names[0]].dimensions if all(d in datasets[name].dimensions for name in names)]


def _known_country(code: str) -> bool:
    from metrics.catalog.holidays import known_country  # loads a library that most files do not need

    return known_country(code)
