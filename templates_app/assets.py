"""What a caller may do with assets: the files that renders find by their names."""

import unicodedata
from pathlib import PurePosixPath
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Now
from django.utils.http import content_disposition_header

from accounts.idempotency import creating
from accounts.models import Team
from accounts.services import record_audit
from automette.lib import store
from automette.lib.errors import InvalidValueError, NotFoundError, TooLargeError
from automette.lib.media_types import media_type_of
from templates_app import blobs
from templates_app.models import Asset, Template
from workers.errors import RenderError
from workers.exchange import check_files

MAX_NAME: Final = 200


def save_asset(
    *, team: Team, actor: str, content: bytes, name: str, template_id: str | None = None
) -> tuple[Asset, bool]:
    """Keep a file under a name, for one template or the whole team; return the row and whether it is a new one.

    A name that is there already gets the new content; renders that start from then on use it. Raises NotFoundError
    for another team's template, InvalidValueError for a name that cannot be one and above the team's limits,
    TooLargeError, store.StoreUnavailableError; nothing has changed then.
    """
    template = _template(team, template_id)
    name = _checked_name(name)
    if len(content) > settings.MAX_ASSET_BYTES:
        raise TooLargeError(f"file: larger than {settings.MAX_ASSET_BYTES:,} bytes.")
    _check_room(team, template, name, len(content))  # before anything is stored
    words = {"media_type": media_type_of(content), "size_bytes": len(content), "sha256": blobs.put(team.id, content)}
    with creating():
        _lock(team)
        _check_room(team, template, name, len(content))
        asset, is_new = Asset.objects.update_or_create(
            team=team, template=template, name=name, defaults={**words, "updated_at": Now()}, create_defaults=words
        )
        action = "asset.created" if is_new else "asset.replaced"
        detail: dict[str, Any] = {"name": name, "sha256": asset.sha256, "template_id": asset.template_id}
        record_audit(team=team, action=action, actor=actor, subject=asset.id, detail=detail)
    asset.refresh_from_db()
    return asset, is_new


def visible_assets(*, team: Team) -> "QuerySet[Asset]":
    """Return the team's assets without those of deleted templates, which renders under way may still need."""
    return team.assets.filter(template__deleted_at=None)


def find_asset(*, team: Team, asset_id: str) -> Asset:
    """Return an asset of the team; raises NotFoundError."""
    asset = visible_assets(team=team).filter(pk=asset_id).first()
    if asset is None:
        raise NotFoundError
    return asset


def delete_asset(*, team: Team, actor: str, asset_id: str) -> None:
    """Forget an asset; renders that run already keep it. Raises NotFoundError, also when it is gone already."""
    with transaction.atomic():
        asset = find_asset(team=team, asset_id=asset_id)
        if not Asset.objects.filter(pk=asset.pk).delete()[0]:
            raise NotFoundError
        record_audit(team=team, action="asset.deleted", actor=actor, subject=asset.id, detail={"name": asset.name})


def download_url(*, asset: Asset) -> str:
    """Return where the content can be fetched for minutes without a key; browsers save it and never show it."""
    filename = asset.name.rpartition("/")[2]
    return store.presigned_url(
        blobs.key_of(asset.team_id, asset.sha256),
        media_type=asset.media_type,
        disposition=str(content_disposition_header(as_attachment=True, filename=filename)),
        seconds=settings.PRESIGNED_URL_SECONDS,
    )


def _template(team: Team, template_id: str | None) -> Template | None:
    if template_id is None:
        return None
    template = team.templates.live().filter(pk=template_id).first()
    if template is None:
        raise NotFoundError
    return template


def _checked_name(name: str) -> str:
    """Return the name as it is kept: composed characters, whatever the sender's file system makes of them."""
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidValueError(f"name: Must have 1 to {MAX_NAME} characters.")
    try:
        check_files({name: b""})
    except RenderError as error:
        raise InvalidValueError(
            "name: Must be a relative path like logo.png or images/logo.png: no empty, '.' or '..' parts, no "
            "backslashes, nothing invisible, and not below .automette."
        ) from error
    return name


def _lock(team: Team) -> None:
    """Let one writer of assets at a time judge the team's limits. Renders, which refer to the team, go on."""
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)


def _check_room(team: Team, template: Template | None, name: str, size: int) -> None:
    """Raise InvalidValueError when the team would have too much, or when a file would be a folder as well."""
    here = Asset.objects.filter(team=team, template=template)
    others = team.assets.exclude(pk__in=here.filter(name=name).values("pk"))
    have = others.aggregate(count=Count("pk"), size=Sum("size_bytes", default=0))
    if have["count"] >= settings.MAX_ASSETS:
        raise InvalidValueError(f"This team has {have['count']:,} assets, as many as it may. Delete one first.")
    if have["size"] + size > settings.MAX_ASSETS_BYTES:
        raise InvalidValueError(
            f"This team's assets would have more than {settings.MAX_ASSETS_BYTES:,} bytes. Delete some first."
        )
    _check_no_folder(here, name)


def _check_no_folder(here: "QuerySet[Asset]", name: str) -> None:
    above = [str(folder) for folder in PurePosixPath(name).parents[:-1]]
    if here.filter(name__in=above).exists() or here.filter(name__startswith=f"{name}/").exists():
        raise InvalidValueError("name: It would be a file and a folder at once.")
