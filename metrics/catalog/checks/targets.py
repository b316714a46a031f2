"""What well-formed targets and thresholds can still get wrong: their grain, their keys, two for one period."""

from __future__ import annotations

from connectors.errors import Problem, did_you_mean
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import Alert, KpiCommon, Place
from metrics.catalog.models.values import GRAINS, Since, Target, Thresholds, period_key
from metrics.catalog.targets import target_grain

LIKE = {
    "hour": "2026-11-23T14",
    "day": "2026-11-23",
    "week": "2026-W47",
    "month": "2026-11",
    "quarter": "2026-Q4",
    "year": "2026",
}


def targets(item: KpiCommon, document: Document) -> list[Problem]:
    """Every problem of a KPI's targets, and of thresholds and rules that are held against them."""
    found: list[Problem] = []
    seen: dict[tuple[str, Since | None], int] = {}
    for index, target in enumerate(item.targets):
        place, grain = ("targets", index), target.grain or item.grain
        found += _grain(item, target, document, place) or _keys(item, target, document, place)
        if (grain, target.since) in seen:
            hint = "Keep one, or state from when on each holds: `since: 2026-07-01`."
            found.append(document.problem(place, "twice", f"two targets by {grain} hold from the same day on", hint))
        seen[(grain, target.since)] = index
    if item.thresholds is not None:
        found += _against(item, item.thresholds, document, ("thresholds",))
    for index, alert in enumerate(item.alerts):
        found += _rule(item, alert, document, ("alerts", index))
    return found


def beginnings(item: KpiCommon, document: Document, known: Known) -> list[Problem]:
    """Launches that do not exist, named in `since`: a warning, since a launch may be written later, or be removed."""
    stated: list[tuple[Place, Since | None]] = [(("targets", i), t.since) for i, t in enumerate(item.targets)]
    stated += [(("alerts", i), a.since) for i, a in enumerate(item.alerts)]
    stated += [(("alerts", i, "thresholds"), a.thresholds.since) for i, a in enumerate(item.alerts) if a.thresholds]
    stated += [(("thresholds",), item.thresholds.since)] if item.thresholds else []
    missing = {since: place for place, since in stated if isinstance(since, str) and since not in known.launches}
    return [
        document.problem(
            (*place, "since"),
            "unknown_launch",
            f"unknown launch '{since}': nothing is judged until it is there",
            f"{did_you_mean(since, sorted(known.launches))} Or write a day: `since: 2026-07-01`.",
            "warning",
        )
        for since, place in missing.items()
    ]


def _grain(item: KpiCommon, target: Target, document: Document, place: Place) -> list[Problem]:
    offered = item.offered_grains
    grain = target.grain or item.grain
    if grain in offered or grain == item.to_date_grain:
        return []
    text = f"a target by {grain}, but '{item.name}' has no values by {grain}"
    hint = f"Offered: {', '.join(offered)}."
    if GRAINS.index(grain) > GRAINS.index(item.grain) and item.grains:
        hint += f" Or add {grain} to `grains`."
    return [document.problem((*place, "grain"), "grain", text, hint)]


def _keys(item: KpiCommon, target: Target, document: Document, place: Place) -> list[Problem]:
    grain = target.grain or item.grain
    found = []
    for key in target.path:
        given = period_key(key)[0]
        if given != grain:
            text = f"'{key}' is a {given}, but this target is by {grain}"
            hint = f"Write {grain}s, such as {LIKE[grain]}"
            other = given in item.offered_grains and target.grain is None
            hint += f"; or `grain: {given}`, if the numbers are those of {given}s." if other else "."
            found.append(document.problem((*place, "path", key), "grain", text, hint))
    return found


def _rule(item: KpiCommon, alert: Alert, document: Document, place: Place) -> list[Problem]:
    found: list[Problem] = []
    stated = alert.thresholds
    if stated is not None and stated.of_target and alert.compare != "value":
        return []  # told with the rule's other limits
    if stated is not None:
        found += _against(item, stated, document, (*place, "thresholds"))
        if alert.since and stated.since:
            text = "`since` is there twice: of the rule and of its thresholds"
            found.append(document.problem((*place, "thresholds", "since"), "twice", text, "Keep that of the rule."))
    used = stated or (item.thresholds if alert.compare == "value" else None)
    needs = alert.compare == "target" or (used is not None and used.of_target)
    if alert.compare == "target" and not item.targets:
        text = f"rule '{alert.name}' compares with a target, but none is stated"
        found.append(document.problem((*place, "compare"), "missing_key", text, "Write `targets: [{value: 100}]`."))
    if needs and alert.by and item.grows_with_people:
        text = f"rule '{alert.name}' holds each {alert.by[0]} against the target of all together"
        hint = "Leave out `by`, or compare with `previous_period` or `expected_range`."
        found.append(document.problem((*place, "by"), "not_allowed", text, hint))
    if needs and alert.of and target_grain(item) != item.grain:
        text = f"`of: {alert.of}` is by {item.grain}, the target by {target_grain(item)}"
        found.append(
            document.problem((*place, "of"), "grain", text, f"State a target by {item.grain}, or leave it out.")
        )
    return found


def _against(item: KpiCommon, limits: Thresholds, document: Document, place: Place) -> list[Problem]:
    """Limits that are shares of a target need one; limits of values and of targets of another grain do not mix."""
    stated = [(key, getattr(limits, key)) for key in ("warning", "critical", "warning_recovery", "critical_recovery")]
    shares = [key for key, limit in stated if limit is not None and limit.of_target]
    others = [key for key, limit in stated if limit is not None and not limit.of_target]
    if shares and not item.targets:
        text = f"'{getattr(limits, shares[0]).text}', but no target is stated"
        hint = 'Write `targets: [{value: 100}]`, or a limit such as "< 95".'
        return [document.problem((*place, shares[0]), "missing_key", text, hint)]
    grain = target_grain(item)
    if shares and others and grain != item.grain:
        text = f"`{shares[0]}` is of the target by {grain}, `{others[0]}` of values by {item.grain}"
        hint = f"Write all of them `of target`, or a rule of its own for one; or state a target by {item.grain}."
        return [document.problem((*place, others[0]), "grain", text, hint)]
    return []
