"""`/metrics`: what the operator's Prometheus asks for every few seconds. docs/operating.md says what to alert on.

All of it is read from the database, Redis and the store at the moment of the request, so that every web process
answers for the whole installation, and none has anything to remember. Each series that a worker counts carries the
worker's name: a sum over workers would go backwards when one of them ends.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final

import redis
import structlog
from django.conf import settings
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from automette.health import PARTS, UNAVAILABLE
from automette.lib import counters, worker_status

log = structlog.get_logger(__name__)

_PATIENCE_SECONDS: Final = 5  # Prometheus itself waits 10
_STATES: Final = {"working": "working", "idle": "idle", "spares": "spare"}
_ENDS: Final = {
    "recycled": "recycled",
    "evicted": "evicted",
    "timeouts": "timed_out",
    "deaths": "died",
    "failed_starts": "failed_to_start",
    "found_dead": "found_dead",
    "interrupted": "interrupted",
}


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer who has the METRICS_TOKEN; where none is set, there is no such page."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        sentence = "The metrics need the server's METRICS_TOKEN: send it as 'Authorization: Bearer ...'.\n"
        return HttpResponse(sentence, "text/plain; charset=utf-8", status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(exposition(), CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def exposition() -> bytes:
    """Return everything in Prometheus' text format, without asking who wants to know."""
    registry = CollectorRegistry()
    registry.register(Installation())
    return generate_latest(registry)


class Installation(Collector):
    """Asks the parts side by side: what is away, or hangs for five seconds, is `automette_up 0` and says no more."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("automette_up", "1 if this part answers the web process, 0 if not.", labels=["part"])
        threads = ThreadPoolExecutor(len(PARTS), thread_name_prefix="metrics")
        asked = {part: threads.submit(_ask, part) for part in PARTS}
        threads.shutdown(wait=False)
        done, _ = wait(asked.values(), timeout=_PATIENCE_SECONDS)
        for part, answer in asked.items():
            families = answer.result() if answer in done else None
            up.add_metric([part], families is not None)
            yield from families or ()
        yield up


def _ask(part: str) -> list[Metric] | None:
    """Return what a part knows, or None when it is away."""
    try:
        PARTS[part]()
        return list(_KNOWS[part]())
    except UNAVAILABLE as error:
        log.warning("metrics_incomplete", part=part, error=type(error).__name__)
        return None
    finally:
        connection.close()  # this thread's own, if it has one


# The partial index `render_to_ring` holds just these rows: what it costs grows with them, not with the table.
_OPEN_RENDERS: Final = """
SELECT status, count(*), extract(epoch FROM statement_timestamp() - min(created_at))::float8
FROM renders_render WHERE status IN ('pending', 'running') GROUP BY status
"""
# `delivery_to_ring` is such an index, too.
_OPEN_DELIVERIES: Final = """
SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'sending'),
    count(*) FILTER (WHERE status = 'pending' AND next_attempt_at <= statement_timestamp()),
    coalesce(extract(epoch FROM statement_timestamp() - min(next_attempt_at) FILTER (
        WHERE status = 'pending' AND next_attempt_at <= statement_timestamp())), 0)::float8
FROM webhooks_delivery WHERE status IN ('pending', 'sending')
"""


def _database() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_RENDERS)
        found = {status: (count, age) for status, count, age in cursor.fetchall()}
    renders = GaugeMetricFamily("automette_renders", "Renders that are not finished, by status.", labels=["status"])
    for status in ("pending", "running"):
        renders.add_metric([status], found.get(status, (0, 0))[0])
    yield renders
    yield GaugeMetricFamily(
        "automette_oldest_pending_render_seconds",
        "Seconds since the oldest pending render was accepted; 0 when none is pending.",
        value=found.get("pending", (0, 0))[1],
    )
    yield from _deliveries()


def _deliveries() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_DELIVERIES)
        [(pending, sending, due, oldest)] = cursor.fetchall()
    deliveries = GaugeMetricFamily(
        "automette_webhook_deliveries", "Deliveries that have not ended, by status.", labels=["status"]
    )
    deliveries.add_metric(["pending"], pending)
    deliveries.add_metric(["sending"], sending)
    yield deliveries
    yield GaugeMetricFamily(
        "automette_due_webhook_deliveries", "Pending deliveries whose next attempt is due.", value=due
    )
    yield GaugeMetricFamily(
        "automette_oldest_due_webhook_delivery_seconds",
        "Seconds that the delivery which is due for longest has been due; 0 when none is.",
        value=oldest,
    )


def _broker() -> Iterator[Metric]:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
    with client, client.pipeline(transaction=False) as pipeline:
        for queue in settings.QUEUES:
            pipeline.llen(queue)
        lengths = pipeline.execute()
    messages = GaugeMetricFamily(
        "automette_queue_messages", "Messages that no worker has taken yet, by queue.", labels=["queue"]
    )
    for queue, length in zip(settings.QUEUES, lengths, strict=True):
        messages.add_metric([queue], length)
    yield messages
    reports = worker_status.workers()
    yield GaugeMetricFamily(
        "automette_workers", "Worker processes that have reported in the last 20 seconds.", value=len(reports)
    )
    senders = worker_status.senders()
    yield GaugeMetricFamily(
        "automette_webhook_senders",
        "Processes that only send webhooks and have reported in the last 20 seconds.",
        value=len(senders),
    )
    libreoffice = GaugeMetricFamily(
        "automette_worker_has_libreoffice", "1 if the worker can turn DOCX into PDF, else 0.", labels=["worker"]
    )
    for worker, report in reports.items():
        libreoffice.add_metric([worker], report["libreoffice"])
    yield libreoffice
    yield from _engines(reports)
    yield from _counted(reports | senders)


def _engines(reports: dict[str, dict[str, Any]]) -> Iterator[Metric]:
    """Yield what the engine pools of each worker are, have and have done."""
    labels = ["worker", "engine"]
    running = GaugeMetricFamily(
        "automette_engine_running", "1 if the pool can start children, else 0.", labels=labels
    )
    confined = GaugeMetricFamily(
        "automette_engine_isolation_complete", "1 if the pool's children are fully confined, else 0.", labels=labels
    )
    resident = GaugeMetricFamily(
        "automette_engine_resident_bytes", "Resident memory of the pool's children together.", labels=labels
    )
    children = GaugeMetricFamily(
        "automette_engine_children",
        "Children by state: working, idle (kept warm for their team), spare (ready for any team).",
        labels=[*labels, "state"],
    )
    forks = CounterMetricFamily("automette_engine_forks", "Children that the pool has started.", labels=labels)
    ended = CounterMetricFamily(
        "automette_engine_children_ended", "Children that the pool has ended, by reason.", labels=[*labels, "reason"]
    )
    restarts = CounterMetricFamily(
        "automette_engine_zygote_restarts",
        "How often the process that children are forked from was gone.",
        labels=labels,
    )
    for worker, report in reports.items():
        for engine, pool in report["engines"].items():
            key, counts = [worker, engine], pool["counts"]
            running.add_metric(key, pool["running"])
            confined.add_metric(key, not pool["missing"])
            resident.add_metric(key, pool["resident_bytes"])
            forks.add_metric(key, counts.get("forks", 0))
            restarts.add_metric(key, counts.get("zygote_restarts", 0))
            for name, state in _STATES.items():
                children.add_metric([*key, state], pool[name])
            for name, reason in _ENDS.items():
                ended.add_metric([*key, reason], counts.get(name, 0))
    yield from (running, confined, resident, children, forks, ended, restarts)


def _counted(reports: dict[str, dict[str, Any]]) -> Iterator[Metric]:
    """Yield what the workers count with prometheus_client, as they count it, with the worker's name added."""
    for family in counters.REGISTRY.collect():
        metric = Metric(family.name, family.documentation, family.type)
        for worker, report in reports.items():
            for name, sample, labels, value in report.get("counted", ()):  # a worker of the last version has none
                if name == family.name:
                    metric.add_sample(sample, {"worker": worker, **labels}, value)
        if metric.samples:  # of what no worker counts there is nothing to say
            yield metric


_KNOWS: Final[dict[str, Callable[[], Iterator[Metric]]]] = {
    "database": _database,
    "broker": _broker,
    "store": lambda: iter(()),
}
