"""/metrics: the service and its KPIs, for Prometheus and whoever reads its text or OpenMetrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from api.asking import bearer, entered, in_a_thread, project, seen, twice
from api.problems import refused
from api.tallies import BOUNDS, TALLIES
from connectors.errors import DamagedData, KpiError
from jobs.access.tokens import is_metrics_token
from jobs.outbox.queued import queued
from jobs.project.clock import utc_now
from jobs.project.project import Project
from metrics.engine.answer import unit
from metrics.kpi_views.card import card, latest

if TYPE_CHECKING:
    from prometheus_client.core import Metric

KPI = ("kpi", "unit", "area")
Rows = Sequence[tuple[tuple[str, ...], float]]  # the labels of each series, and its number


async def metrics(request: Request) -> Response:
    """The text that the asker accepts."""
    try:
        text, kind = await in_a_thread(lambda: measured(bearer(request), request.headers.get("accept", ""), utc_now()))
    except Exception as error:  # each is told in words
        return refused(error)
    return Response(text, headers={"content-type": kind, "cache-control": "no-store", "vary": "Authorization, Accept"})


def measured(secret: str, accept: str, now: datetime) -> tuple[bytes, str]:
    """The text and its content type. Raises Refused for who may not read it."""
    given = project() if is_metrics_token(secret) else seen(entered(secret, "metrics", now))
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    found = twice(lambda: [*of_the_service(given, now), *of_the_kpis(given, now)])

    class Found:
        def collect(self) -> list[Metric]:
            return found

    registry = CollectorRegistry()
    registry.register(Found())
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


def _gauge(name: str, words: str, rows: Rows, labels: tuple[str, ...] = ()) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    found = GaugeMetricFamily(f"bellwether_{name}", words, labels=labels)
    for values, number in rows:
        found.add_metric(values, number)
    return found


def of_the_service(opened: Project, now: datetime) -> Iterator[Metric]:
    """Syncs, ages, messages, questions."""
    if opened.has_data():
        published = opened.reader().generation.published_at.timestamp()
        yield _gauge("generation_published_timestamp_seconds", "When the live data was published.", [((), published)])
    finished = opened.sync_log.read().get("finished_at")
    if finished:
        at = datetime.fromisoformat(finished).timestamp()
        yield _gauge("sync_finished_timestamp_seconds", "When the last sync finished.", [((), at)])
    yield _gauge("sync_overdue", "1 if no sync finished when one was due.", [((), bool(opened.sync_log.overdue(now)))])
    runs = [((name,), float(run.status != "failed")) for name, run in opened.sync_log.runs().items()]
    yield _gauge("source_ok", "1 if the last pull of a source went well.", runs, ("source",))
    try:
        rows: Rows = [((key,), float(count)) for key, count in queued(opened).items()]
        good = 1.0
    except KpiError:
        rows, good = [], 0.0
    yield _gauge("state_store_ok", "1 if the state store can be read.", [((), good)])
    yield _gauge("messages", "Messages by where each stands.", rows, ("status",))
    yield from _asked()


def _asked() -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    ended = CounterMetricFamily("bellwether_api_requests", "Answers.", labels=("route", "method", "status"))
    for (route, method, status), count in TALLIES.ended().items():
        ended.add_metric((route, method, str(status)), count)
    yield ended
    took = HistogramMetricFamily("bellwether_api_request_seconds", "How long answers took.", labels=("route",))
    for route, times in TALLIES.times().items():
        sums = [sum(times.counts[: place + 1]) for place in range(len(times.counts))]
        buckets = [(str(bound), float(count)) for bound, count in zip((*BOUNDS, "+Inf"), sums, strict=True)]
        took.add_metric((route,), buckets, times.total)
    yield took


def of_the_kpis(opened: Project, now: datetime) -> Iterator[Metric]:
    """The last complete value of each KPI, and how it stands. One that has no value is left out of the values."""
    values: list[tuple[tuple[str, ...], float]] = []
    states: list[tuple[tuple[str, ...], float]] = []
    if opened.has_data():
        context = opened.context(now)
        for name, kpi in sorted(context.catalogue.kpis.items()):
            labels = (name, unit(kpi), kpi.area or "")
            states.append(((*labels, card(context, name).status.slug), 1.0))
            try:
                value = latest(context, kpi).value
            except DamagedData:
                raise
            except KpiError:
                continue
            if value is not None:
                values.append((labels, value))
    yield _gauge("kpi_value", "The last complete value of a KPI at its home grain.", values, KPI)
    yield _gauge("kpi_status", "1 for how a KPI stands against its target.", states, (*KPI, "status"))
