"""What a caller may do with subscriptions. Secrets leave here only when they are made."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models.functions import Now

from accounts.idempotency import creating
from accounts.models import Team
from accounts.services import record_audit
from automette.lib.encryption import encrypt
from automette.lib.errors import InvalidValueError, NotFoundError
from automette.lib.ids import new_id
from webhooks.models import Delivery, Subscription
from webhooks.signing import new_secret

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_SUBSCRIPTIONS: Final = 50
PREVIOUS_SECRET_SIGNS: Final = dt.timedelta(hours=24)
_DISABLED_BY_TEAM: Final = "The team disabled it."
_OPEN: Final = (Delivery.Status.PENDING, Delivery.Status.SENDING)
_ENDED: Final = {"manual": False, "lease_expires_at": None, "next_attempt_at": None, "ring_at": None}


def live_subscriptions(*, team: Team) -> "QuerySet[Subscription]":
    """Return the team's subscriptions without the deleted ones."""
    return team.webhook_subscriptions.filter(deleted_at=None)


def find_subscription(*, team: Team, subscription_id: str) -> Subscription:
    """Return a subscription of the team; raises NotFoundError, also for a deleted one."""
    subscription = live_subscriptions(team=team).filter(pk=subscription_id).first()
    if subscription is None:
        raise NotFoundError
    return subscription


def create_subscription(
    *,
    team: Team,
    actor: str,
    url: str,
    events: list[str],
    signature_key: str = Subscription.SignatureKey.BASE64,
) -> tuple[Subscription, str]:
    """Return a new subscription and its secret, which is not told again; a repeat makes another.

    Raises InvalidValueError when the team has as many as it may.
    """
    secret, subscription_id = new_secret(), new_id()
    subscription = Subscription(
        id=subscription_id,
        team=team,
        url=url,
        events=events,
        signature_key=signature_key,
        secret=encrypt(secret, subscription_id),
    )
    with creating():
        _check_room(team)
        subscription.save(force_insert=True)
        record_audit(
            team=team, action="webhook.created", actor=actor, subject=subscription.id, detail={"events": events}
        )
    subscription.refresh_from_db(fields=["created_at"])
    return subscription, secret


def update_subscription(*, team: Team, actor: str, subscription_id: str, changes: Mapping[str, Any]) -> Subscription:
    """Change what is named in `changes` (url, events, signature_key, enabled); a repeat changes nothing.

    To enable one also forgets its failures. To disable one suspends what waits: nobody sends it before somebody asks
    (`webhooks.redelivery`). Raises NotFoundError.
    """
    with transaction.atomic():
        subscription = _lock(team, subscription_id)
        wanted = _with_state(subscription, changes)
        changed = {name: value for name, value in wanted.items() if getattr(subscription, name) != value}
        if changed:
            Subscription.objects.filter(pk=subscription.pk).update(**changed, updated_at=Now())
            if changed.get("enabled") is False:
                _suspend(subscription)
            detail = {"changed": sorted(changed)}
            record_audit(team=team, action="webhook.updated", actor=actor, subject=subscription.id, detail=detail)
            subscription.refresh_from_db()
    return subscription


def delete_subscription(*, team: Team, actor: str, subscription_id: str) -> None:
    """End a subscription for good: its secrets are erased, and nothing is sent for it any more.

    An attempt that is under way at this moment may still arrive. Raises NotFoundError, also for a repeat.
    """
    with transaction.atomic():
        subscription = _lock(team, subscription_id)
        erased = {"enabled": False, "secret": "", "previous_secret": "", "previous_secret_until": None}
        Subscription.objects.filter(pk=subscription.pk).update(**erased, deleted_at=Now(), updated_at=Now())
        subscription.deliveries.filter(status__in=_OPEN).update(**_ENDED, status=Delivery.Status.FAILED)
        record_audit(team=team, action="webhook.deleted", actor=actor, subject=subscription.id)


def rotate_secret(*, team: Team, actor: str, subscription_id: str) -> tuple[Subscription, str]:
    """Return the subscription and its new secret, which signs from now on; for a day the one before signs as well.

    A repeat within that day ends the oldest of the three at once. Raises NotFoundError.
    """
    secret = new_secret()
    with creating():
        subscription = _lock(team, subscription_id)
        Subscription.objects.filter(pk=subscription.pk).update(
            secret=encrypt(secret, subscription.id),
            previous_secret=subscription.secret,
            previous_secret_until=Now() + PREVIOUS_SECRET_SIGNS,
            updated_at=Now(),
        )
        record_audit(team=team, action="webhook.secret_rotated", actor=actor, subject=subscription.id)
    subscription.refresh_from_db()
    return subscription, secret


def _with_state(subscription: Subscription, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes with what follows from enabling or disabling."""
    if changes.get("enabled") is True:
        return {**changes, "failure_count": 0, "disabled_reason": ""}
    if changes.get("enabled") is False and subscription.enabled:
        return {**changes, "disabled_reason": _DISABLED_BY_TEAM}
    return dict(changes)


def _suspend(subscription: Subscription) -> None:
    """Take what waits out of the queue; one that was delivered and was to be sent again has been delivered."""
    waiting = subscription.deliveries.filter(status=Delivery.Status.PENDING)
    waiting.filter(delivered_at=None).update(**_ENDED, status=Delivery.Status.SUSPENDED)
    waiting.update(**_ENDED, status=Delivery.Status.DELIVERED)


def _lock(team: Team, subscription_id: str) -> Subscription:
    """Hold the row against other changes, before its deliveries as everywhere; new ones, which refer to it, go on."""
    subscription = live_subscriptions(team=team).select_for_update(no_key=True).filter(pk=subscription_id).first()
    if subscription is None:
        raise NotFoundError
    return subscription


def _check_room(team: Team) -> None:
    """Raise InvalidValueError when the team has as many as it may; one caller at a time counts."""
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    if live_subscriptions(team=team).count() >= MAX_SUBSCRIPTIONS:
        raise InvalidValueError(f"This team has {MAX_SUBSCRIPTIONS} webhooks, as many as it may. Delete one first.")
