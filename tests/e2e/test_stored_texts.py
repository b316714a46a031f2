"""Whatever is kept as a text, in definitions, data and what people wrote, is shown on every page and never run.

The list of texts is that of the models: one that is added fails until it is told apart here.
"""

from __future__ import annotations

import json
import typing
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel

from connectors.settings import Settings
from jobs.access.tokens import create
from jobs.alerts import incidents
from jobs.launches.registry import add, as_text
from jobs.launches.scorecards import decide
from jobs.snapshots.archived import document_of, write_note
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.snapshot import Snapshot
from tests.conftest import NOW, Builder, Server
from tests.e2e.conftest import Open, settled

MODELS: dict[str, type[BaseModel]] = {
    "launch": Launch,
    "snapshot": Snapshot,
    "dataset": Dataset,
    "kpi": KpiCommon,
    "settings": Settings,
}
# Free texts, which `hostile` fills with ATTACK.
SAID = {
    "launch": "area go_to_market.audience go_to_market.channel go_to_market.message hypothesis label links meta owner",
    "snapshot": "owner sections.kpis.where sections.title title",
    "dataset": "description label meta owner",
    "kpi": "area changes.by changes.why description label meta owner synonyms tags",
    "settings": "editors name",
}
# Names, filters, columns, amounts, addresses and secrets: what is not one of few forms is refused.
NAMED = {
    "launch": "adoption.dataset adoption.used audience control controls exposure.at exposure.control exposure.dataset "
    "exposure.entity exposure.split exposure.variant feedback guardrails.kpi guardrails.limit guardrails.margin kpis "
    "name origin.id origin.of origin.source rollout.segment success.expect success.kpi",
    "snapshot": "name recipients role schedule.send sections.area sections.kpis.kpi",
    "dataset": "classes dimensions entity identity join.by join.dataset join.dimensions name primary_key source sql "
    "time_dimension timezone",
    "kpi": "alerts.by alerts.name alerts.notify alerts.of alerts.since alerts.thresholds.critical.text "
    "alerts.thresholds.critical_recovery.text alerts.thresholds.since alerts.thresholds.warning.text "
    "alerts.thresholds.warning_recovery.text dataset dimensions drivers format formerly holidays name targets.path "
    "targets.since thresholds.critical.text thresholds.critical_recovery.text thresholds.since "
    "thresholds.warning.text thresholds.warning_recovery.text transforms type",
    "settings": "contact_points.name contact_points.role contact_points.url currency holidays lake "
    "lake_access.access_key lake_access.endpoint lake_access.region lake_access.secret_key memory_limit operators "
    "query_bytes query_memory roles.areas roles.hidden_kpis roles.masked_kpis roles.members roles.name roles.pages "
    "roles.row_filters share_from sign_in_claim sign_in_domains sign_in_groups sign_in_proxy.addresses "
    "sign_in_proxy.groups sign_in_proxy.user state sync_every timezone url warehouse outbound_hosts "
    "webhooks.name webhooks.role webhooks.secret webhooks.url",
}
ATTACK = (
    "<img src=x onerror=window.hit=1><script>window.hit=1</script></style><svg onload=window.hit=1> "
    "[x](javascript:window.hit=1) ![x](http://evil.example/x.png) $\\href{javascript:window.hit=1}{x}$"
)
SAYS = json.dumps(ATTACK)
RUNS = "img[src=x],svg[onload],[onerror],[onload],a[href^='javascript:'],img[src*='evil.example']"


def texts(model: type[BaseModel]) -> set[str]:
    """Places of texts in a model."""

    def of(kind: Any, at: str, within: tuple[Any, ...]) -> set[str]:
        if kind is str:
            return {at}
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = () if kind in within else kind.model_fields.items()
            inner = [of(f.annotation, f"{at}.{f.alias or name}".strip("."), (*within, kind)) for name, f in fields]
            return set().union(*inner)
        return set().union(*[of(part, at, within) for part in typing.get_args(kind) if part is not type(None)])

    return of(model, "", ())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_text_of_a_definition_is_told_apart(name: str) -> None:
    said, named = SAID[name].split(), NAMED[name].split()
    assert texts(MODELS[name]) == {*said, *named} and len({*said, *named}) == len(said) + len(named)


def hostile(project: Builder) -> None:
    """A project, and a store of what people wrote, in which every text is ATTACK."""
    at = pd.date_range("2026-10-01", "2026-11-22", freq="D")
    rows = [
        {"at": day, "id": n, "name": (n and ATTACK) or "plain", "score": 9, "said": ATTACK}
        for day in at
        for n in (0, 1)
    ]
    texts_ = "".join(f"{key}: {SAYS}\n" for key in ("label", "description", "owner"))
    project.rows("t", pd.DataFrame(rows), entity="id", dimensions="[name]")
    with (project.folder / "datasets" / "t.yml").open("a") as file:
        file.write(f"{texts_}meta: {{a: {SAYS}}}\n")
    more = f"{texts_}area: {SAYS}\ntags: [{SAYS}]\nsynonyms: [{SAYS}]\nmeta: {{a: {SAYS}}}\n"
    changed = f"changes: [{{on: 2026-11-05, why: {SAYS}, by: {SAYS}}}]\n"
    alert = 'alerts: [{name: low, thresholds: {critical: "> 0"}, by: [name]}]\nthresholds: {critical: "> 0"}'
    project.kpi("orders", f"dataset: t\nagg: count\n{more}{changed}{alert}")
    project.kpi("voice", f"type: survey\ndataset: t\nscore: score\ncomment: said\n{more}")
    launch = {
        "name": "l", "on": "2026-11-02", "success": [{"kpi": "orders"}], "label": ATTACK[:200], "hypothesis": ATTACK,
        "owner": ATTACK, "links": {ATTACK: "javascript:window.hit=1", "b": f"https://x.example/{ATTACK}"},
        "go_to_market": [{"audience": ATTACK, "message": ATTACK, "channel": ATTACK}], "meta": {"a": ATTACK},
        "area": ATTACK,
    }  # fmt: skip
    project.write("launches", "l", as_text(launch))
    (project.folder / "snapshots").mkdir()
    section = f"{{title: {SAYS}, kpis: [orders, {{kpi: orders, where: {{name: {SAYS}}}}}]}}"
    weekly = f"name: weekly\ntitle: {SAYS}\nowner: {SAYS}\nschedule: {{wait: 0d}}\nsections: [{section}]\n"
    project.write("snapshots", "weekly", weekly)
    project.settings(f"name: {SAYS}\ntimezone: UTC\neditors: [everybody, {SAYS}]\n")
    result = project.sync()
    assert not result.failed and not [p for p in result.problems if p.level == "error"], result.problems
    opened = project.open()
    add(opened, as_text({**launch, "name": "made"}), by=ATTACK, now=NOW)
    decide(opened, "made", "keep", ATTACK, by=ATTACK, now=NOW)
    write_note(opened, document_of(opened, "weekly"), ATTACK, by=ATTACK, now=NOW)
    for incident in incidents.read_state(opened, now=NOW).open[:1]:
        incidents.acknowledge(opened, incident.id, by=ATTACK, now=NOW)
    incidents.silence(opened, "orders.low", NOW + timedelta(days=1), by=ATTACK, now=NOW, segment="plain")
    create(opened.state, "a", ["read"], timedelta(days=1), by=ATTACK, now=NOW)


PAGES = (
    *("", "kpis", "kpi?kpi=orders", "kpi?kpi=orders&by=name", "kpi?kpi=voice", "launches", "launch?launch=l"),
    *("launch?launch=made", "alerts", "snapshots", "data", "account", "audit"),
    *(f"kpi?kpi={'<img src=x onerror=window.hit=1>'}", "kpis?search=<svg onload=window.hit=1>"),
)


@pytest.mark.slow
def test_every_kept_text_is_shown_not_run(visit: Open, project: Builder) -> None:
    hostile(project)
    server = Server(project.folder)
    try:
        shown = 0
        for path in PAGES:
            page = visit(path, base=server.url)
            settled(page)
            for box in page.locator("[data-testid=stExpander] summary").all():
                box.click()
            settled(page)
            assert page.evaluate("window.hit") is None and page.locator(RUNS).count() == 0, path
            shown += "onerror=window.hit=1" in page.inner_text("body")
        assert shown >= 8, "they are on the pages"
    finally:
        server.stop()
