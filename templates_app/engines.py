"""The engine pools of this worker process: started once, in the main thread, before the first task."""

import contextlib
import threading
from pathlib import Path
from typing import Any, Final

import rendercv_fonts
import structlog
from celery.signals import worker_init, worker_shutdown
from django.conf import settings

from automette.lib import worker_status
from templates_app.models import Engine
from workers.docx.office import find_program
from workers.engines.registry import ENGINES
from workers.job import Limits
from workers.pool import DEFAULT_MAX_JOBS, DEFAULT_MAX_RSS_BYTES, EnginePool

log = structlog.get_logger(__name__)
_pools: dict[str, EnginePool] = {}
_background: dict[str, threading.BoundedSemaphore] = {}

# LibreOffice begins with 270 MB and gains one to three with every conversion.
_WORD_MAX_JOBS: Final = 100
_WORD_MAX_RSS_BYTES: Final = 600 << 20


def start() -> None:
    """Start every engine this server has; raises workers.errors.IsolationMissingError when it cannot be confined."""
    for engine in ENGINES:
        _start(engine)


def limits(engine: str) -> Limits:
    """Return what one document of this engine may use."""
    if engine == Engine.DOCX:
        return Limits(wall_seconds=settings.DOCX_SECONDS, memory_bytes=settings.DOCX_MEMORY_MB << 20)
    return Limits(wall_seconds=settings.TYPST_SECONDS, memory_bytes=settings.TYPST_MEMORY_MB << 20)


def _start(engine: str) -> None:
    is_word = engine == Engine.DOCX
    pool = EnginePool(
        engine=engine,
        children=settings.ENGINE_CHILDREN + 1,  # one is kept for calls that wait: `seat`
        max_jobs=_WORD_MAX_JOBS if is_word else DEFAULT_MAX_JOBS,
        max_rss_bytes=_WORD_MAX_RSS_BYTES if is_word else DEFAULT_MAX_RSS_BYTES,
        memory_bytes=limits(engine).memory_bytes,
        font_paths=font_paths(),
        package_path=Path(settings.TYPST_PACKAGE_PATH) if settings.TYPST_PACKAGE_PATH else None,
        allow_unsafe=settings.AUTOMETTE_UNSAFE_RENDERER,
    )
    pool.start()
    _pools[engine] = pool
    _background[engine] = threading.BoundedSemaphore(settings.ENGINE_CHILDREN)
    status = pool.status()
    log.info("engine_started", engine=engine, isolation=status["isolation"])
    if status["unsafe"]:
        log.warning("engine_not_isolated", engine=engine, missing=status["missing"])


def font_paths() -> list[Path]:
    """Return the folders of fonts, those that come with the installation first: they decide where names meet."""
    return [Path(rendercv_fonts.__file__).parent, *(folder for folder in settings.FONT_PATHS if folder.is_dir())]


def stop() -> None:
    """End every engine process."""
    while _pools:
        _pools.popitem()[1].close()


def pool(engine: str) -> EnginePool:
    """Return the running pool of an engine."""
    return _pools[engine]


def seat(engine: str, *, waited_for: bool) -> contextlib.AbstractContextManager[object]:
    """Return what a render holds while it uses a child; one more than ENGINE_CHILDREN may if somebody waits."""
    return contextlib.nullcontext() if waited_for else _background[engine]


def status() -> dict[str, Any]:
    """Return what each pool reports of itself."""
    return {name: pool.status() for name, pool in _pools.items()}


@worker_init.connect
def _start_with_worker(sender: Any, **_: object) -> None:
    if set(sender.app.amqp.queues.consume_from) == {"webhooks"}:
        worker_status.report_sender_for_ever()  # it renders nothing
        return
    try:
        start()
    except Exception as error:  # Celery's signals swallow exceptions, and a worker without engines must not run
        log.critical("worker_refuses_to_start", reason=str(error))
        raise SystemExit(f"This worker does not start: {error}") from error
    worker_status.report_for_ever(status, libreoffice=find_program() is not None)


@worker_shutdown.connect
def _stop_with_worker(**_: object) -> None:
    stop()
