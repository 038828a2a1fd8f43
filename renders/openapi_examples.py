"""What the OpenAPI document shows of renders."""

from typing import Any, Final

from automette.openapi_examples import (
    API,
    BASE,
    CANVAS_TEMPLATE_ID,
    CREATED_AT,
    JOB_ID,
    RENDER_ID,
    TEMPLATE_ID,
    UPDATED_AT,
    WORD_TEMPLATE_ID,
    Examples,
    error,
)

_SELF: Final = f"{API}/renders/{RENDER_ID}"
_CREATED: Final[dict[str, Any]] = {
    "id": RENDER_ID,
    "self": _SELF,
    "status": "completed",
    "url": f"{BASE}/renders/{RENDER_ID}.pdf",
    "format": "pdf",
    "template_id": TEMPLATE_ID,
    "template_name": "Greeting",
    "data": {"name": "Ada"},
    "job_id": JOB_ID,
    "created_at": CREATED_AT,
    "expires_at": None,
    "expired_at": None,
}
_PENDING: Final = {**_CREATED, "status": "pending", "url": None}
_WORD: Final = {
    **_PENDING,
    "template_id": WORD_TEMPLATE_ID,
    "template_name": "Offer letter",
    "data": {},
    "files": [{"format": "pdf", "url": None}, {"format": "docx", "url": None}],
}
_DETAIL: Final = {
    **_CREATED,
    "webhook_url": None,
    "webhook_deliveries": None,
    "error": None,
    "pages": 1,
    "report": {"fonts": [], "warnings": []},
}
_TOLD: Final = {
    **_DETAIL,
    "webhook_url": "https://shop.example/automette",
    "webhook_deliveries": [
        {
            "id": "cmi1example0attempt000001",
            "event_id": f"evt_render_{RENDER_ID}",
            "source": "render_webhook",
            "http_status": 503,
            "success": False,
            "error": "The receiver answered 503.",
            "created_at": CREATED_AT,
        },
        {
            "id": "cmi1example0attempt000002",
            "event_id": f"evt_render_{RENDER_ID}",
            "source": "render_webhook",
            "http_status": 200,
            "success": True,
            "error": None,
            "created_at": UPDATED_AT,
        },
    ],
}
_LIST_ITEM: Final = {**{key: value for key, value in _CREATED.items() if key != "data"}, "error": None}
_JOB: Final[dict[str, Any]] = {
    "id": JOB_ID,
    "self": f"{API}/jobs/{JOB_ID}",
    "source": "api",
    "created_at": CREATED_AT,
    "finished_at": UPDATED_AT,
    "render_count": 1,
    "renders_by_status": {"pending": 0, "running": 0, "completed": 1, "failed": 0},
    "deleted_count": 0,
}
_NO_CURSOR: Final = error("cursor: unknown. Take the value of next_cursor from the page before.")
_PAGE_TOO_LONG: Final = error("limit: Ensure this value is less than or equal to 100.")
_PAGE_ERRORS: Final = {"Out of range": _PAGE_TOO_LONG, "Unknown cursor": _NO_CURSOR}

EXAMPLES: Final = {
    "create_render": Examples(
        description="Costs one credit; a render that fails gives it back. Unless `async` is false the answer comes "
        "at once, with `status` `pending` and without `url`: read the render later. The URL of a `public` render "
        "needs no key and stays valid; that of a `secure` one needs it, and redirects to one that is valid for "
        "minutes.",
        body={
            "Wait for the PDF": {"template_id": TEMPLATE_ID, "data": {"name": "Ada"}, "async": False},
            "Be answered at once": {"template_id": TEMPLATE_ID, "data": {"name": "Ada"}},
            "Only with the key": {
                "template_id": TEMPLATE_ID,
                "data": {"name": "Ada"},
                "visibility": "secure",
                "filename_pattern": "{template} for {name}",
            },
            "A picture": {"template_id": CANVAS_TEMPLATE_ID, "data": {}, "format": "png", "async": False},
            "PDF and Word file": {"template_id": WORD_TEMPLATE_ID, "data": {}, "formats": ["pdf", "docx"]},
        },
        answers={
            200: {"Finished": _CREATED},
            202: {"Accepted": _PENDING, "PDF and Word file": _WORD},
            400: {
                "A field is missing": error("template_id: This field is required."),
                "Not an object": error("The body must be a JSON object."),
            },
            422: {
                "A value is not allowed": error("visibility: Must be one of: public, secure."),
                "No address for a webhook": error("webhook_url: Must begin with https://."),
                "The render failed": error("error: cannot divide by zero", id=RENDER_ID, self=_SELF, status="failed"),
            },
            429: {
                "Too many requests": error("Too many requests: this team may send 6,000 per minute."),
                "Too many wait": error(
                    "Too many calls wait for their documents: this team may wait with 64 at once.",
                    "Nothing was created or charged. Render with `async: true` to be called or to ask later.",
                ),
            },
        },
    ),
    "list_renders": Examples(
        description="Page by page: send `next_cursor` of one page as `cursor` for the next. New renders do not shift "
        "the pages.",
        answers={
            200: {"Newest first": {"renders": [_LIST_ITEM], "next_cursor": None}},
            422: _PAGE_ERRORS,
        },
    ),
    "get_render": Examples(
        description="`url` is null until `status` is `completed`. With `download=true` the answer redirects to the "
        "file; this page cannot follow it there, a browser or `curl -L` can.",
        parameters={"render_id": RENDER_ID},
        answers={
            200: {"Completed": _DETAIL, "Told to a webhook": _TOLD},
            422: {"Unknown format": error("format: Must be one of: pdf, png, svg, jpg, webp, docx.")},
        },
    ),
    "delete_render": Examples(
        description="For good: its files, its data and what the engine said of it. One that is not finished is ended "
        "first, and its credit given back.",
        parameters={"render_id": RENDER_ID},
        answers={
            200: {
                "Deleted": {
                    "id": RENDER_ID,
                    "deleted": True,
                    "deleted_at": UPDATED_AT,
                    "status": "completed",
                    "files": [
                        {
                            "format": "pdf",
                            "size_bytes": 9120,
                            "sha256": "0b3c1d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a",
                        }
                    ],
                    "files_deleted": True,
                }
            }
        },
    ),
    "list_jobs": Examples(
        description="A job is one request, and the renders that it caused.",
        answers={200: {"Newest first": {"jobs": [_JOB], "next_cursor": None}}, 422: _PAGE_ERRORS},
    ),
    "get_job": Examples(
        parameters={"job_id": JOB_ID},
        answers={200: {"Job": {**_JOB, "renders": [_LIST_ITEM], "next_cursor": None}}, 422: _PAGE_ERRORS},
    ),
}
