"""What a team may ask for: a URL base for a template, its end, and signed URLs."""

import secrets
import string
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import transaction

from accounts.idempotency import creating
from accounts.models import Team
from accounts.services import record_audit
from automette.lib.encryption import decrypt, encrypt
from automette.lib.errors import InvalidValueError, NotFoundError
from automette.lib.ids import new_id
from ondemand import signatures, statements
from ondemand.models import TOKEN_LENGTH, SignedDocument, UrlBase
from ondemand.statements import Signed, Taken
from renders.models import Job, Render
from renders.services import start_kept_render
from renders.statements import TemplateInUse, find_template
from templates_app.models import FORMATS, Template

_ALPHABET: Final = string.ascii_letters + string.digits


class SignedUrl(NamedTuple):
    """The URL that shows a template with some data, to whoever has it."""

    url: str
    template_name: str
    format: str
    url_base: str


def replace_url_base(*, team: Team, actor: str, template_id: str) -> str:
    """Give a template a new URL base and return its token; what was signed under an older one ends at once.

    Each call makes another. Raises NotFoundError.
    """
    with creating():
        template = _lock(team, template_id)
        replaced = _end(template)
        base = UrlBase(id=new_id(), team=team, template=template, token=_new_token())
        base.signing_key = encrypt(secrets.token_hex(signatures.KEY_BYTES), base.id)
        base.save(force_insert=True)
        action = "url_base.replaced" if replaced else "url_base.created"
        record_audit(team=team, action=action, actor=actor, subject=template.id)
    return base.token


def revoke_url_base(*, team: Team, actor: str, template_id: str) -> None:
    """Take a template's URL base away: every URL signed under it ends at once. A repeat changes nothing.

    Raises NotFoundError.
    """
    with transaction.atomic():
        template = _lock(team, template_id)
        if _end(template):
            record_audit(team=team, action="url_base.revoked", actor=actor, subject=template.id)


def _lock(team: Team, template_id: str) -> Template:
    """Let one at a time change a template's URL base; renders of it are accepted meanwhile. Raises NotFoundError."""
    template = team.templates.live().select_for_update(no_key=True).filter(pk=template_id).first()
    if template is None:
        raise NotFoundError
    return template


def _end(template: Template) -> bool:
    """Delete the URL base of a locked template with all that is signed under it; False when it has none.

    It is locked first, in a statement of its own: then whoever is signing under it has finished, and is seen.
    """
    base = UrlBase.objects.select_for_update().filter(template=template).first()
    if base is None:
        return False
    base.delete()
    return True


def _new_token() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(TOKEN_LENGTH))


def sign_document(*, team: Team, actor: str, template_id: str, data: dict[str, Any]) -> SignedUrl:
    """Return the URL that shows the template with this data, and start its render so that the first visitor finds it.

    A repeat returns the same URL, and starts nothing while its render is under way or completed: it does when the
    template has another version, when the render failed, and when it was deleted. Then, as the first time, it costs
    one credit. Raises NotFoundError, InvalidValueError and InsufficientCreditsError; nothing is created then.
    """
    template = find_template(team_id=team.id, template_id=template_id)
    if template is None:
        raise NotFoundError
    ordered = signatures.canonical_data(data)
    parameter = signatures.data_parameter(ordered)
    sha256 = signatures.data_digest(parameter)
    while True:
        found = statements.find_signed(template_id=template.id, data_sha256=sha256)
        if found is None:
            raise InvalidValueError(
                "template_id: This template has no url_base. Make one with POST /api/v1/templates/{id}/url_base."
            )
        signed = _signed_url(template, found, parameter)
        if found.version_id == template.version_id and found.status not in {None, Render.Status.FAILED}:
            return signed
        document = SignedDocument(id=new_id(), url_base_id=found.base_id, data_sha256=sha256, render_id=new_id())
        with creating():
            if _start(team, actor, template, ordered, document):
                return signed


def _signed_url(template: TemplateInUse, found: Signed, parameter: str) -> SignedUrl:
    extension = FORMATS[template.engine][0]
    key = bytes.fromhex(decrypt(found.signing_key, found.base_id))
    signature = signatures.sign(key=key, token=found.token, format=extension, data=parameter)
    url = f"{settings.PUBLIC_URL}/ondemand/{found.token}/image.{extension}?data={parameter}&s={signature}"
    if len(url) > signatures.MAX_URL_LENGTH:
        raise InvalidValueError(
            f"data: Makes a URL of {len(url):,} characters; at most {signatures.MAX_URL_LENGTH:,} are possible. "
            "Send less data."
        )
    return SignedUrl(url=url, template_name=template.name, format=extension, url_base=found.token)


def _start(team: Team, actor: str, template: TemplateInUse, data: dict[str, str], document: SignedDocument) -> bool:
    """Start the render that a document lacks, unless somebody else just has; False when its URL base has ended.

    Of many who sign the same data at once, the first has the row; the others wait for it and find the render.
    """
    taken = statements.take(document)
    if taken is None:
        return False
    if taken.id != document.id and not _point_to(taken, document, version_id=template.version_id):
        return True
    start_kept_render(
        team=team,
        actor=actor,
        source=Job.Source.ONDEMAND,
        template=template,
        data=dict(data),
        render_id=document.render_id,
    )
    return True


def _point_to(taken: Taken, document: SignedDocument, *, version_id: str) -> bool:
    """Let a known document show the new render from now on; False when its present one is what is wanted."""
    last = Render.objects.only("status", "template_version_id", "deleted_at").get(pk=taken.render_id)
    if last.deleted_at is None:
        if last.template_version_id == version_id and last.status != Render.Status.FAILED:
            return False
        previous_id = last.id if last.status == Render.Status.COMPLETED else taken.previous_render_id
    else:
        previous_id = None  # what is older goes with what was deleted
    shown = {"render_id": document.render_id, "previous_render_id": previous_id}
    SignedDocument.objects.filter(pk=taken.id).update(**shown)
    return True
