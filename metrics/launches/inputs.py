"""What a launch is computed from: the one module of launches that asks a generation. All others get values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date

import pandas as pd

from connectors.errors import KpiError
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Adoption
from metrics.catalog.types.survey import Survey
from metrics.engine import adoption, exposure, feedback, people_by_segment
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.engine.kept_sums import KeptSums
from metrics.engine.people_variance import unit_variance
from metrics.engine.query import Filter, Query, Scope, Series
from metrics.engine.sampling import People
from metrics.engine.sql.joins import reading_what_is_asked

ExposedPeople = exposure.Asked  # whose outcome, of when: a question, which only `exposed_sums` answers
SegmentPeople = people_by_segment.AskedSegments  # the same without exposures, which only `segment_sums` answers
Answers = feedback.Answers  # whose answers, of when: a question, which only `scores` and `comments` answer


class LaunchInputs:
    """Values of one generation, asked when they are needed. catalogue, now, country: as in DataContext.

    generation: the id of what is asked. varied: what `unit_variance` gave of this generation, by what was asked;
    varied_asked: the same of all that this one was asked. sums: of people, that were asked before.
    """

    def __init__(
        self, context: DataContext, varied: Mapping[str, float | None] | None = None, sums: KeptSums | None = None
    ) -> None:
        self.catalogue, self.now, self.country = context.catalogue, context.now, context.country
        self.generation = context.reader.generation.id
        self._reader, self._varied = context.reader, varied or {}
        self.varied_asked: dict[str, float | None] = {}
        self.sums, self._people = sums, context.reader if sums is None else sums.over(context.reader)

    def series(self, kpi: str, grain: str, by: str | None, as_of: str | None) -> Series:
        """A KPI at a grain that launches are read at, untransformed. as_of: a generation's id. Raises KpiError."""
        query = Query(kpi, grain, by=by, as_of=as_of, measured=True)
        return answer(query, self.catalogue, self._reader, transforms=False)

    def segments_where(self, kpi: str, grain: str, by: str, where: tuple[Filter, ...]) -> pd.DataFrame:
        """A KPI's values by segment, of some only: counted from rows, so kept once asked. Raises KpiError."""
        query = Query(kpi, grain, by=by, where=where, measured=True)
        return answer(query, self.catalogue, self._people, transforms=False).frame

    def own_values(self, kpi: str) -> pd.DataFrame:
        """A KPI at its home grain, untransformed: a row per period. Raises KpiError."""
        return answer(Query(kpi), self.catalogue, self._reader, transforms=False).frame

    def unit_variance(
        self,
        kpi: KpiCommon,
        people: People,
        grain: str,
        span: tuple[pd.Timestamp, pd.Timestamp],
        where: tuple[Filter, ...],
    ) -> float | None:
        """What the people behind a KPI say of its sampling variance (people_variance.unit_variance), from its rows.

        grain: of a launch; span: whole observed periods; where: whose. None where there are no people to ask, NaN
        where they could not be asked.
        """
        key = json.dumps(
            [self.catalogue.definition(kpi.name), grain, *map(str, span), [asdict(item) for item in where]]
        )
        if key not in self.varied_asked:
            known = key in self._varied
            self.varied_asked[key] = self._varied[key] if known else self._counted(kpi, people, grain, span, where)
        return self.varied_asked[key]

    def _counted(
        self,
        kpi: KpiCommon,
        people: People,
        grain: str,
        span: tuple[pd.Timestamp, pd.Timestamp],
        where: tuple[Filter, ...],
    ) -> float | None:
        step = "day" if people.window > 1 else grain
        scope = Scope(self.catalogue, self._reader, {}, step, *span, filters=where)
        try:
            return unit_variance(people, reading_what_is_asked(kpi, scope))
        except KpiError:
            return float("nan")

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
