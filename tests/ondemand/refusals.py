"""The one form of every error that a visitor can meet."""

SENTENCES = {
    403: "The signature does not fit this address. Use it exactly as it was signed.",
    404: "Not found.",
    405: "This address can only be read: GET, HEAD or OPTIONS.",
    412: "The document is not as the request demands it.",
    416: "The document has no such range of bytes.",
    422: "This document could not be rendered. Its owner finds the reason in the render.",
    503: "This document is not ready yet. Try again in a few seconds.",
}


def is_refusal(answer, status: int) -> bool:
    """An error of this status, in the only form that there is, which nobody may keep."""
    assert answer.status_code == status, answer.content
    assert answer.content == f'{{"error":"{SENTENCES[status]}"}}'.encode()
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert {"Vary", "Set-Cookie", "ETag", "X-Frame-Options"} & set(answer.headers) == set()
    assert ("Retry-After" in answer.headers) == (status == 503)
    return True
