"""Moving accounts through time: the database's clock decides, so tests move the rows."""

from django.db import connection

_BACK = """
UPDATE credits_creditaccount AS account
SET anchored_at = moved.anchor,
    period_started_at = credits_period_start(moved.anchor, period_started_at - make_interval(days => %(days)s), 0),
    resets_at = credits_period_start(moved.anchor, period_started_at - make_interval(days => %(days)s), 1)
FROM (SELECT team_id, anchored_at - make_interval(days => %(days)s) AS anchor FROM credits_creditaccount) AS moved
WHERE moved.team_id = account.team_id AND account.team_id = %(team)s
"""


def move_back(team, days: int) -> None:
    """Let so many days pass for a team, days in which nothing looked after its reset."""
    with connection.cursor() as cursor:
        cursor.execute(_BACK, {"team": team.id, "days": days})


def period_start(anchored_at, moment, later=0):
    with connection.cursor() as cursor:
        cursor.execute("SELECT credits_period_start(%s, %s, %s)", [anchored_at, moment, later])
        return cursor.fetchone()[0]
