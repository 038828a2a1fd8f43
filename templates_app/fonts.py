"""What a caller may do with fonts: TTF and OTF files that every template of the team can name."""

import hashlib
import unicodedata
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Sum
from django.utils.http import content_disposition_header

from accounts.idempotency import creating
from accounts.models import Team
from accounts.services import record_audit
from automette.lib import store, worker_calls
from automette.lib.errors import InvalidValueError, NotFoundError, TooLargeError
from automette.lib.media_types import media_type_of
from templates_app import blobs
from templates_app.models import Font
from templates_app.tasks import inspect_font, list_server_families

_INSPECTION_SECONDS: Final = 30
_LISTING_SECONDS: Final = 10
_LIST_KEPT_SECONDS: Final = 60
_SERVER_FAMILIES: Final = "server_font_families"
_MAX_FILENAME: Final = 200
_NOT_TAKEN: Final = {
    "font/woff": "file: This is a WOFF font, made for web pages. Convert it to TTF or OTF, then upload that.",
    "font/woff2": "file: This is a WOFF2 font, made for web pages. Convert it to TTF or OTF, then upload that.",
    "font/collection": "file: This is a collection of fonts (TTC). Upload each of its fonts as a TTF or OTF file.",
}
_NO_FONT: Final = "file: This is not a font. Upload a TrueType or OpenType font (.ttf, .otf)."


def add_font(*, team: Team, actor: str, content: bytes, filename: str) -> tuple[Font, bool]:
    """Keep a font for every template of the team; return the row and whether it is a new one.

    A file that the team has already is left as it is. A worker has set text in it before it is kept. Raises
    InvalidValueError for what is no usable font and above the team's limits, TooLargeError, WorkerUnavailableError,
    store.StoreUnavailableError; nothing has changed then.
    """
    if len(content) > settings.MAX_FONT_BYTES:
        raise TooLargeError(f"file: larger than {settings.MAX_FONT_BYTES:,} bytes.")
    media_type = media_type_of(content)
    if media_type not in {"font/ttf", "font/otf"}:
        raise InvalidValueError(_NOT_TAKEN.get(media_type, _NO_FONT))
    sha256 = hashlib.sha256(content).hexdigest()
    if known := team.fonts.filter(sha256=sha256).first():
        return known, False
    _check_room(team, len(content))  # before anything is stored
    blobs.put(team.id, content)
    about = {**_inspect(team, sha256), "filename": _shown_name(filename), "size_bytes": len(content)}
    with creating():
        _lock(team)
        if known := team.fonts.filter(sha256=sha256).first():
            return known, False
        _check_room(team, len(content))
        font = Font.objects.create(team=team, sha256=sha256, **about)
        detail = {"filename": font.filename, "families": font.families, "sha256": sha256}
        record_audit(team=team, action="font.created", actor=actor, subject=font.id, detail=detail)
    font.refresh_from_db()
    return font, True


def find_font(*, team: Team, font_id: str) -> Font:
    """Return a font of the team; raises NotFoundError."""
    font = team.fonts.filter(pk=font_id).first()
    if font is None:
        raise NotFoundError
    return font


def delete_font(*, team: Team, actor: str, font_id: str) -> None:
    """Forget a font; renders that run already keep it. Raises NotFoundError, also when it is gone already."""
    with transaction.atomic():
        font = find_font(team=team, font_id=font_id)
        if not Font.objects.filter(pk=font.pk).delete()[0]:
            raise NotFoundError
        detail = {"filename": font.filename, "families": font.families}
        record_audit(team=team, action="font.deleted", actor=actor, subject=font.id, detail=detail)


def download_url(*, font: Font) -> str:
    """Return where the file can be fetched for minutes without a key; browsers save it."""
    return store.presigned_url(
        blobs.key_of(font.team_id, font.sha256),
        media_type="font/sfnt",
        disposition=str(content_disposition_header(as_attachment=True, filename=font.filename)),
        seconds=settings.PRESIGNED_URL_SECONDS,
    )


def list_families(*, team: Team) -> list[dict[str, str]]:
    """Return every family that templates of the team may name: `family`, and whether `team` or `server` has it.

    A family that both have is the team's, whose faces go first. Raises WorkerUnavailableError.
    """
    sources = dict.fromkeys(_server_families(team), "server")
    for families in team.fonts.values_list("families", flat=True):
        sources |= dict.fromkeys(families, "team")
    return [{"family": family, "source": sources[family]} for family in sorted(sources, key=str.casefold)]


def _server_families(team: Team) -> list[str]:
    """Ask a worker, once a minute in each web process: the fonts of a server change when its workers start."""
    families: list[str] | None = cache.get(_SERVER_FAMILIES)
    if families is None:
        families = _ask(list_server_families, {"team_id": team.id}, _LISTING_SECONDS)["families"]
        cache.set(_SERVER_FAMILIES, families, _LIST_KEPT_SECONDS)
    return families


def _inspect(team: Team, sha256: str) -> dict[str, Any]:
    return _ask(inspect_font, {"team_id": team.id, "sha256": sha256}, _INSPECTION_SECONDS)


def _ask(task: Any, question: dict[str, str], seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = worker_calls.call(task, queue="interactive", kwargs=question, seconds=seconds)
    if "error" not in found:
        return found
    if found["retry"]:
        raise worker_calls.WorkerUnavailableError
    raise InvalidValueError(f"file: {found['error']}")


def _shown_name(filename: str) -> str:
    """Return the file's name as lists show it; it decides nothing."""
    name = "".join(sign for sign in unicodedata.normalize("NFC", filename) if sign.isprintable())
    return name[-_MAX_FILENAME:] or "font"


def _lock(team: Team) -> None:
    """Let one writer of fonts at a time judge the team's limits. Renders, which refer to the team, go on."""
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)


def _check_room(team: Team, size: int) -> None:
    """Raise InvalidValueError when the team would have too much."""
    have = team.fonts.aggregate(count=Count("pk"), size=Sum("size_bytes", default=0))
    if have["count"] >= settings.MAX_FONTS:
        raise InvalidValueError(f"This team has {have['count']:,} fonts, as many as it may. Delete one first.")
    if have["size"] + size > settings.MAX_FONTS_BYTES:
        raise InvalidValueError(
            f"This team's fonts would have more than {settings.MAX_FONTS_BYTES:,} bytes. Delete some first."
        )
