"""SurveyMonkey, Export all: a row for each respondent, a column for each question, a second header line."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.authoring.exports.contract import Export
from jobs.authoring.proposal import Kpi
from jobs.authoring.surveys import survey_kpis


class SurveymonkeyResponses(Export):
    """Scores among the questions, and how many answered."""

    title = "SurveyMonkey responses export"
    needed = ("Respondent ID", "Collector ID", "Start Date|Date Created", "End Date|Date Modified")
    time = ("End Date", "Date Modified", "Start Date", "Date Created")
    rows = "Responses"
    rows_first = False
    key = "Respondent ID"
    dimensions = ("Collector ID",)

    def proposed(self) -> Iterator[Kpi]:
        """Scores."""
        yield from survey_kpis(self.profile)
