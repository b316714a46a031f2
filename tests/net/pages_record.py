"""What the pages show: the text of every element in order, for several addresses of each page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.net.product import NOW, PAGES, dashboard, open_project, set_clock
from tests.net.text import cut, html_lines, json_lines, settled, sha, shortened

CHOICES = ("selectbox", "multiselect", "button_group", "radio", "pills", "segmented_control")
WIDGETS = ("button", "download_button", "expander", "popover", "toggle", "checkbox", "text_input", "text_area",
           "date_input", "slider", "form", "tab")  # fmt: skip
SILENT = ("root", "main", "sidebar", "event", "flex_container", "column", "container", "horizontal", "vertical", "")
# Of the project of all types: one of each way to draw.
SHOWN = ("rows", "spent", "seen_7", "by_plan", "buy_share", "growth", "spent_to_date", "activation", "funnel", "week_1",
         "life", "sticky", "nps", "repeat", "moved")  # fmt: skip
Address = Mapping[str, str]


def record(patch: pytest.MonkeyPatch, name: str, folder: Path) -> dict[str, str]:
    """Page → what it shows at each address."""
    app, found = dashboard(patch, folder), {}
    for page, addresses in _addresses(name, folder).items():
        blocks = []
        for address in addresses:
            set_clock(NOW)
            for key in list(app.query_params):
                del app.query_params[key]
            for key, value in address.items():
                app.query_params[key] = value
            app.switch_page(str(Path("..") / PAGES.name / f"{page}.py")).run()
            asked = "&".join(f"{key}={value}" for key, value in address.items())
            lines = [line for element in app for line in _shown(element, folder)]
            blocks.append("\n".join([f"# /{page}?{asked}", *lines]))
        found[f"{page}.txt"] = "\n\n".join(blocks) + "\n"
    return found


def _addresses(name: str, folder: Path) -> dict[str, list[Address]]:
    """Every page, and what its address may say. A page that is new is there with its bare address."""
    catalogue = open_project(folder).catalogue()
    found: dict[str, list[Address]] = {path.stem: [{}] for path in sorted(PAGES.glob("*.py"))}
    kpis = [k for k in catalogue.kpis if name != "types" or k in SHOWN]
    found["kpi"] += [_kpi_address(i, k, catalogue.dimensions_of(catalogue.kpi(k))) for i, k in enumerate(kpis)]
    found["overview"] += [{"area": "Growth"}, {"segment": "platform:web"}]
    found["kpis"] += [{"search": "week"}, {"search": "nothing at all"}]
    found["launch"] = [{"launch": item.name} for item in catalogue.launches if item.kind == "launch"]
    weeks = ("2026-W46", "2026-W45")
    found["snapshots"] += [{"week": weeks[0]}, {"compare": weeks[1]}]
    if name == "demo":
        found["kpi"] += [{"kpi": "error_free_sessions", "rule": "crashes", "filter_platform": "android"},
                         {"kpi": "error_free_sessions", "grain": "hour", "range": "28d"},
                         {"kpi": "nps", "who": "detractors", "by": "platform", "range": "90d"}]  # fmt: skip
    if name == "shop":
        found["snapshots"] += [{"snapshot": "areas"}]
        found["kpi"] += [{"kpi": "typo"}, {"kpi": "orders", "grain": "hour"}]
    return found


def _kpi_address(number: int, kpi: str, dimensions: tuple[str, ...]) -> Address:
    """A KPI's page; comparison and breakdown go round with its number."""
    address = {"kpi": kpi}
    if number % 3 == 1:
        address["compare"] = ("previous_range", "same_period_last_year")[number % 2]
    if number % 3 == 2 and dimensions:
        address["by"] = dimensions[0]
    return address


def _shown(element: Any, folder: Path) -> list[str]:
    kind = str(element.type or "")
    if kind == "html":
        body = element.proto.body
        return [] if body.startswith("<style>") else html_lines(settled(body, folder))
    reader: Callable[[Any, Path], list[str]] | None = {
        "plotly_chart": _figure, "bidi_component": _component, "dataframe": _frame, "table": _frame,
    }.get(kind)  # fmt: skip
    if reader:
        return reader(element, folder)
    if kind in CHOICES:
        return [settled(_choice(element), folder)]
    if kind in SILENT:
        return []
    if kind.startswith("tab"):
        return [f"tab {element.label}"] if getattr(element, "label", "") else []
    if kind in WIDGETS:
        said = getattr(element.proto, kind, element.proto) if kind in ("popover", "expander", "form") else element.proto
        label = getattr(said, "label", "") or getattr(element, "label", "")
        value = (
            getattr(element, "value", "")
            if kind not in ("button", "download_button", "popover", "expander", "form")
            else ""
        )
        return [f"{kind} {label}{f' = {value}' if value not in ('', None) else ''}"]
    return [f"{kind} {line}" for line in shortened(settled(str(element.value), folder))]


def _choice(element: Any) -> str:
    options = [getattr(o, "content", o) for o in getattr(element.proto, "options", [])]
    return cut(f"{element.type} {element.proto.label} = {element.value} of {', '.join(map(str, options))}")


def _component(element: Any, folder: Path) -> list[str]:
    data = json.loads(settled(element.proto.json, folder)) if element.proto.json else {}
    return [
        f"component {element.proto.component_name} {sha(json.dumps(data))}",
        *(f"  {line}" for line in json_lines(data)),
    ]


def _frame(element: Any, folder: Path) -> list[str]:
    frame: pd.DataFrame = getattr(element.value, "data", element.value)
    text = settled(frame.to_csv(index=False), folder)
    return [f"{element.type} {frame.shape[0]} × {frame.shape[1]}", *(f"  {line}" for line in shortened(text, 6, 3))]


def _figure(element: Any, folder: Path) -> list[str]:
    """A chart by its traces: name, points, first and last, and a hash of what is drawn; then the words in it."""
    figure = json.loads(settled(element.proto.spec, folder))
    lines = [f"chart {getattr(element.proto, 'alt', '')}".rstrip()]
    for trace in figure["data"]:
        x, y, words = (_points(trace.get(key)) for key in ("x", "y", "text"))
        whole = sha(json.dumps([x, y, words, trace.get("hovertemplate")], ensure_ascii=False))
        ends = f"{x[0]} {y[0]} … {x[-1]} {y[-1]}" if x and y else ""
        lines.append(cut(f"  {trace['type']} {trace.get('name', '')}: {max(len(x), len(y))} points, {whole}, {ends}"))
    layout = figure.get("layout", {})
    texts = [str(note.get("text", "")) for note in layout.get("annotations", [])]
    return (
        lines + [cut(f"  says {text}") for text in texts if text] + [f"  layout {len(layout.get('shapes', []))} shapes"]
    )


def _points(values: Any) -> list[Any]:
    if isinstance(values, dict):  # Plotly's packed arrays
        values = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"]).tolist()
    found = values if isinstance(values, list) else [] if values is None else [values]
    # A band of a fit ends elsewhere, beyond these digits, in wider vector units of a processor.
    return [float(f"{item:.8g}") if isinstance(item, float) else item for item in found]
