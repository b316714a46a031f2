"""What stands behind a KPI's chart: values, alerts, definition, lineage. Each is made when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import streamlit as st

from metrics.alerts.board import AlertItem
from metrics.alerts.rule_chart import Overlay
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine.query import Filter
from metrics.kpi_views.kpi_page import KpiPage
from metrics.kpi_views.origin import Origin
from ui.alerts.incident import COLORS, alert_card
from ui.audit.download import recorded
from ui.kpi.origin import show_origin
from ui.kpi.rule import rule_controls
from ui.shell import state
from ui.shell.templates import line, render

VALUES, ALERTS, DEFINITION, ORIGIN = "Values", "Alerts", "Definition", "Where this comes from"


def fires(items: Sequence[AlertItem], name: str) -> None:
    """Open incidents, a line each; what can be done about them is in the drawer."""
    if items:
        told = [(COLORS[item.severity], item, _words(item), _address(item, name)) for item in items]
        render("kpi/chips", items=told)


def drawers(
    kpi: KpiCommon,
    found: KpiPage,
    where: tuple[Filter, ...],
    shown: Overlay | None,
    *,
    items: Sequence[AlertItem],
    origin: Callable[[], Origin],
) -> None:
    """shown: the rule that is drawn. A link to a rule opens its drawer."""
    asked = ALERTS if {"rule", "limit"} & {*st.query_params} else VALUES
    values, alerts, definition, lineage = st.tabs(
        [VALUES, ALERTS, DEFINITION, ORIGIN], default=asked, key="drawers", on_change="rerun"
    )
    with values:
        if values.open:
            _table(found, kpi.name)
    with alerts:
        if alerts.open:
            for item in items:
                alert_card(item, link=False)
            rule_controls(kpi, where, shown)
    with definition:
        if definition.open:
            _definition(kpi, state.catalogue())
    with lineage:
        if lineage.open:
            show_origin(origin())


def _words(item: AlertItem) -> str:
    parts = (item.segment, item.value, f"expected {item.expected}" if item.expected else "")
    return ", ".join(filter(None, (*parts, f"since {item.since}" if item.since else "")))


def _address(item: AlertItem, name: str) -> str:
    return f"kpi?{urlencode({**dict(item.view), 'kpi': name})}"


def _table(found: KpiPage, name: str) -> None:
    words = {"Period", "Complete", (found.series.by or "").replace("_", " ").capitalize()}
    right = st.column_config.TextColumn(alignment="right")
    numbers = {str(column): right for column in found.table.columns if column not in words}
    st.dataframe(found.table, hide_index=True, height=280, key="values", column_config=numbers)
    if state.may("export"):
        st.download_button(
            "Download CSV",
            recorded(f"kpi:{name}", "csv", lambda: found.csv),
            f"{name}_{found.series.grain}.csv",
            "text/csv",
            key="csv",
            on_click="ignore",
        )


def _definition(kpi: KpiCommon, catalogue: Catalogue) -> None:
    """Its file as it is published, to read and to copy."""
    document = catalogue.documents[f"kpi:{kpi.name}"]
    line(f"{document.file}, version {catalogue.definition(kpi.name)}")
    if state.project().sees_all:  # else it may name what the role does not see
        st.code(document.text, language="yaml")
