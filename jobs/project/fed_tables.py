"""What is known of each table by the source that feeds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.sources.contract import Source
from connectors.warehouse.contract import SourceRun
from metrics.engine.dataset_states import Fed


def fed_by_sources(
    sources: Mapping[str, Source], known: Mapping[str, datetime], runs: Mapping[str, SourceRun], zone: ZoneInfo
) -> dict[str, Fed]:
    """Table → what is known of it. known: when each source was pulled, as its generation says; runs: as the log says.

    A sync that died after it published has told nobody of its runs.
    """
    told = {n: datetime.fromisoformat(run.last_success) for n, run in runs.items() if run.last_success}
    return {
        s.options.table: Fed(
            s.watermark,
            _reached([times[n] for times in (known, told) if n in times], s.behind),
            _instant(s.options.since, zone),
        )
        for n, s in sources.items()
    }


def _reached(pulls: Sequence[datetime], behind: timedelta) -> datetime | None:
    """The moment up to which the last pull brought what there is."""
    return max(pulls) - behind if pulls else None


def _instant(stated: date | datetime | None, zone: ZoneInfo) -> datetime | None:
    """A day, or a moment without a zone, is one of the project's clock."""
    if stated is None:
        return None
    at = stated if isinstance(stated, datetime) else datetime.combine(stated, datetime.min.time())
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
