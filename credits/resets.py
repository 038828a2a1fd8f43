"""The monthly reset: once in each period of a team, whoever notices first that it is due, also after an outage."""

from typing import Final

import structlog
from django.db import connection
from django.db.models.functions import Now

from credits.models import CreditAccount

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 10_000

# The plan is looked up below SET, not joined to `before`: who waited here for the lock of a change of plan must find
# the plan that this change left. The lock also checks `resets_at` again, so that of many at once one goes on.
_RESET: Final = """
WITH before AS (
    SELECT team_id, credit_balance FROM credits_creditaccount
    WHERE team_id = %(team)s AND resets_at <= statement_timestamp()
    FOR UPDATE
), account AS (
    UPDATE credits_creditaccount AS account
    SET (monthly_credits, credit_balance, overage_limit) = (
            SELECT coalesce(account.own_monthly_credits, plan.monthly_credits, account.monthly_credits),
                coalesce(account.own_monthly_credits, plan.monthly_credits, account.monthly_credits),
                coalesce(account.own_overage_limit, plan.overage_limit, account.overage_limit)
            FROM (SELECT account.plan_id) AS on_plan LEFT JOIN credits_plan AS plan ON plan.id = on_plan.plan_id
        ),
        period_started_at = credits_period_start(account.anchored_at, statement_timestamp(), 0),
        resets_at = credits_period_start(account.anchored_at, statement_timestamp(), 1)
    FROM before WHERE account.team_id = before.team_id
    RETURNING account.team_id, account.credit_balance, account.credit_balance - before.credit_balance AS amount
)
INSERT INTO credits_ledgerentry (team_id, kind, amount, balance_after, actor)
SELECT team_id, 'reset', amount, credit_balance, 'monthly reset' FROM account
RETURNING amount
"""


def reset_if_due(*, team_id: str) -> bool:
    """Fill the balance up to the month's credits if a new period has begun; return whether this call did it.

    Periods that nobody noticed are one reset together. A repeat changes nothing. By the database's clock.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESET, {"team": team_id})
        return cursor.fetchone() is not None


def reset_due_accounts() -> int:
    """Reset every team whose period has ended, longest overdue first; return how many this call reset.

    Each team is a transaction of its own, so an interruption costs nothing: the next call goes on with the rest.
    """
    due = CreditAccount.objects.filter(resets_at__lte=Now()).order_by("resets_at", "team_id")
    done = sum(reset_if_due(team_id=team_id) for team_id in list(due.values_list("team_id", flat=True)[:_AT_ONCE]))
    if done:
        log.info("credits_reset", teams=done)
    return done
