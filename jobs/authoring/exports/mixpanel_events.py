"""Mixpanel, raw event export: JSON lines with `properties`, or CSV."""

from __future__ import annotations

from jobs.authoring.exports.contract import EventsExport


class MixpanelEvents(EventsExport):
    """Events of Mixpanel."""

    title = "Mixpanel events export"
    needed = (
        "event|Event Name",
        "distinct_id|properties_distinct_id",
        "time|properties_time",
        "$insert_id|properties_insert_id|mp_lib|properties_mp_lib|$city|properties_city",
    )
    time = ("properties_time", "time")
    event = "event|Event Name"
    person = "properties_distinct_id|distinct_id"
    entity = ("properties_distinct_id", "distinct_id")
    dimensions = (
        "event|Event Name",
        "properties_os|$os",
        "properties_mp_country_code|mp_country_code",
        "properties_browser|$browser",
        "properties_plan|plan",
        "properties_city|$city",
    )
