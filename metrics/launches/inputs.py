"""What a launch is computed from: the one module of launches that asks a generation. All others get values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from metrics.catalog.models.launch import Adoption
from metrics.catalog.types.survey import Survey
from metrics.engine import adoption, exposure, feedback, people_by_segment
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.engine.kept_sums import KeptSums
from metrics.engine.query import Query, Series

ExposedPeople = exposure.Asked  # whose outcome, of when: a question, which only `exposed_sums` answers
SegmentPeople = people_by_segment.AskedSegments  # the same without exposures, which only `segment_sums` answers
Answers = feedback.Answers  # whose answers, of when: a question, which only `scores` and `comments` answer


class LaunchInputs:
    """Values of one generation, asked when they are needed. catalogue, now, country: as in DataContext.

    generation: the id of what is asked. sums: of people, that were asked before.
    """

    def __init__(self, context: DataContext, sums: KeptSums | None = None) -> None:
        self.catalogue, self.now, self.country = context.catalogue, context.now, context.country
        self.generation = context.reader.generation.id
        self._reader = context.reader
        self._people = context.reader if sums is None else sums.over(context.reader)

    def series(self, kpi: str, grain: str, by: str | None, as_of: str | None) -> Series:
        """A KPI at a grain that launches are read at, untransformed. as_of: a generation's id. Raises KpiError."""
        query = Query(kpi, grain, by=by, as_of=as_of, measured=True)
        return answer(query, self.catalogue, self._reader, transforms=False)

    def own_values(self, kpi: str) -> pd.DataFrame:
        """A KPI at its home grain, untransformed: a row per period. Raises KpiError."""
        return answer(Query(kpi), self.catalogue, self._reader, transforms=False).frame

    def observed_to(self, dataset: str) -> pd.Timestamp | None:
        """Up to which day, exclusive, a dataset is known to be complete; None if nothing was observed."""
        return adoption.observed_to(self.catalogue, self._reader, dataset)

    def adoption(self, item: Adoption, audience: str, start: date, end: pd.Timestamp, by: str | None) -> pd.DataFrame:
        """Who of the audience used it in [start, end): adoption.COLUMNS. Raises KpiError."""
        return adoption.adoption(
            self.catalogue,
            self._reader,
            dataset=item.dataset,
            used=item.used,
            audience=audience,
            start=start,
            end=end,
            by=by,
        )

    def exposed_sums(self, asked: ExposedPeople) -> pd.DataFrame:
        """People by variant and day of exposure with what they did, added up: as the engine says. Raises KpiError."""
        return exposure.exposed_sums(asked, self.catalogue, self._people)

    def segment_sums(self, asked: SegmentPeople) -> pd.DataFrame:
        """People by segment with what they did in the weeks around a day, added up. Raises KpiError."""
        return people_by_segment.segment_sums(asked, self.catalogue, self._people)

    def uses_so_far(self, item: Adoption) -> int:
        """Rows before today that count as a use. Raises KpiError."""
        today = pd.Timestamp(self.catalogue.today(self.now))
        return adoption.uses_before(self.catalogue, self._reader, dataset=item.dataset, used=item.used, end=today)

    def scores(self, asked: Answers) -> pd.DataFrame:
        """How often each score was given: score, who, answers. Raises KpiError."""
        return feedback.scores(asked, self.catalogue, self._reader)

    def comments(self, asked: Answers, by: Sequence[str]) -> pd.DataFrame:
        """What was written, the latest first: said_at, score, who, comment, a column per dimension. Raises KpiError."""
        return feedback.written(asked, self.catalogue, self._reader, by)

    def segments_of(self, kpi: Survey, dimension: str) -> tuple[str, ...] | None:
        """Segments of a dimension that have a value; None if none were stored."""
        sequence = self._reader.generation.sequence
        stored = self._reader.stored_values(kpi.name, kpi.grain, dimension, sequence)
        return None if stored is None else tuple(dict.fromkeys(stored.frame["segment"]))
