"""A project that `kpi init` made of a file, for tests that look at what it proposed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from jobs.authoring.init import init
from jobs.sync import SyncResult
from tests.conftest import Builder


class Made(Builder):
    """A project made by `init` from a file; the builder's own files are not there."""

    def __init__(self, folder: Path, origin: Path) -> None:
        self.folder, self._opened, self._sources = folder, None, []
        self.said = "\n".join(init(folder, str(origin)))

    @property
    def kpis(self) -> dict[str, dict[str, Any]]:
        """Name → what its file says, in the order in which they were told."""
        told = [line.split()[0] for line in re.split(r"KPIs?:\n", self.said)[1].splitlines()[1:] if line[:1].islower()]
        return {name: self.read(f"kpis/{name}.yml") for name in told}

    @property
    def sums(self) -> set[str]:
        """Everything that is added up, whatever the type of the KPI."""
        parts = [p for k in self.kpis.values() for p in (k, k.get("numerator"), k.get("denominator"))]
        return {p["expr"] for p in parts if isinstance(p, dict) and p.get("agg") == "sum"}

    def read(self, file: str) -> Any:
        """A YAML file."""
        return YAML(typ="safe", pure=True).load((self.folder / file).read_text(encoding="utf-8"))


def errors(result: SyncResult) -> list[str]:
    """What a sync found to be wrong; warnings look at values, which tests make up."""
    return [str(problem) for problem in result.problems if problem.level == "error"]


def made_of(folder: Path, name: str, text: str) -> Made:
    """A project from a file with these contents."""
    (folder / name).write_text(text, encoding="utf-8")
    return Made(folder / "made", folder / name)
