"""What a deleted template leaves behind, removed once no render can need it any more."""

import datetime as dt
from typing import Final

import structlog
from django.utils import timezone

from templates_app.models import Asset, Template

log = structlog.get_logger(__name__)

# A render that was being accepted while its template was deleted is there by then.
_ACCEPTED_WITHIN: Final = dt.timedelta(minutes=1)


def delete_assets() -> int:
    """Delete the assets of deleted templates without renders under way; return how many. Safe to repeat.

    Until then they count for the team's limits. Versions stay: finished renders name them.
    """
    gone = Template.objects.filter(deleted_at__lt=timezone.now() - _ACCEPTED_WITHIN, assets__isnull=False)
    unused = gone.exclude(renders__status__in=["pending", "running"]).values("pk")
    deleted, _ = Asset.objects.filter(template__in=unused).delete()
    log.info("assets_of_deleted_templates_deleted", count=deleted)
    return deleted
