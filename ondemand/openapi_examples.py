"""What the OpenAPI document shows of signed URLs."""

from typing import Final

from automette.openapi_examples import BASE, TEMPLATE_ID, Examples, error

_TOKEN: Final = "Yx4kPz8qWm2nRv6t"  # noqa: S105 (an example)
_URL: Final = (
    f"{BASE}/ondemand/{_TOKEN}/image.pdf?data=eyJuYW1lIjoiQWRhIn0&s=4kJgqE7m1c1oYx0p0b2c5oWc9l0vZr8yq3m7T6n2aBc"
)

EXAMPLES: Final = {
    "replace_url_base": Examples(
        description="Every URL that was signed under an older one ends at once.",
        parameters={"template_id": TEMPLATE_ID},
        answers={
            200: {"Made": {"url_base": _TOKEN}},
            422: {
                "Not an Idempotency-Key": error(
                    "Idempotency-Key: Must have 8 to 255 characters, each a letter from A to Z, a digit or one of "
                    "_-:. (a UUID, say)."
                )
            },
        },
    ),
    "revoke_url_base": Examples(
        description="Nobody is answered at its URLs any more; what caches keep, they keep.",
        parameters={"template_id": TEMPLATE_ID},
        answers={200: {"Revoked": {"url_base": None}}},
    ),
    "sign": Examples(
        description="The template needs a `url_base`. Costs one credit and starts the render at once. The same data "
        "again, in whatever order, gives the same URL and costs nothing, unless the template has another version by "
        "then or the render failed. Whoever has the URL sees the document, and needs no key.",
        body={"A document for Ada": {"template_id": TEMPLATE_ID, "data": {"name": "Ada"}}},
        answers={
            200: {
                "Signed": {"url": _URL, "template_name": "Greeting", "format": "pdf", "url_base": _TOKEN},
            },
            422: {
                "Not a string": error("data.price: Must be a string."),
                "No url_base": error(
                    "template_id: This template has no url_base. Make one with POST /api/v1/templates/{id}/url_base."
                ),
            },
        },
    ),
}
