"""Idempotency-Key: a creating request that is sent again is answered as the first time, for a day.

The row that remembers a request commits together with what the request created, so there is never one without the
other, whatever dies in between. What is refused (4xx, 5xx) is not remembered: a repeat may succeed.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, TypeVar

import structlog
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from automette.lib.errors import DomainError, IdempotencyConflictError

log = structlog.get_logger(__name__)

KEPT: Final = dt.timedelta(hours=24)

T = TypeVar("T")


class RequestKey(NamedTuple):
    """What makes two requests the same one: team, route and key; the fingerprint tells whether they ask the same."""

    team_id: str
    route: str
    key: str
    fingerprint: str


class FirstAnswer(NamedTuple):
    """What the first request led to: a render, or an answer's status and its body as JSON text."""

    render_id: str | None
    status: int | None
    body: str


class AnsweredMeanwhileError(Exception):
    """Another request with the same key was quicker; what this one did must be rolled back."""


def once(key: RequestKey, create: Callable[[], T], replay: Callable[[FirstAnswer], T]) -> T:
    """Return what `create` returns, or `replay` of the first answer when the request was answered before.

    `create` raises AnsweredMeanwhileError, with nothing created, when it finds the key taken. Raises
    IdempotencyConflictError when the key was used for another request.
    """
    first = find_first(key)
    if first is None:
        try:
            return create()
        except (AnsweredMeanwhileError, DomainError) as error:  # the first may have taken the last place, say
            first = find_first(key)
            if first is None and isinstance(error, DomainError):
                raise
    if first is None:  # it was taken, and is free again
        raise _still_answered()
    return replay(first)


_FIND: Final = """
SELECT fingerprint, render_id, status, body FROM accounts_idempotentrequest
WHERE team_id = %(team)s AND route = %(route)s AND key = %(key)s AND created_at > statement_timestamp() - %(kept)s
"""


def find_first(key: RequestKey) -> FirstAnswer | None:
    """Return what the first request with this key led to; raises IdempotencyConflictError when it asked otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND, values_of(key))
        row = cursor.fetchone()
    if row is None:
        return None
    fingerprint, *first = row
    if fingerprint != key.fingerprint:
        raise IdempotencyConflictError(
            "This Idempotency-Key was used for a request with another body within the last 24 hours. "
            "Use a new key for a new request."
        )
    return FirstAnswer(*first)


def values_of(key: RequestKey) -> dict[str, Any]:
    """Return the parameters of statements about a key."""
    return {
        "team": key.team_id,
        "route": key.route,
        "key": key.key,
        "fingerprint": key.fingerprint,
        "kept": KEPT,
    }


# A request that was remembered for long enough makes room in the same statement. Whoever comes while another holds
# the key waits here for the other's commit, five seconds at most.
_TAKE: Final = """
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '5s', true))
INSERT INTO accounts_idempotentrequest AS known (team_id, route, key, fingerprint, body)
SELECT %(team)s, %(route)s, %(key)s, %(fingerprint)s, '' FROM patience
ON CONFLICT (team_id, route, key) DO UPDATE
SET fingerprint = excluded.fingerprint, render_id = NULL, status = NULL, body = '', created_at = statement_timestamp()
WHERE known.created_at <= statement_timestamp() - %(kept)s
RETURNING known.id, set_config('lock_timeout', '0', true)
"""
_REMEMBER: Final = "UPDATE accounts_idempotentrequest SET status = %(status)s, body = %(body)s WHERE id = %(id)s"


class _Request:
    """One keyed request under way: the transaction that its service began and that ends with its answer."""

    def __init__(self, key: RequestKey, transactions: ExitStack) -> None:
        self._key = key
        self._transactions = transactions
        self._row: int | None = None

    def begin(self) -> None:
        """Begin the transaction and take the key; raises AnsweredMeanwhileError. A second call changes nothing."""
        if self._row is not None:
            return
        self._transactions.enter_context(transaction.atomic())
        try:
            with connection.cursor() as cursor:
                cursor.execute(_TAKE, values_of(self._key))
                row = cursor.fetchone()
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise _still_answered() from error
            raise
        if row is None:
            raise AnsweredMeanwhileError
        self._row = row[0]

    def remember(self, *, status: int, body: str) -> None:
        """Keep the answer in the transaction that made what it tells of."""
        self.begin()
        with connection.cursor() as cursor:
            cursor.execute(_REMEMBER, {"status": status, "body": body, "id": self._row})


_under_way: Final[ContextVar[_Request | None]] = ContextVar("idempotent_request", default=None)


@contextmanager
def answering(key: RequestKey) -> Iterator[_Request]:
    """Let `creating` blocks within this one belong to a keyed request; its end commits, an exception rolls back."""
    with ExitStack() as transactions:
        request = _Request(key, transactions)
        token = _under_way.set(request)
        try:
            yield request
        finally:
            _under_way.reset(token)


@contextmanager
def creating() -> Iterator[None]:
    """The transaction in which a service creates what a request asks for.

    Without an Idempotency-Key it commits at the end of the block. With one it takes the key first, and commits when
    the answer has been remembered: nothing slow may come after the block, and only one such block in a request.
    """
    request = _under_way.get()
    if request is not None:
        request.begin()
    with transaction.atomic():
        yield


def _still_answered() -> IdempotencyConflictError:
    return IdempotencyConflictError(
        "The first request with this Idempotency-Key is still being answered. Try again in a second.", retry_after=1
    )


_PURGE: Final = """
DELETE FROM accounts_idempotentrequest WHERE id IN (
    SELECT id FROM accounts_idempotentrequest WHERE created_at <= statement_timestamp() - %(kept)s
    ORDER BY created_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
"""


def delete_expired(*, at_once: int = 5000) -> int:
    """Forget the requests of more than a day ago, `at_once` in each transaction; return how many. Safe to repeat."""
    deleted, batch = 0, at_once
    while batch == at_once:
        with connection.cursor() as cursor:
            values: dict[str, Any] = {"kept": KEPT, "most": at_once}
            cursor.execute(_PURGE, values)
            batch = cursor.rowcount
        deleted += batch
    log.info("idempotency_keys_deleted", count=deleted)
    return deleted
