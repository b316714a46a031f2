"""What a statement for several KPIs looks at first: joins that would count twice, dimensions of many values."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable

import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError, QueryRefused
from metrics.catalog.models.dataset import Dataset
from metrics.engine import periods
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.joins import refuse_fan_out

log = logging.getLogger(__name__)
MOST_SEGMENTS = 400  # of a dimension of more values nothing is shared: it is not stored


class Reading:
    """A dataset in a range of days (or hours), read for several KPIs at once. called: whose its costs are.

    scope: whose reader is used; not its filters.
    """

    def __init__(
        self, called: str, dataset: Dataset, scope: Scope, grain: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> None:
        self.called = called
        plain = dataclasses.replace(scope, by=None, filters=(), entities=None, segments=(), statements=[])
        self._whole, self.scope = dataset, dataclasses.replace(plain, grain=grain, start=start, end=end)

    @property
    def dataset_name(self) -> str:
        """Of the dataset that is read."""
        return self._whole.name

    def within(self, start: pd.Timestamp, end: pd.Timestamp, grain: str = "") -> Reading:
        """The same in another range, or by another grain."""
        return Reading(self.called, self._whole, self.scope, grain or self.scope.grain, start, end)

    def dataset(self, needed: Iterable[str], said: Iterable[str]) -> Dataset:
        """The dataset with only what is needed joined. said: SQL that may name dimensions."""
        names, text = set(needed), " ".join(said)
        return self._whole.reading(lambda name: name in names or name in text)

    def single(self, needed: Iterable[str], said: Iterable[str] = ()) -> bool:
        """Whether it counts no row twice: who asks for it alone is told why not."""
        try:
            refuse_fan_out(self.dataset(needed, said), self.scope)
        except QueryRefused:
            return False
        return True

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """How many values each dimension has in the range, of those of few that can be joined; fewest first."""
        borrowed, known = self._whole.borrowed(), self._sizes_known()
        asked = list(names)
        joined = [name for name in asked if name not in known and (name not in borrowed or self.single([name]))]
        found: dict[str, int] = {name: known[name] for name in asked if name in known}
        for together in ([n for n in joined if n not in borrowed], *([n] for n in joined if n in borrowed)):
            try:
                found |= self._counted(together) if together else {}
            except DiskFull:
                raise
            except KpiError:  # a dimension that cannot be computed: who asks for it is told
                log.info("%s of %s are not shared", ", ".join(together), self._whole.name)
        known.update(found)
        return {name: found[name] for name in sorted(found, key=lambda n: found[n]) if found[name] <= MOST_SEGMENTS}

    def _sizes_known(self) -> dict[str, int]:
        """Those that were found among all rows already, where these are all rows, too; filled by who looks."""
        shared, state = self.scope.shared, self.scope.states.get(self._whole.name)
        if shared is None or state is None or state.first_at is None or state.last_at is None:
            return {}
        first, last = (periods.on_clock(at, "day", self.scope.zone) for at in (state.first_at, state.last_at))
        whole = self.scope.start <= first and last <= self.scope.end
        return shared.sizes.setdefault(self._whole.name, {}) if whole else {}

    def _counted(self, names: list[str]) -> dict[str, int]:
        dataset = self.dataset(names, ())
        values = {}
        for number, name in enumerate(names):  # an engine stops where it has found that many
            some = exp.select(trees.segment(dataset, name).as_("segment")).distinct().limit(MOST_SEGMENTS + 1)
            values[f"values_{number}"] = self.scanned(some, dataset)
        counts = (
            exp.select(exp.Literal.number(number).as_("number"), exp.Count(this=exp.Star()).as_("found")).from_(
                relation
            )
            for number, relation in enumerate(values)
        )
        rows = self.run(trees.assembled(united(counts), **values))
        return {names[int(n)]: max(1, int(count)) for n, count in zip(rows["number"], rows["found"], strict=True)}

    def local(self, dataset: Dataset) -> exp.Expr:
        """The time of its rows on the clock of the grain."""
        return trees.local_time(dataset, self.scope, trees.time_type(dataset, self.scope))

    def scanned(self, query: exp.Select, dataset: Dataset) -> exp.Select:
        """`query` over the rows of the range."""
        return trees.scanned(query, dataset, self.scope, trees.time_type(dataset, self.scope))

    def run(self, query: exp.Query) -> pd.DataFrame:
        """Its rows. Raises WarehouseError, QueryLimit."""
        shared = self.scope.shared
        before = shared.kpi if shared else ""
        if shared:
            shared.kpi = self.called
        try:
            return trees.run(query, self.scope)
        finally:
            if shared:
                shared.kpi = before


def united(cuts: Iterable[exp.Query]) -> exp.Query:
    """All rows of several SELECTs of the same columns."""
    final: exp.Query | None = None
    for cut in cuts:
        final = cut if final is None else exp.union(final, cut, distinct=False, copy=False)
    assert final is not None
    return final
