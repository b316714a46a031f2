"""survey: NPS, CSAT or CES of answers, with how many were glad, in between and not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from connectors.errors import Problem
from metrics.catalog import sql
from metrics.catalog.checks import fields
from metrics.catalog.checks.fields import Known
from metrics.catalog.document import Document
from metrics.catalog.models.kpi import KpiCommon, Longer, Measure, given, with_format

ANSWERS = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}  # least and most of a scale
PARTS = ("promoters", "passives", "detractors")


class Survey(KpiCommon):
    """NPS, CSAT or CES of answers."""

    type: Literal["survey"]
    dataset: str
    score: str = Field(description="Column or expression that holds the answer.")
    scale: Literal["nps", "csat", "ces"] = "nps"
    comment: str = Field("", description="Column of what customers wrote.")
    filter: str = ""

    @model_validator(mode="before")
    @classmethod
    def _shown(cls, data: Any) -> Any:
        return with_format(data, {"csat": "percent", "ces": "0.0"}.get(str(given(data, "scale")), "0"))

    @property
    def changes_in_points(self) -> bool:
        """Scores change in points."""
        return self.delta != "relative"

    @property
    def row_filters(self) -> dict[str, str]:
        """Its own."""
        return {"": self.filter}

    def people_measures(self, kpis: Mapping[str, KpiCommon]) -> tuple[Measure, ...] | str:
        """Those who answered."""
        answered = f"({self.filter}) AND {self.row_needs}" if self.filter else self.row_needs
        return (Measure(dataset=self.dataset, agg="count", filter=answered),)

    def without_columns(self, hidden: Collection[str]) -> Survey:
        """Without what customers wrote, where that is one of these columns."""
        named = {column.casefold() for column in sql.columns(sql.expression(self.comment))} if self.comment else set()
        shows = not named.isdisjoint(hidden)
        return self.model_copy(update={"comment": ""}) if shows else self

    @property
    def row_needs(self) -> str:
        """An answer within the scale."""
        least, most = ANSWERS[self.scale]
        return f"({self.score}) BETWEEN {least} AND {most}"

    @property
    def part_names(self) -> tuple[str, ...]:
        """The three groups."""
        return PARTS

    def _longer(self, kpis: Mapping[str, KpiCommon]) -> Longer:
        """A score is one of any period."""
        return "level"

    @property
    def is_score(self) -> bool:
        """It is."""
        return True

    @property
    def has_each_day(self) -> bool:
        """Answers are counted by any period."""
        return True

    def problems(self, document: Document, known: Known) -> list[Problem]:
        """Its score, which must be a number, its filter and comment."""
        columns = known.columns.get(self.dataset)
        found = fields.expression(document, ("score",), self.score, columns, numbers=True)
        kind = fields.column_type(self.score, columns)
        if kind.startswith(fields.NO_NUMBERS):
            what = "text" if kind == "VARCHAR" else f"a {kind}"
            hint = f"Write `score: TRY_CAST({self.score} AS BIGINT)`, or its type in the source's `types`."
            text = f"'{self.score}' is {what}, so it is no score"
            found.append(document.problem(("score",), "not_a_number", text, hint))
        for key in ("filter", "comment"):
            if getattr(self, key):
                found += fields.expression(document, (key,), getattr(self, key), columns)
        return found
