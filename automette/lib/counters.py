"""What this worker process has counted since it started; its report carries the samples to `/metrics`.

The workers have no port of their own to be scraped at, and one page must tell of all of them.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from automette.lib.outbound import errors as outbound
from workers.errors import EngineError, LimitExceededError, RenderError, TemplateError

REGISTRY: Final = CollectorRegistry()
_COMPLETED: Final = "completed"
_OUTCOMES: Final = (
    _COMPLETED,
    *(kind.code for kind in (TemplateError, LimitExceededError, EngineError, RenderError)),
)

_attempts: Final = Counter(
    "automette_render_attempts",
    "Attempts at a render by outcome: completed, or the code of the error. One that failed as internal is repeated.",
    ["engine", "outcome"],
    registry=REGISTRY,
)
_seconds: Final = Histogram(
    "automette_render_attempt_seconds",
    "Seconds from a claimed render to its stored file or its error, the wait for a free engine child included.",
    ["engine"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)
_webhook_attempts: Final = Counter(
    "automette_webhook_attempts",
    "Attempts at a delivery by outcome: delivered, or why not.",
    ["outcome"],
    registry=REGISTRY,
)
_DELIVERED: Final = "delivered"
_WEBHOOK_OUTCOMES: Final = (_DELIVERED, "http_error", "redirect", "gone", "internal", *get_args(outbound.Code))


def start(engines: Iterable[str]) -> None:
    """Let every series begin at 0: of one that begins at 1, Prometheus would not see the first increase."""
    for engine in engines:
        _seconds.labels(engine)
        for outcome in _OUTCOMES:
            _attempts.labels(engine, outcome)


def start_webhooks() -> None:
    """Let every outcome of a webhook begin at 0, for the same reason."""
    for outcome in _WEBHOOK_OUTCOMES:
        _webhook_attempts.labels(outcome)


def count_webhook_attempt(error_code: str) -> None:
    """Count one attempt at a delivery; an empty code is a success."""
    _webhook_attempts.labels(error_code or _DELIVERED).inc()


@contextlib.contextmanager
def attempt(engine: str) -> Iterator[None]:
    """Count the block as one attempt at a render, and how long it took; what it raises goes on."""
    began = time.perf_counter()
    outcome = RenderError.code  # whatever is not a RenderError is our own fault
    try:
        yield
        outcome = _COMPLETED
    except RenderError as error:
        outcome = error.code
        raise
    finally:
        _seconds.labels(engine).observe(time.perf_counter() - began)
        _attempts.labels(engine, outcome).inc()


def samples() -> list[tuple[str, str, dict[str, str], float]]:
    """Return (family, sample, labels, value) of everything counted, as JSON-able values."""
    return [
        (family.name, sample.name, dict(sample.labels), sample.value)
        for family in REGISTRY.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
