"""Delighted, survey responses: JSON of the API, or CSV."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.authoring.exports.contract import Export
from jobs.authoring.proposal import Kpi
from jobs.authoring.surveys import survey_kpis

SCALES = {"nps": "nps", "csat": "csat", "ces": "ces"}


class DelightedResponses(Export):
    """One score, of the scale that the survey type names, or NPS."""

    title = "Delighted responses export"
    needed = ("Score", "Comment", "Survey type|Permalink|Response ID", "Person|Person ID|Email|Permalink")
    time = ("Created at", "Responded at", "Response date", "Survey response date")
    rows = "Responses"
    rows_first = False
    entity = ("Person", "Person ID", "Email")
    key = "Id|Response ID"
    dimensions = ("Survey type", "Source", "person_properties_country", "person_properties_purchase_experience")

    def proposed(self) -> Iterator[Kpi]:
        """Of several types the scores would lie on several scales: only one is proposed."""
        kind, score = self.column("Survey type"), self.column("Score")
        scales = {SCALES.get(v.lower(), "") for v in kind.values} if kind else {"nps"}
        if score and len(scales) == 1 and (scale := scales.pop()):
            yield from survey_kpis(self.profile, score=score, scale=scale)
