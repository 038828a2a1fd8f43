"""Encrypting secrets anew once there is a new key (`automette.lib.encryption`), so that the old one can go.

A model that has encrypted columns names them in `encrypted_fields`.
"""

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import transaction
from django.db.models import Q, QuerySet

from automette.lib.encryption import decrypt, encrypt, newest_key_id

if TYPE_CHECKING:
    from django.db.models import Model


def reencrypt_secrets() -> int:
    """Encrypt with the newest key what another one encrypted; return how many rows that were.

    Row by row, so it can be interrupted, and run beside everything else; a repeat finds nothing. Raises
    DecryptionError.
    """
    return sum(_reencrypt(model) for model in apps.get_models() if hasattr(model, "encrypted_fields"))


def _reencrypt(model: "type[Model]") -> int:
    fields: tuple[str, ...] = model.encrypted_fields  # type: ignore[attr-defined]  # asked for above
    rows: QuerySet[Any] = QuerySet(model)
    count = 0
    for row_id in rows.filter(_is_old(fields)).values_list("pk", flat=True):
        with transaction.atomic():
            row = rows.select_for_update(no_key=True).filter(_is_old(fields), pk=row_id).first()
            if row is not None:
                changed: dict[str, Any] = {
                    name: encrypt(decrypt(getattr(row, name), row_id), row_id)
                    for name in fields
                    if getattr(row, name)
                }
                rows.filter(pk=row_id).update(**changed)
                count += 1
    return count


def _is_old(fields: tuple[str, ...]) -> Q:
    found = Q(pk__in=[])
    for name in fields:
        found |= Q(**{f"{name}__gt": ""}) & ~Q(**{f"{name}__startswith": f"{newest_key_id()}:"})
    return found
