"""Do balances and ledger agree? They do by construction; this is for finding out when somebody wrote by hand."""

import dataclasses
from typing import Final

from django.db import connection

# One statement sees one moment, so traffic that goes on meanwhile is no false alarm.
_CHECK: Final = """
WITH entry AS (
    SELECT team_id, id, amount, balance_after,
        lag(balance_after, 1, 0::bigint) OVER (PARTITION BY team_id ORDER BY id) AS balance_before
    FROM credits_ledgerentry WHERE %(team)s::text IS NULL OR team_id = %(team)s
), ledger AS (
    SELECT team_id, sum(amount) AS total, min(id) FILTER (WHERE balance_before + amount <> balance_after) AS gap
    FROM entry GROUP BY team_id
), account AS (
    SELECT team_id, credit_balance FROM credits_creditaccount WHERE %(team)s::text IS NULL OR team_id = %(team)s
)
SELECT team_id, account.credit_balance, coalesce(ledger.total, 0)::bigint, ledger.gap
FROM account FULL JOIN ledger USING (team_id)
WHERE account.credit_balance IS DISTINCT FROM coalesce(ledger.total, 0) OR ledger.gap IS NOT NULL
ORDER BY team_id
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Mismatch:
    """A team whose ledger does not add up; `gap` is the first entry that does not follow from the one before."""

    team: str
    credit_balance: int | None
    ledger_total: int
    gap: int | None

    def __str__(self) -> str:
        balance = "has no account" if self.credit_balance is None else f"has a balance of {self.credit_balance}"
        gap = "" if self.gap is None else f"; its entry {self.gap} does not follow from the one before"
        return f"Team {self.team} {balance}, its ledger sums to {self.ledger_total}{gap}."


def find_mismatches(*, team_id: str | None = None) -> list[Mismatch]:
    """Return what does not agree, of one team or of all; reads the whole ledger for that."""
    with connection.cursor() as cursor:
        cursor.execute(_CHECK, {"team": team_id})
        return [Mismatch(*row) for row in cursor.fetchall()]
