"""Typeform, Results > Download all: a row for each response, a column for each question."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.authoring.exports.contract import Export, typical
from jobs.authoring.proposal import Kpi
from jobs.authoring.surveys import survey_kpis


class TypeformResponses(Export):
    """Scores among the questions, how many answered, and how long they took."""

    title = "Typeform responses export"
    needed = ("Start Date (UTC)", "Submit Date (UTC)", "Network ID")
    time = ("Submit Date (UTC)",)
    rows = "Responses"
    entity = ("Network ID",)
    rows_first = False
    dimensions = ("Response Type", "Tags", "Ending")

    def proposed(self) -> Iterator[Kpi]:
        """Scores first."""
        yield from survey_kpis(self.profile)
        yield typical(
            "seconds_to_answer",
            "Time to answer",
            "Median seconds from start to submit.",
            "median",
            "date_diff('second', {Start Date (UTC)}, {Submit Date (UTC)})",
            direction="neutral",
            format_="duration",
        )
