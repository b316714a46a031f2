"""PostHog, events: CSV of the activity page or of SQL, Parquet and JSON lines of a batch export."""

from __future__ import annotations

from jobs.authoring.exports.contract import EventsExport


class PosthogEvents(EventsExport):
    """Events of PostHog."""

    title = "PostHog events export"
    needed = ("uuid", "event", "distinct_id", "timestamp")
    time = ("timestamp",)
    event = "event"
    person = "person_id|distinct_id"
    entity = ("person_id", "distinct_id")
    key = "uuid"
    dimensions = (
        "event",
        "properties_os|properties.$os",
        "properties_browser|properties.$browser",
        "properties_geoip_country_code|properties.$geoip_country_code",
    )
