"""Counting requests: every view of the API has this, after the key was checked and before the body is read."""

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from automette.lib.rate_limits import count_request
from credits.limits import limits_of


class TeamThrottle(BaseThrottle):
    """One count per team, whichever of its keys is used. Calls without a valid key have failed before."""

    def allow_request(self, request: Request, view: object) -> bool:
        """Return True, or raise RateLimitedError with a sentence of ours."""
        team_id = getattr(request.auth, "team_id", None)
        if team_id is not None:
            count_request(team_id, per_minute=limits_of(team_id).requests_per_minute)
        return True
