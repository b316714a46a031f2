"""A proposal as values: a dataset and KPIs, and the files that they are written to."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.warehouse.names import text as literal
from jobs.authoring.names import column, flow, slug, text

NUMBER, MONEY, MEAN, SHARE = "#,##0", "#,##0.00", "#,##0.00", "percent"
PARTS = ("numerator", "denominator")  # keys that may name another KPI


@dataclass(frozen=True)
class Kpi:
    """One proposed KPI. keys: what its file says besides names, in order; used: columns that it reads."""

    name: str
    label: str
    description: str
    keys: Mapping[str, Any]
    format: str = NUMBER
    direction: str = "up_is_good"
    used: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetPlan:
    """A proposed dataset. naive: its times have no zone; sql: a SELECT in place of the table."""

    name: str
    source: str
    time: str
    naive: bool = False
    entity: str = ""
    key: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    sql: str = ""
    why: str = ""

    def text(self) -> str:
        """Its file."""
        lines = [f"# {self.why}"] if self.why else []
        lines += [f"name: {self.name}"]
        indented = "\n".join(f"  {line}" for line in self.sql.splitlines())
        lines += [f"sql: |\n{indented}"] if self.sql else [f"source: {self.source}"]
        lines += [f"primary_key: {text(self.key)}"] if self.key else []
        lines += [f"time_dimension: {text(self.time)}        # when a row happened"]
        lines += ["timezone: UTC            # of timestamps without a zone"] if self.naive else []
        lines += [f"entity: {text(self.entity)}        # who is counted"] if self.entity else []
        if self.dimensions:
            lines += ["dimensions:              # what KPIs can be broken down by and filtered on"]
            lines += [f"  {name}: {text(sql)}" for name, sql in self.dimensions.items()]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Proposal:
    """datasets: the first is the source's own. cautions: what to look at before a number is believed, in sentences.

    missing: what users of the export expect and its columns do not tell.
    """

    datasets: tuple[DatasetPlan, ...]
    kpis: tuple[Kpi, ...]
    grain: str
    export: str = ""
    cautions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def files(self) -> dict[str, str]:
        """File → text of datasets and KPIs."""
        files = {f"datasets/{d.name}.yml": d.text() for d in self.datasets}
        return {**files, **{f"kpis/{kpi.name}.yml": _kpi_text(kpi, self.grain) for kpi in self.kpis}}

    def apart_from(self, taken: Collection[str]) -> Proposal:
        """The same where these KPI names are taken: what is called alike gets the source's name before its own."""
        source = self.datasets[0].name
        new = {k.name: f"{source}_{k.name}" if k.name in taken else k.name for k in self.kpis}

        def renamed(kpi: Kpi) -> Kpi:
            named = {key: new.get(v, v) if key in PARTS and isinstance(v, str) else v for key, v in kpi.keys.items()}
            shown = kpi.label if new[kpi.name] == kpi.name else f"{kpi.label} ({source.replace('_', ' ')})"
            return replace(kpi, name=new[kpi.name], label=shown, keys=named)

        return replace(self, kpis=tuple(renamed(kpi) for kpi in self.kpis))


def _kpi_text(kpi: Kpi, grain: str) -> str:
    keys = {"grain": grain, **kpi.keys}
    simple = "type" not in keys
    lines = [f"name: {kpi.name}", f"label: {text(kpi.label)}", f"description: {text(kpi.description)}"]
    lines += [f"{key}: {_value(v)}" for key, v in kpi.keys.items() if key != "grain"]
    lines += ["# filter: status = 'paid'           # only rows that meet this condition"] * (
        simple and "filter" not in keys
    )
    lines += [f"grain: {keys['grain']}", f"format: {text(kpi.format)}", f"direction: {kpi.direction}"]
    lines += ['# thresholds: {warning: "< 100", critical: "< 80"}   # at risk, off track']
    return "\n".join([*lines, "# targets: [{value: 120}]", "owner: you@example.com"]) + "\n"


def _value(value: Any) -> str:
    return text(value) if isinstance(value, str) else flow(value)


def measure(agg: str, expr: str = "", condition: str = "") -> dict[str, str]:
    """An aggregate, as a KPI's own keys or as a part of a ratio."""
    return {"agg": agg} | ({"expr": expr} if expr else {}) | ({"filter": condition} if condition else {})


def one_of(sql: str, values: Collection[str]) -> str:
    """A condition: the column holds one of these texts."""
    listed = ", ".join(literal(v) for v in values)
    return f"{sql} = {listed}" if len(values) == 1 else f"{sql} IN ({listed})"


def dimension_names(columns: Mapping[str, str]) -> dict[str, str]:
    """Column → SQL, as dimensions with names of their own."""
    named: dict[str, str] = {}
    for name, sql in columns.items():
        plain = slug(name)
        while plain in named:
            number = re.search(r"_(\d+)$", plain)
            plain = f"{plain[: number.start()]}_{int(number[1]) + 1}" if number else f"{plain}_2"
        named[plain] = sql or column(name)
    return named
