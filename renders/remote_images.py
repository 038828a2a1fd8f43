"""Images that documents show by address: fetched by the worker, because an engine's child has no network.

A child cannot say which addresses it needs before it has read the document, so it is asked, answers with them, and is
asked again. What was fetched is kept for a few minutes, for the team that named it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from django.conf import settings

from automette.lib.outbound import OutboundError, Response, fetch_all
from templates_app import blobs
from workers.errors import RemoteFilesNeededError
from workers.job import RenderedDocument, RenderJob
from workers.pool import EnginePool

_ROUNDS: Final = 2
"""A document may ask once more: what it shows can depend on whether an image could be had."""
_OK: Final = 200
_MOST_REMEMBERED: Final = 10_000


class _Remembered:
    """Which content an address had a moment ago, by team and address; the longest unused are forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, str], tuple[float, Path]] = OrderedDict()

    def get(self, team_id: str, url: str) -> Path | None:
        with self._lock:
            found = self._found.get((team_id, url))
            if found is None or found[0] < time.monotonic():
                return None
            self._found.move_to_end((team_id, url))
        return found[1] if blobs.is_kept(found[1]) else None

    def put(self, team_id: str, url: str, path: Path) -> None:
        with self._lock:
            self._found[team_id, url] = (time.monotonic() + settings.REMOTE_IMAGE_CACHE_SECONDS, path)
            self._found.move_to_end((team_id, url))
            while len(self._found) > _MOST_REMEMBERED:
                self._found.popitem(last=False)


_remembered: Final = _Remembered()


def render(pool: EnginePool, team_id: str, job: RenderJob) -> RenderedDocument:
    """Render a job, fetching what it asks for. Raises what the pool raises, and store.StoreUnavailableError."""
    for _ in range(_ROUNDS):
        try:
            return pool.render(team_id, job)
        except RemoteFilesNeededError as needed:
            job = replace(job, remote={**job.remote, **_fetch(team_id, needed.urls)})
    return pool.render(team_id, job)


def _fetch(team_id: str, urls: Iterable[str]) -> dict[str, Path | str]:
    """A file for each address, or a sentence why there is none: the engine says which layer or tag asked for it."""
    known = {url: _remembered.get(team_id, url) for url in urls}
    missing = [url for url, path in known.items() if path is None]
    answers = fetch_all(missing, seconds=settings.REMOTE_IMAGE_SECONDS, max_bytes=settings.MAX_REMOTE_IMAGE_BYTES)
    found: dict[str, Path | str] = {url: path for url, path in known.items() if path is not None}
    for url, answer in answers.items():
        problem = _problem(answer)
        if problem or not isinstance(answer, Response):
            found[url] = f"could not be fetched: {problem}"
        else:
            found[url] = path = blobs.keep(team_id, answer.body)
            _remembered.put(team_id, url, path)
    return found


def _problem(answer: Response | OutboundError) -> str:
    if isinstance(answer, OutboundError):
        return answer.message
    if answer.status != _OK:
        return f"the server answered {answer.status}"
    return "" if answer.body else "the server answered with nothing"
