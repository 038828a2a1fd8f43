"""What the OpenAPI document shows of credits."""

from typing import Final

from automette.openapi_examples import CREATED_AT, RENDER_ID, Examples, error

_CURSOR: Final = error("cursor: unknown. Take the value of next_cursor from the page before.")

EXAMPLES: Final = {
    "get_credits": Examples(
        description="`available_credits` is what can still be rendered: `credit_balance` plus `overage_limit`.",
        answers={
            200: {
                "Credits": {
                    "credit_balance": 958,
                    "overage_limit": 0,
                    "available_credits": 958,
                    "monthly_credits": 1000,
                    "period_started_at": "2026-11-01T00:00:00.000Z",
                    "resets_at": "2026-12-01T00:00:00.000Z",
                }
            }
        },
    ),
    "list_ledger_entries": Examples(
        description="The balance is always the sum of these. A render that fails gives its credit back.",
        answers={
            200: {
                "Newest first": {
                    "entries": [
                        {
                            "id": "4312",
                            "kind": "charge",
                            "amount": -1,
                            "balance_after": 958,
                            "render_id": RENDER_ID,
                            "actor": "key:1",
                            "created_at": CREATED_AT,
                        }
                    ],
                    "next_cursor": None,
                }
            },
            422: {"Unknown cursor": _CURSOR},
        },
    ),
}
