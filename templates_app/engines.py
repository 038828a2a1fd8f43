"""The engine pools of this worker process: started once, in the main thread, before the first task."""

from pathlib import Path
from typing import Any

import rendercv_fonts
import structlog
from celery.signals import worker_init, worker_shutdown
from django.conf import settings

from automette.lib import worker_status
from workers.engines.registry import ENGINES
from workers.pool import EnginePool

log = structlog.get_logger(__name__)
_pools: dict[str, EnginePool] = {}


def start() -> None:
    """Start every engine this server has; raises workers.errors.IsolationMissingError when it cannot be confined."""
    for engine in ENGINES:
        _start(engine)


def _start(engine: str) -> None:
    pool = EnginePool(
        engine=engine,
        children=settings.ENGINE_CHILDREN,
        font_paths=[Path(rendercv_fonts.__file__).parent],
        package_path=Path(settings.TYPST_PACKAGE_PATH) if settings.TYPST_PACKAGE_PATH else None,
        allow_unsafe=settings.AUTOMETTE_UNSAFE_RENDERER,
    )
    pool.start()
    _pools[engine] = pool
    status = pool.status()
    log.info("engine_started", engine=engine, isolation=status["isolation"])
    if status["unsafe"]:
        log.warning("engine_not_isolated", engine=engine, missing=status["missing"])


def stop() -> None:
    """End every engine process."""
    while _pools:
        _pools.popitem()[1].close()


def pool(engine: str) -> EnginePool:
    """Return the running pool of an engine."""
    return _pools[engine]


def status() -> dict[str, Any]:
    """Return what each pool reports of itself."""
    return {name: pool.status() for name, pool in _pools.items()}


@worker_init.connect
def _start_with_worker(**_: object) -> None:
    try:
        start()
    except Exception as error:  # Celery's signals swallow exceptions, and a worker without engines must not run
        log.critical("worker_refuses_to_start", reason=str(error))
        raise SystemExit(f"This worker does not start: {error}") from error
    worker_status.report_for_ever(status)


@worker_shutdown.connect
def _stop_with_worker(**_: object) -> None:
    stop()
