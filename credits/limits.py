"""What a team may ask for at once: its own limits, else its plan's, else the server's settings."""

import time
from typing import Final, NamedTuple

from django.conf import settings

from credits.models import CreditAccount

_REMEMBERED_SECONDS: Final = 60
_REMEMBERED_TEAMS: Final = 10_000
_remembered: Final[dict[str, tuple[float, "_Terms"]]] = {}


class Limits(NamedTuple):
    """Of one team; 0 is no limit."""

    requests_per_minute: int
    running_renders: int
    """Under way at once in each of the background queues."""
    sync_waiters: int


class _Terms(NamedTuple):
    """What the database says; None stands for the server's setting."""

    requests_per_minute: int | None = None
    running_renders: int | None = None
    sync_waiters: int | None = None


def limits_of(team_id: str) -> Limits:
    """Return the limits of a team. A change in the database reaches each process within a minute."""
    known = _remembered.get(team_id)
    if known is None or known[0] < time.monotonic():
        if len(_remembered) >= _REMEMBERED_TEAMS:
            _remembered.clear()
        known = _remembered[team_id] = time.monotonic() + _REMEMBERED_SECONDS, _look_up(team_id)
    terms = known[1]
    return Limits(
        settings.RATE_LIMIT_PER_MINUTE if terms.requests_per_minute is None else terms.requests_per_minute,
        settings.RUNNING_RENDERS_PER_TEAM if terms.running_renders is None else terms.running_renders,
        settings.SYNC_WAITERS_PER_TEAM if terms.sync_waiters is None else terms.sync_waiters,
    )


def _look_up(team_id: str) -> _Terms:
    account = CreditAccount.objects.select_related("plan").filter(team_id=team_id).first()
    if account is None:
        return _Terms()
    return _Terms(account.term("requests_per_minute"), account.term("running_renders"), account.term("sync_waiters"))
