"""What the OpenAPI document shows of webhooks."""

from typing import Any, Final

from automette.openapi_examples import (
    API,
    CREATED_AT,
    DELIVERY_ID,
    RENDER_ID,
    UPDATED_AT,
    WEBHOOK_ID,
    Examples,
    error,
)

_SECRET: Final = "wh_ThisWouldBeTwentyFourRandomBytes"  # noqa: S105 (made up)
_URL: Final = "https://shop.example/automette"
_WEBHOOK: Final[dict[str, Any]] = {
    "id": WEBHOOK_ID,
    "url": _URL,
    "events": ["render.completed", "render.failed"],
    "enabled": True,
    "failure_count": 0,
    "created_at": CREATED_AT,
    "updated_at": UPDATED_AT,
    "self": f"{API}/webhooks/{WEBHOOK_ID}",
    "disabled_reason": None,
    "signature_key": "base64",
}
_CREATED: Final[dict[str, Any]] = {
    "id": WEBHOOK_ID,
    "url": _URL,
    "events": ["render.completed", "render.failed"],
    "secret": _SECRET,
    "enabled": True,
    "created_at": CREATED_AT,
}
_DELIVERY: Final[dict[str, Any]] = {
    "id": DELIVERY_ID,
    "self": f"{API}/webhook_deliveries/{DELIVERY_ID}",
    "webhook_id": WEBHOOK_ID,
    "event_id": f"evt_render_{RENDER_ID}",
    "event": "render.completed",
    "render_id": RENDER_ID,
    "url": _URL,
    "status": "delivered",
    "attempt_count": 1,
    "next_attempt_at": None,
    "delivered_at": UPDATED_AT,
    "created_at": UPDATED_AT,
}
_WAITING: Final[dict[str, Any]] = {
    **_DELIVERY,
    "status": "pending",
    "next_attempt_at": UPDATED_AT,
    "delivered_at": None,
}
_TEST: Final = {**_WAITING, "event_id": "evt_test_cmi1example0test000000001", "render_id": None, "attempt_count": 0}
_ATTEMPT: Final[dict[str, Any]] = {
    "id": "cmi1example0attempt000001",
    "number": 1,
    "manual": False,
    "url": _URL,
    "success": True,
    "http_status": 200,
    "error": None,
    "error_code": None,
    "milliseconds": 84,
    "answer": "ok",
    "created_at": UPDATED_AT,
    "finished_at": UPDATED_AT,
}
_BODY: Final = f'{{"event_id":"evt_render_{RENDER_ID}","event":"render.completed","render_id":"{RENDER_ID}"}}'
_HERE: Final = {"webhook_id": WEBHOOK_ID}
_OF_DELIVERY: Final = {"delivery_id": DELIVERY_ID}
_IS_DISABLED: Final = {
    "Disabled": error(
        f'This webhook is disabled. Enable it first: PATCH {API}/webhooks/{WEBHOOK_ID} with {{"enabled": true}}.'
    )
}
_REFUSED: Final = {
    "Not https": error("url: The URL must start with https://; http is not allowed here."),
    "Unknown event": error("events.0: Must be one of: render.completed, render.failed, form.submitted."),
}

_BAD_KEY: Final = {
    "Not a key": error(
        "Idempotency-Key: Must have 8 to 255 characters, each a letter from A to Z, a digit or one of _-:. "
        "(a UUID, say)."
    )
}

EXAMPLES: Final = {
    "list_webhooks": Examples(answers={200: {"Oldest first": [_WEBHOOK]}}),
    "create_webhook": Examples(
        description="The answer shows the `secret` that every delivery is signed with; it is not shown again.",
        body={"Both ends of a render": {"url": _URL, "events": ["render.completed", "render.failed"]}},
        answers={
            201: {"Created": _CREATED},
            400: {"A field is missing": error("events: This field is required.")},
            422: _REFUSED,
        },
    ),
    "get_webhook": Examples(parameters=_HERE, answers={200: {"Webhook": _WEBHOOK}}),
    "update_webhook": Examples(
        description="What was not delivered while it was disabled is sent when you ask for it: `/redeliver`.",
        parameters=_HERE,
        body={"Enable": {"enabled": True}, "Other events": {"events": ["render.failed"]}},
        answers={200: {"Enabled": _WEBHOOK}, 422: _REFUSED},
    ),
    "delete_webhook": Examples(
        description="Nothing more is sent, what was on its way neither.",
        parameters=_HERE,
        answers={200: {"Deleted": {"id": WEBHOOK_ID, "deleted": True}}},
    ),
    "rotate_webhook_secret": Examples(
        description="The answer shows the new `secret`; it is not shown again. A second rotation within 24 hours "
        "ends the oldest secret at once.",
        parameters=_HERE,
        answers={
            200: {
                "Rotated": {"id": WEBHOOK_ID, "secret": _SECRET, "previous_secret_until": "2026-11-21T09:41:12.004Z"}
            },
            422: _BAD_KEY,
        },
    ),
    "test_webhook": Examples(
        description='One attempt, which counts nowhere. Its body has `"test": true` and ids of nothing; read the '
        "delivery to see what the receiver answered.",
        parameters=_HERE,
        body={"The first event": {}, "A failed render": {"event": "render.failed"}},
        answers={
            202: {"On its way": _TEST},
            409: _IS_DISABLED,
            422: {"Unknown event": error("event: Must be one of: render.completed, render.failed, form.submitted.")},
        },
    ),
    "list_webhook_deliveries": Examples(
        parameters=_HERE,
        answers={
            200: {"Newest first": {"deliveries": [_DELIVERY], "next_cursor": None}},
            422: {"Unknown cursor": error("cursor: unknown. Take the value of next_cursor from the page before.")},
        },
    ),
    "redeliver_to_webhook_since": Examples(
        description="Deliveries that failed or were suspended, of events since then: one attempt each.",
        parameters=_HERE,
        body={"Since the morning": {"since": "2026-11-20T06:00:00.000Z"}},
        answers={
            202: {"On their way": {"id": WEBHOOK_ID, "redelivered": 17}},
            400: {"A field is missing": error("since: This field is required.")},
            409: _IS_DISABLED,
            422: {
                "Not a time": error(
                    "since: Datetime has wrong format. Use one of these formats instead: "
                    "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
                )
            },
        },
    ),
    "get_webhook_delivery": Examples(
        parameters=_OF_DELIVERY,
        answers={200: {"Delivered": {**_DELIVERY, "body": _BODY, "attempts": [_ATTEMPT]}}},
    ),
    "redeliver_webhook_delivery": Examples(
        description="One attempt, which counts nowhere; the event keeps its id. A delivery that waits for its next "
        "attempt has it now instead.",
        parameters=_OF_DELIVERY,
        answers={202: {"On its way": _WAITING}, 409: _IS_DISABLED, 422: _BAD_KEY},
    ),
}
