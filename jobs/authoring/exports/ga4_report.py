"""Google Analytics, Share > Download file: numbers of each day, maybe by one dimension more."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.authoring import purposes, usual
from jobs.authoring.exports.contract import Export, ratio
from jobs.authoring.profile import Column, Profile
from jobs.authoring.proposal import Kpi, measure

TOLD_BY = (
    "Active users",
    "New users",
    "Total users",
    "Returning users",
    "Sessions",
    "Engaged sessions",
    "Event count",
    "Key events",
    "Conversions",
    "Total revenue",
    "Views",
    "Engagement rate",
    "Average engagement time",
    "Users",
    "Bounce rate",
    "Average engagement time per session",
    "Purchase revenue",
    "Transactions",
    "Pageviews",
)
FIRST = ("Active users", "Total users", "Users", "Sessions", "New users")


class Ga4Report(Export):
    """Numbers of days: people of a day are no people of a week."""

    title = "Google Analytics report"
    needed = ("Date|Day|Day Index",)
    time = ("Date", "Day", "Day Index")
    rows = "Report rows"
    rows_first = False

    @classmethod
    def matches(cls, profile: Profile) -> int:
        """A day, and at least two of the numbers that only these reports have."""
        told = sum(1 for name in TOLD_BY if profile.column(name))
        return told if told >= 2 and super().matches(profile) else 0

    def proposed(self) -> Iterator[Kpi]:
        """What the numbers are for tells how each is added up."""
        time = next((c for c in purposes.times(self.profile)), None)
        if time is None:
            return
        known = usual.understood(self.profile, time)
        found = [k for k in usual.kpis(self.profile, known) if k.name != f"{self.profile.name}_count"]
        first = [self.column(name) for name in FIRST]
        yield from sorted(found, key=lambda k: _place(k, first))
        if not self.column("Engagement rate"):
            yield ratio(
                "engagement_rate",
                "Engagement rate",
                "Sessions that were engaged.",
                measure("sum", "{Engaged sessions}"),
                measure("sum", "{Sessions}"),
            )

    def dimension_columns(self) -> list[Column]:
        """All words that are there."""
        time = next(iter(purposes.times(self.profile)))
        return usual.dimensions(self.profile, usual.understood(self.profile, time))


def _place(kpi: Kpi, first: list[Column | None]) -> int:
    return next((at for at, c in enumerate(first) if c is not None and kpi.used[:1] == (c.name,)), len(first))
