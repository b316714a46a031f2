"""ratio: sum of parts / sum of parts; each part a KPI's name or an inline measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import model_validator

from connectors.errors import Problem
from metrics.catalog.checks import fields
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import KpiCommon, Longer, Measure, Part


class Ratio(KpiCommon):
    """Sum of parts / sum of parts; each part a KPI's name or an inline measure."""

    type: Literal["ratio"]
    numerator: Part
    denominator: Part

    @model_validator(mode="after")
    def _datasets(self) -> Ratio:
        for key in ("numerator", "denominator"):
            part = getattr(self, key)
            if isinstance(part, Measure) and not (part.dataset or self.dataset):
                raise ValueError(f"`{key}` needs a dataset\nWrite `dataset:` in the KPI or in the part.")
        return self

    @property
    def parts(self) -> dict[str, Part]:
        """numerator and denominator."""
        return {"numerator": self._placed(self.numerator), "denominator": self._placed(self.denominator)}

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """Two sums, or two levels, are a rate of any period."""
        scales = {part.longer if isinstance(part, Measure) else kpis[part].longer(kpis) for part in self.parts.values()}
        return "level" if scales in ({"sum"}, {"level"}) else "other"

    def people_measures(self, kpis: Mapping[str, KpiCommon]) -> tuple[Measure, ...] | str:
        """Those of both parts: the numerator's people are a group, too, which value and denominator would tell."""
        found = list[Measure]()
        for part in self.parts.values():
            own = (part,) if isinstance(part, Measure) else kpis[part].people_measures(kpis)
            if isinstance(own, str) or not own:
                return own or f"nobody knows how many people are behind its part {part}"
            found += own
        return tuple(found)

    @property
    def has_each_day(self) -> bool:
        """As its parts do."""
        return True

    @property
    def is_share(self) -> bool:
        """Where it is shown in percent."""
        return self.is_rate

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Those of its inline measures."""
        return fields.parts(self, document, known)
