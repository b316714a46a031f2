"""Columns of an engine's tables and of datasets' SELECTs, kept with each generation: no page asks the engine."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.warehouse.contract import OF_AN_ENGINE, Columns

KEPT = OF_AN_ENGINE  # its name among the texts of a generation, beside kpi:… and dataset:…
SECRETS = re.compile(r"(?<=://)[^/@]*@|\b(?:token|password|user|username)=[^;&]*")


@dataclass(frozen=True)
class Shapes:
    """As the last sync found them. selects: a SELECT as definitions write it → its columns.

    engine: whose they are, by `place`.
    """

    tables: Mapping[str, Columns]
    selects: Mapping[str, Columns] = field(default_factory=dict)
    engine: str = ""

    def text(self) -> str:
        """As it is kept."""
        return json.dumps({"tables": self.tables, "selects": self.selects, "engine": self.engine})


def place(url: str) -> str:
    """The same for the same tables, whoever reads them: a digest of a URL without what it says of its user."""
    plain = SECRETS.sub("", url)
    return hashlib.sha256(plain.encode()).hexdigest()[:12]


def kept(files: Mapping[str, str]) -> Shapes | None:
    """Those among the texts of a generation; None where it was not made of an engine's rows."""
    if KEPT not in files:
        return None
    found = json.loads(files[KEPT])
    return Shapes(found["tables"], found["selects"], found.get("engine", ""))
