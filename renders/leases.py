"""Keeping the leases of the renders that this worker process holds.

A lease is short, so that a killed worker's renders start again within seconds; a render that takes longer has its
lease prolonged here, by one statement for all of them. Most renders end before that and cost nothing.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from renders import statements
from renders.statements import Claim

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """A thread of the worker process that renews every held lease when a third of it is used up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, int], float] = {}
        self._pid = 0

    @contextlib.contextmanager
    def holding(self, taken: Claim, *, since: float) -> Iterator[None]:
        """Keep the lease of a claimed render while the block runs.

        `since` is the monotonic time before the claim was sent: a worker may be suspended before it reads the answer.
        """
        self._start_once()
        key = (taken.render_id, taken.attempt)
        self._held[key] = since
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(key, None)

    def owned_until(self, taken: Claim) -> float:
        """Return the monotonic time up to which this worker surely owns the render; it may be over."""
        lease_seconds: float = settings.LEASE_SECONDS
        return self._held[taken.render_id, taken.attempt] + lease_seconds

    def _start_once(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="lease-keeper", daemon=True).start()

    def _run(self) -> None:
        pause = settings.LEASE_SECONDS / 3
        while True:
            time.sleep(pause)
            due = [key for key, since in list(self._held.items()) if time.monotonic() - since > pause / 2]
            if due:
                self._renew(due)

    def _renew(self, due: list[tuple[str, int]]) -> None:
        asked = time.monotonic()
        try:
            renewed = statements.renew(due, lease_seconds=settings.LEASE_SECONDS)
            with self._lock:
                for key in due:
                    if key in self._held:  # ended in the meantime, else
                        self._held[key] = asked if key in renewed else -settings.LEASE_SECONDS
        except DatabaseError as error:
            log.warning("lease_not_renewed", renders=len(due), error=type(error).__name__)
        finally:
            connection.close()  # back to the pool


keeper = LeaseKeeper()
