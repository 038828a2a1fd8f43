"""How the examples of the OpenAPI document are written down: one `EXAMPLES` of each app, by operation id.

Ids and addresses in them are made up. The document that a `make run` serves has the demo team's in their place
(`automette.openapi_document`), so that every example can be sent as it stands.
"""

from dataclasses import dataclass, field
from typing import Any, Final

BASE: Final = "http://localhost:8000"
API: Final = f"{BASE}/api/v1"
TEMPLATE_ID: Final = "cmi1example0typst00000001"
CANVAS_TEMPLATE_ID: Final = "cmi1example0canvas0000001"
WORD_TEMPLATE_ID: Final = "cmi1example0word000000001"
PROJECT_ID: Final = "cmi1example0project000001"
RENDER_ID: Final = "cmi1example0render0000001"
JOB_ID: Final = "cmi1example0job0000000001"
ASSET_ID: Final = "cmi1example0asset00000001"
FONT_ID: Final = "cmi1example0font000000001"
WEBHOOK_ID: Final = "cmi1example0webhook000001"
DELIVERY_ID: Final = "cmi1example0delivery00001"
CREATED_AT: Final = "2026-11-20T09:30:00.250Z"
UPDATED_AT: Final = "2026-11-20T09:41:12.004Z"

Named = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Examples:
    """Of one operation.

    `body` are requests by what they show, `form` the parts of one but for its file; `parameters` are values of path
    and query parameters; `answers` are bodies by status, each again by what it shows. Error statuses that are not
    here have the shared examples.
    """

    description: str = ""
    body: Named = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    answers: dict[int, Named] = field(default_factory=dict)


def error(sentence: str, detail: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the body of an error answer."""
    return {"error": sentence, **({"detail": detail} if detail else {}), **more}


ERRORS: Final[dict[int, Named]] = {
    400: {
        "Not an object": error("The body must be a JSON object."),
    },
    401: {
        "No key": error("No API key. Send it as 'Authorization: Bearer dg_...'."),
        "Typing error": error("This is not an API key of this service: check for a typing error."),
        "Not valid": error("This API key is not known, has expired or was revoked."),
    },
    402: {
        "No credit left": error(
            "Insufficient credits", required_credits=1, available_credits=0, credit_balance=0, overage_limit=0
        )
    },
    404: {"Not found": error("Not found.")},
    409: {
        "Another body": error(
            "This Idempotency-Key was used for a request with another body within the last 24 hours. "
            "Use a new key for a new request."
        ),
        "Still under way": error(
            "The first request with this Idempotency-Key is still being answered. Try again in a second."
        ),
    },
    413: {"Too large": error("The body is larger than 8,000,000 bytes.")},
    415: {"Another type": error('Unsupported media type "text/plain" in request.')},
    425: {"Not finished": error("The render is not finished yet. Ask again in a moment.")},
    429: {"Too many requests": error("Too many requests: this team may send 6,000 per minute.")},
    500: {
        "Server error": error(
            "Something went wrong on our side. It is safe to try again.",
            "Request id: 3f0c9a1e-5a0b-4c52-9d8e-0f6d3b1c7a42",
        )
    },
    503: {"A part is away": error("The database is not reachable. Try again.")},
}
