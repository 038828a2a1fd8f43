"""The engine pool: renders jobs in confined children, and makes sure that no child ever serves two teams.

A child belongs to its first team for life, because Typst remembers across compilations (a near-identical document
comes out ten times faster, which would tell one team about another) and because whoever took a child over keeps it.
It is kept warm for that team, replaced after `max_jobs` or when it has grown, and killed when a job's time is up.
Spares that are confined and warm but belong to nobody wait for the next team; a thread of the pool makes them, so
no render waits for that.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from workers.child import EngineChild
from workers.engines.registry import ENGINES
from workers.errors import EngineError, EngineUnavailableError, IsolationMissingError
from workers.exchange import Request, explain_death, prepare_request, read_answer, timed_out
from workers.frames import BrokenFrameError
from workers.isolation.confinement import LAYERS
from workers.job import Limits, RenderedDocument, RenderJob
from workers.zygote_process import ZygoteGoneError, ZygoteProcess

DEFAULT_MAX_JOBS = 500
DEFAULT_MAX_RSS_BYTES = 400 << 20
CHILD_CPU_SECONDS = 1200
"""A net under the wall clock. A child is replaced at half of it, so that no honest job meets it."""
_READY_SECONDS = 30
_SEAT_SECONDS = 120
_ATTEMPTS = 3
_RESTART_PAUSE_SECONDS = 1.0


class EnginePool:
    """Render jobs in children that can be killed. Safe to use from many threads; not from a forked process.

    `engine` is a name in `engines/registry.py`. `children` is how many jobs are at work at once; as many again are
    kept idle and warm for their teams, the least recently used ones going first. Spares have `memory_bytes`, so jobs
    should ask for as much. `layers` exists for tests, which take one away to see the refusal.
    """

    def __init__(
        self,
        *,
        engine: str = "typst",
        children: int = 2,
        spares: int = 1,
        max_jobs: int = DEFAULT_MAX_JOBS,
        max_rss_bytes: int = DEFAULT_MAX_RSS_BYTES,
        memory_bytes: int = Limits().memory_bytes,
        font_paths: Sequence[Path] = (),
        package_path: Path | None = None,
        runtime_dir: Path | None = None,
        allow_unsafe: bool = False,
        layers: Collection[str] = LAYERS,
    ) -> None:
        self._engine = engine
        self._rules = ENGINES[engine].rules
        self._children = children
        self._spare_count = spares
        self._max_jobs = max_jobs
        self._max_rss_bytes = max_rss_bytes
        self._memory_bytes = memory_bytes
        self._font_paths = tuple(font_paths)
        self._package_path = package_path
        self._runtime_dir = runtime_dir
        self._allow_unsafe = allow_unsafe
        self._layers = layers
        self._seats = threading.BoundedSemaphore(children)
        self._changed = threading.Condition()
        self._working: set[EngineChild] = set()
        self._idle: list[EngineChild] = []  # least recently used first
        self._spares: list[EngineChild] = []
        self._counts: Counter[str] = Counter()
        self._zygote: ZygoteProcess | None = None
        self._owner = 0
        self._closed = True
        self._keeper = threading.Thread(target=self._keep, name="engine-pool", daemon=True)

    def start(self) -> None:
        """Start the zygote and prove the isolation. Call it once, in the main thread, before any render.

        Raises IsolationMissingError, with what was open, unless `allow_unsafe` was given.
        """
        self._owner = os.getpid()
        zygote = self._start_zygote()
        if zygote.report["missing"] and not self._allow_unsafe:
            zygote.close()
            missing = "; ".join(zygote.report["missing"])
            raise IsolationMissingError(f"engine children cannot be confined here, open: {missing}")
        self._zygote = zygote
        self._closed = False
        self._keeper.start()

    def render(self, team: str, job: RenderJob) -> RenderedDocument:
        """Render one job in a child of this team. Waits for a free child; the job's time starts when it has one.

        Raises RenderError: TemplateError, LimitExceededError, EngineError or EngineUnavailableError.
        """
        request = prepare_request(job, self._rules)
        if self._closed or self._owner != os.getpid():
            raise EngineUnavailableError("the engine pool is not running in this process")
        if not self._seats.acquire(timeout=_SEAT_SECONDS):
            raise EngineUnavailableError("no engine became free in time; the render can be tried again")
        try:
            child = self._take(team, job)
            return self._run(child, request, job)
        finally:
            self._seats.release()

    def status(self) -> dict[str, Any]:
        """What the pool is and has, as JSON-able values. Bytes are resident memory of the children together."""
        with self._changed:
            everyone = [*self._working, *self._idle, *self._spares]
            zygote = self._zygote
            report = zygote.report if zygote else {"active": {}, "missing": ["not started"]}
            return {
                "engine": self._engine,
                "running": not self._closed and zygote is not None and zygote.alive(),
                "unsafe": bool(report["missing"]),
                "isolation": report["active"],
                "missing": list(report["missing"]),
                "zygote_pid": zygote.pid if zygote else None,
                "working": len(self._working),
                "idle": len(self._idle),
                "spares": len(self._spares),
                "child_pids": sorted(child.pid for child in everyone),
                "teams": _pids_by_team(everyone),
                "resident_bytes": sum(child.resident_bytes() for child in everyone),
                "counts": dict(self._counts),
            }

    def close(self) -> None:
        """End every process and remove the runtime directory. Renders under way fail; doing it twice is fine."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            for child in self._working:
                child.signal_end()  # its own thread sees the end of it and gives everything back
            resting = [*self._idle, *self._spares]
            self._idle, self._spares = [], []
        for child in resting:
            child.kill()
        self._keeper.join()
        if self._zygote is not None:
            self._zygote.close()

    def _run(self, child: EngineChild, request: Request, job: RenderJob) -> RenderedDocument:
        limits = job.limits
        deadline = time.monotonic() + limits.wall_seconds
        try:
            child.slot.put(request.files, request.digest)
            head, content = child.ask(request.head, request.body, deadline=deadline, max_body=limits.max_output_bytes)
        except TimeoutError as error:
            self._discard(child, "timeouts")
            raise timed_out(limits) from error
        except (BrokenFrameError, OSError) as error:
            status = self._discard(child, "deaths")
            raise explain_death(status, limits, self._rules) from error
        except BaseException:  # the caller's thread was interrupted: the child is in the middle of something
            self._discard(child, "interrupted")
            raise
        try:
            return read_answer(head, content, job, self._rules)
        finally:
            self._give_back(child, head)

    def _take(self, team: str, job: RenderJob) -> EngineChild:
        """A ready child that belongs to `team`: its own, else a spare, else a new one. Raises RenderError.

        A child has one set of fonts for life, so a spare serves only teams without fonts of their own.
        """
        for _ in range(_ATTEMPTS):
            child = self._pick(team, job)
            try:
                if child is None:
                    child = self._fork(job.limits.memory_bytes, job.fonts)
                child.team = team
                child.wait_until_ready(time.monotonic() + _READY_SECONDS)
            except ZygoteGoneError:
                self._wait_for_zygote()
            except (BrokenFrameError, OSError) as error:
                if child is not None:
                    self._discard(child, "failed_starts")
                    if child.fonts:
                        raise EngineError("the engine cannot work with the fonts of this team") from error
            else:
                with self._changed:
                    self._working.add(child)
                return child
        raise EngineUnavailableError("no engine could be started; the render can be tried again")

    def _pick(self, team: str, job: RenderJob) -> EngineChild | None:
        with self._changed:
            for place in range(len(self._idle) - 1, -1, -1):
                child = self._idle[place]
                if child.team == team and _fits(child, job):
                    del self._idle[place]
                    if child.is_quiet():
                        return child
                    self._discard(child, "found_dead")
            for place, child in enumerate(self._spares):
                if _fits(child, job):
                    del self._spares[place]
                    self._changed.notify_all()
                    return child
        return None

    def _fork(self, memory_bytes: int, fonts: tuple[Path, ...] = ()) -> EngineChild:
        zygote = self._zygote
        if zygote is None:
            raise ZygoteGoneError("the zygote is being started again")
        child = zygote.fork(memory_bytes, fonts)
        with self._changed:
            self._counts["forks"] += 1
        return child

    def _give_back(self, child: EngineChild, head: dict[str, Any]) -> None:
        """Keep a child for its team, or end it when it has done enough."""
        reported = head.get("cpu_seconds")
        tired = (
            head.get("last") is True
            or child.jobs >= self._max_jobs
            or not isinstance(reported, int | float)
            or reported > CHILD_CPU_SECONDS / 2
            or child.resident_bytes() > self._max_rss_bytes
        )
        if tired:
            self._discard(child, "recycled")
            return
        with self._changed:
            self._working.discard(child)
            if self._closed:
                child.kill()
                return
            self._idle.append(child)
            if len(self._idle) > self._children:
                self._changed.notify_all()

    def _discard(self, child: EngineChild, why: str) -> int | None:
        """Kill a child and have it reaped; gives its exit status, which is its own if it had died before."""
        with self._changed:
            self._counts[why] += 1
            self._working.discard(child)
            zygote = self._zygote
        child.kill()
        return zygote.reap(child) if zygote is not None else None

    def _wait_for_zygote(self) -> None:
        with self._changed:
            self._changed.notify_all()
            self._changed.wait(_RESTART_PAUSE_SECONDS)

    def _keep(self) -> None:
        """The pool's own thread: evict idle children, fill up spares, start a new zygote when one is gone."""
        while True:
            with self._changed:
                while not self._closed and not self._has_work():
                    self._changed.wait(_RESTART_PAUSE_SECONDS)
                if self._closed:
                    return
                surplus = self._idle[: max(0, len(self._idle) - self._children)]
                del self._idle[: len(surplus)]
                missing = self._spare_count - len(self._spares)
            for child in surplus:
                self._discard(child, "evicted")
            try:
                self._restart_if_gone()
                if missing > 0:
                    self._add_spare()
            except (ZygoteGoneError, OSError):
                time.sleep(_RESTART_PAUSE_SECONDS)

    def _has_work(self) -> bool:
        zygote = self._zygote
        return (
            len(self._idle) > self._children
            or len(self._spares) < self._spare_count
            or zygote is None
            or not zygote.alive()
        )

    def _add_spare(self) -> None:
        child = self._fork(self._memory_bytes)
        with self._changed:
            if self._closed:
                child.kill()
                return
            self._spares.append(child)

    def _restart_if_gone(self) -> None:
        zygote = self._zygote
        if zygote is not None and zygote.alive():
            return
        with self._changed:
            orphans = [*self._idle, *self._spares]
            self._idle, self._spares, self._zygote = [], [], None
        for child in orphans:
            child.kill()
        if zygote is not None:
            self._counts["zygote_restarts"] += 1
            zygote.close()
        fresh = self._start_zygote()
        if fresh.report["missing"] and not self._allow_unsafe:
            fresh.close()
            raise ZygoteGoneError("the isolation is no longer complete")
        with self._changed:
            self._zygote = fresh
            self._changed.notify_all()

    def _start_zygote(self) -> ZygoteProcess:
        return ZygoteProcess(
            engine=self._engine,
            font_paths=self._font_paths,
            package_path=self._package_path,
            base=self._runtime_dir,
            memory_bytes=self._memory_bytes,
            cpu_seconds=CHILD_CPU_SECONDS,
            layers=self._layers,
            allow_unsafe=self._allow_unsafe,
        )


def _fits(child: EngineChild, job: RenderJob) -> bool:
    return child.memory_bytes == job.limits.memory_bytes and child.fonts == job.fonts


def _pids_by_team(children: Iterable[EngineChild]) -> dict[str, list[int]]:
    pids: dict[str, list[int]] = {}
    for child in children:
        if child.team is not None:
            pids.setdefault(child.team, []).append(child.pid)
    return pids
