"""The Idempotency-Key header: which request it stands for, and views that answer a repeat as the first time."""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from accounts.authentication import ApiRequest
from accounts.idempotency import FirstAnswer, RequestKey, answering, once
from automette.lib.encryption import decrypt, encrypt
from automette.lib.errors import InvalidValueError, MalformedRequestError
from automette.lib.uploads import Upload

REPLAYED: Final = {"Idempotent-Replayed": "true"}
_KEY: Final = re.compile(r"[A-Za-z0-9_\-:.]{8,255}")


def request_key(request: ApiRequest) -> RequestKey | None:
    """Return what the header says, None without one; raises InvalidValueError for what cannot be a key."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise InvalidValueError(
            "Idempotency-Key: Must have 8 to 255 characters, each a letter from A to Z, a digit or one of _-:. "
            "(a UUID, say)."
        )
    route = f"{request.method} {request.path}"
    return RequestKey(request.auth.team_id, route, key, _fingerprint(route, request.data))


def idempotent(post: Callable[..., Response]) -> Callable[..., Response]:
    """Make a view's `post` answer a repeat with the same Idempotency-Key as the first time.

    What it creates must be created in an `accounts.idempotency.creating` block, and its answers must be 2xx:
    refusals are raised.
    """
    return _repeatable(post, keep=_as_it_is, read=_as_it_is)


def idempotent_secret(post: Callable[..., Response]) -> Callable[..., Response]:
    """As `idempotent`, for answers that show a secret this once: they are kept encrypted."""
    return _repeatable(post, keep=encrypt, read=decrypt)


def _repeatable(
    post: Callable[..., Response], *, keep: Callable[[str, str], str], read: Callable[[str, str], str]
) -> Callable[..., Response]:
    """`keep` and `read` take an answer's text, and a text that is another one for every row."""

    @functools.wraps(post)
    def answer(view: Any, request: ApiRequest, **ids: str) -> Response:
        key = request_key(request)
        if key is None:
            return post(view, request, **ids)
        row = f"{key.team_id} {key.route} {key.key}"

        def create() -> Response:
            with answering(key) as attempt:
                response = post(view, request, **ids)
                body = JSONRenderer().render(response.data).decode()
                attempt.remember(status=response.status_code, body=keep(body, row))
                return response

        def replay(first: FirstAnswer) -> Response:
            return Response(json.loads(read(first.body, row)), first.status, headers=REPLAYED)

        return once(key, create, replay)

    return answer


def _as_it_is(text: str, row: str) -> str:
    return text


def _fingerprint(route: str, body: Any) -> str:
    """Return a digest that neither the order of keys nor white space changes; a file counts with name and content."""
    if isinstance(body, dict):
        body = {name: _digest(value) if isinstance(value, Upload) else value for name, value in body.items()}
    try:
        text = json.dumps([route, body], sort_keys=True)
    except RecursionError as error:
        raise MalformedRequestError("The body is not valid JSON: too deeply nested.") from error
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(file: Upload) -> dict[str, str]:
    return {"file": file.name, "sha256": hashlib.sha256(file.content).hexdigest()}
