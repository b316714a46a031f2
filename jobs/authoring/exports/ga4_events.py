"""Google Analytics 4 in BigQuery, `events_…`: a row for each event."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.authoring.exports.contract import BOUGHT, EventsExport, count, total
from jobs.authoring.proposal import Kpi, one_of


class Ga4Events(EventsExport):
    """Events of Google Analytics 4."""

    title = "Google Analytics 4 events (BigQuery export)"
    needed = ("event_name", "event_timestamp", "user_pseudo_id")
    time = ("event_timestamp",)
    event = "event_name"
    person = "user_pseudo_id"
    entity = ("user_pseudo_id",)
    dimensions = (
        "event_name",
        "platform",
        "geo_country",
        "device_category",
        "traffic_source_medium",
        "traffic_source_source",
    )

    def proposed(self) -> Iterator[Kpi]:
        """Sessions and revenue besides."""
        yield from super().proposed()
        event, bought = "{event_name}", self.named(BOUGHT)
        if "session_start" in self.named(("session_start",)):
            yield count("sessions", "Sessions", "Events called session_start.", f"{event} = 'session_start'")
        if bought:
            yield total(
                "revenue",
                "Revenue",
                "Purchase revenue in US dollars.",
                "{ecommerce_purchase_revenue_in_usd|event_value_in_usd}",
                one_of(event, bought),
                format_="currency USD",
            )
