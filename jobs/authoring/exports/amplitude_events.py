"""Amplitude, Export API: JSON lines, a line for each event."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.authoring.exports.contract import EventsExport, distinct
from jobs.authoring.proposal import Kpi


class AmplitudeEvents(EventsExport):
    """Events of Amplitude."""

    title = "Amplitude events export"
    needed = ("event_type", "event_time", "amplitude_id")
    time = ("event_time",)
    event = "event_type"
    person = "amplitude_id"
    entity = ("amplitude_id",)
    dimensions = ("event_type", "platform", "country", "os_name", "device_family", "version_name")

    def proposed(self) -> Iterator[Kpi]:
        """Sessions besides: one is the person and its beginning; −1 is outside of any."""
        yield from super().proposed()
        session = "CAST({amplitude_id} AS VARCHAR) || '/' || CAST({session_id} AS VARCHAR)"
        yield distinct("sessions", "Sessions", "Distinct sessions of people.", session, "{session_id} > 0")
