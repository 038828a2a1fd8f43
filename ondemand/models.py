from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Team
from automette.lib.ids import ID_LENGTH, new_id
from renders.models import Render
from templates_app.models import Template

TOKEN_LENGTH = 16
_FORM = r"^[A-Za-z0-9]{16}$"


class UrlBase(models.Model):
    """What makes a template's signed URLs: the token that stands in them and the key that signs them.

    A template has none or one. It is never changed: replacing it deletes it, with everything signed under it, and
    makes another; so does revoking it, without another. With its template deleted it opens nothing any more.
    The key is encrypted (`automette.lib.encryption`, bound to the row's id).
    """

    encrypted_fields: ClassVar = ("signing_key",)

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="url_bases", db_index=False)
    template = models.OneToOneField(Template, on_delete=models.CASCADE, related_name="url_base")
    token = models.CharField(max_length=TOKEN_LENGTH, unique=True, editable=False, db_collation="C")
    signing_key = models.TextField(editable=False, help_text="Encrypted.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(token__regex=_FORM), name="url_base_token_form"),
        ]

    def __str__(self) -> str:
        return self.token


class SignedDocument(models.Model):
    """Data that was signed under a URL base, and the render that its URL shows.

    The row is there before its first render is, in one transaction with it and its charge. A new version of the
    template, a render that failed and one that was deleted are followed by another at the next signing; until that
    one is completed, and if it fails, there may be `previous_render`, the last one that was completed.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    url_base = models.ForeignKey(UrlBase, on_delete=models.CASCADE, related_name="documents", db_index=False)
    data_sha256 = models.CharField(max_length=64, help_text="Of the canonical data as it stands in the URL.")
    render = models.ForeignKey(Render, on_delete=models.PROTECT, related_name="+", db_index=False)
    previous_render = models.ForeignKey(
        Render, on_delete=models.PROTECT, related_name="+", db_index=False, null=True, blank=True
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["url_base", "data_sha256"], name="signed_document_once_per_data"),
        ]

    def __str__(self) -> str:
        return f"{self.url_base_id} {self.data_sha256[:12]}"
