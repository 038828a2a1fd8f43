"""What a visitor gets for a signed URL: the file, once there is one."""

from typing import Final

from django.conf import settings

from automette.lib.encryption import decrypt
from automette.lib.errors import DomainError, NotFoundError, RateLimitedError
from automette.lib.spare_redis import spare_redis
from automette.lib.tasks import send
from ondemand import signatures, statements
from ondemand.signatures import SignedQuery
from ondemand.statements import Shown
from renders.file_answers import ServedFile
from renders.filenames import content_disposition
from renders.models import Render
from renders.services import wait_for_end
from renders.tasks import run_render

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_FOR_NOW: Final = "public, max-age=60"  # an older file, in the place of one that failed and may be tried again

# Visitors of one document come together; one message for all of them does.
_RING_EVERY_SECONDS: Final = 5
_FIRST: Final = "return redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) and 1 or 0"


class WrongSignatureError(DomainError):
    """This is no URL that was signed here."""

    code = "wrong_signature"

    def __init__(self) -> None:
        super().__init__("The signature does not fit this address. Use it exactly as it was signed.")


class NotReadyError(DomainError):
    """The document is still being rendered; the same URL may show it later."""

    code = "not_ready"

    def __init__(self) -> None:
        super().__init__("This document is not ready yet. Try again in a few seconds.")


class NotRenderedError(DomainError):
    """The render failed, and there is no older one."""

    code = "not_rendered"

    def __init__(self) -> None:
        super().__init__("This document could not be rendered. Its owner finds the reason in the render.")


def fetch_document(*, token: str, extension: str, query: SignedQuery) -> ServedFile:
    """Return the file that a signed URL shows, after waiting for its render if that is not finished.

    Raises NotFoundError, WrongSignatureError, NotReadyError (also at once, while too many wait) and NotRenderedError.
    """
    shown = _find(token, extension, query)
    if shown.status in Render.OPEN:
        _wait(shown)
        shown = _find(token, extension, query)  # the URL base may have ended meanwhile
    if shown.status is None:
        raise NotFoundError
    if shown.status in Render.OPEN:
        raise NotReadyError
    if shown.key is None:
        raise NotRenderedError
    return _served(shown)


def _find(token: str, extension: str, query: SignedQuery) -> Shown:
    shown = statements.find_shown(token=token, data_sha256=signatures.data_digest(query.data))
    if shown is None:
        raise NotFoundError
    key = bytes.fromhex(decrypt(shown.signing_key, shown.base_id))
    if not signatures.is_signed(query, key=key, token=token, format=extension):
        raise WrongSignatureError
    return shown


def _wait(shown: Shown) -> None:
    """Wait as a sync call does; a team's visitors are counted apart from its calls, so neither shuts the other out.

    The render lies in a background queue, maybe behind many others. Somebody looks at the page now, so it is rung for
    in the queue of those who wait; the other message finds nothing to claim then.
    """
    render = Render.objects.get(pk=shown.render_id)
    if render.status == Render.Status.PENDING and _is_first(render.id):
        send(run_render, queue="interactive", kwargs={"render_id": render.id})
    try:
        wait_for_end(render, seconds=settings.SYNC_WAIT_SECONDS, counted_as=f"{shown.team_id}:visitors")
    except RateLimitedError as error:
        raise NotReadyError from error


def _is_first(render_id: str) -> bool:
    """Tell whether nobody has rung for it in the last seconds; without Redis nobody can."""
    return bool(spare_redis().run(_FIRST, keys=(f"automette:rung:{render_id}",), args=(_RING_EVERY_SECONDS,)))


def _served(shown: Shown) -> ServedFile:
    extension, name = str(shown.format), str(shown.filename)
    return ServedFile(
        key=str(shown.key),
        format=extension,
        media_type=str(shown.media_type),
        size_bytes=int(shown.size_bytes or 0),
        sha256=str(shown.sha256),
        disposition=content_disposition(filename=name, as_attachment=False),
        cache_control=_FOR_EVER if shown.shown_id == shown.render_id else _FOR_NOW,
        modified_at=shown.finished_at,
    )
