from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Team
from automette.lib.ids import ID_LENGTH, new_id
from automette.lib.pagination import NEWEST_FIRST

DISABLED_AT_FAILURES: Final = 10
"""So many failed attempts in a row, over all its deliveries, and a subscription disables itself."""
MAX_ANSWER_BYTES: Final = 4096


class EventName(models.TextChoices):
    """What can be subscribed to."""

    RENDER_COMPLETED = "render.completed"
    RENDER_FAILED = "render.failed"
    FORM_SUBMITTED = "form.submitted"


class Subscription(models.Model):
    """An address of a team that gets its events.

    enabled <--PATCH--> disabled (by the team, by DISABLED_AT_FAILURES failed attempts in a row, or by a 410)
    either --DELETE--> deleted: no caller sees it any more, its secrets are erased, its open deliveries have ended

    Secrets are encrypted (`automette.lib.encryption`, bound to the row's id). After a rotation the previous one
    signs as well until `previous_secret_until`.
    """

    encrypted_fields: ClassVar = ("secret", "previous_secret")

    class SignatureKey(models.TextChoices):
        BASE64 = "base64"
        RAW = "raw"

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="webhook_subscriptions", db_index=False)
    url = models.TextField()
    events: "ArrayField[list[str], list[str]]" = ArrayField(models.CharField(max_length=40, choices=EventName))
    enabled = models.BooleanField(default=True)
    failure_count = models.PositiveIntegerField(
        default=0, help_text="Failed automatic attempts since the last success."
    )
    disabled_reason = models.CharField(max_length=200, blank=True, default="")
    signature_key = models.CharField(max_length=10, choices=SignatureKey, default=SignatureKey.BASE64)
    secret = models.TextField(editable=False, help_text="Encrypted; empty once it is deleted.")
    previous_secret = models.TextField(editable=False, blank=True, default="")
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(F("team"), NEWEST_FIRST, name="subscription_by_team", condition=Q(deleted_at=None)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(events__len__gt=0), name="subscription_has_events"),
            models.CheckConstraint(condition=Q(signature_key__in=["base64", "raw"]), name="subscription_key_known"),
            models.CheckConstraint(
                condition=Q(deleted_at=None) | Q(enabled=False, secret="", previous_secret=""),
                name="subscription_deleted_is_erased",
            ),
        ]

    def __str__(self) -> str:
        return self.url


class Event(models.Model):
    """Something that happened, with the exact bytes that its receivers get.

    Written in the transaction in which it happened, and only if somebody receives it. Never changed; deleted with
    its deliveries after a time, or when the render that it tells of is deleted.
    """

    id = models.CharField(
        primary_key=True, max_length=60, editable=False, db_collation="C", help_text="evt_, and what it is about."
    )
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+", db_index=False)
    name = models.CharField(max_length=40)
    render_id = models.CharField(max_length=ID_LENGTH, null=True, blank=True, db_collation="C")  # noqa: DJ001 (NULL: of no render)
    body = models.TextField(help_text="JSON; UTF-8 on the wire.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["render_id"], name="event_by_render", condition=Q(render_id__isnull=False)),
            models.Index(fields=["created_at"], name="event_by_age"),
        ]

    def __str__(self) -> str:
        return self.id


class Delivery(models.Model):
    """One event for one receiver: a subscription, or the address that came with a render.

    pending --claim--> sending --2xx--> delivered
       ^  ^               |
       |  +--- failure ---+--- failure, no attempt left, or 410 ---> failed
       |  +-- lease ends -+
       +--- redelivery --- delivered, failed, suspended;   pending --its subscription is disabled--> suspended

    A claim takes a lease and raises `claim`, which every change of a sending row names; only a success is recorded
    whoever brings it. `failures` are failed automatic attempts: they decide when the next one is. `manual` marks an
    attempt that somebody asked for: it is made once and counts nowhere. `ring_at` is when the sweeper looks again.
    `receiver` is whose attempts are counted together against the cap: the subscription, else the URL's origin.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        DELIVERED = "delivered"
        FAILED = "failed"
        SUSPENDED = "suspended"

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+", db_index=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    subscription = models.ForeignKey(
        Subscription, on_delete=models.PROTECT, null=True, blank=True, related_name="deliveries", db_index=False
    )
    url = models.TextField(
        blank=True, default="", help_text="Of the render; empty for a subscription, which has its own."
    )
    receiver = models.CharField(max_length=300, db_collation="C")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    manual = models.BooleanField(default=False)
    claim = models.PositiveIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    ring_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(F("subscription"), NEWEST_FIRST, name="delivery_by_subscription"),
            models.Index(F("subscription"), F("status"), NEWEST_FIRST, name="delivery_by_status"),
            models.Index(fields=["ring_at"], name="delivery_to_ring", condition=Q(status__in=["pending", "sending"])),
            models.Index(
                fields=["team", "receiver", "next_attempt_at"],
                name="delivery_due_by_receiver",
                condition=Q(status="pending"),
            ),
            models.Index(fields=["team", "receiver"], name="delivery_under_way", condition=Q(status="sending")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["event", "subscription"], name="delivery_once_per_event_and_receiver", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "sending", "delivered", "failed", "suspended"]),
                name="delivery_status_known",
            ),
            models.CheckConstraint(
                condition=Q(subscription=None, url__gt="") | Q(subscription__isnull=False, url=""),
                name="delivery_has_one_address",
            ),
            models.CheckConstraint(
                condition=Q(status="pending", next_attempt_at__isnull=False, ring_at__isnull=False)
                | Q(status="sending", lease_expires_at__isnull=False, ring_at__isnull=False)
                | Q(
                    status__in=["delivered", "failed", "suspended"],
                    ring_at__isnull=True,
                    lease_expires_at__isnull=True,
                ),
                name="delivery_open_iff_rung",
            ),
            models.CheckConstraint(
                condition=~Q(status="delivered") | Q(delivered_at__isnull=False), name="delivery_delivered_has_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.receiver}"


class Attempt(models.Model):
    """One try. The row is there before the first byte is sent, so one whose sender died is seen as interrupted."""

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    claim = models.PositiveIntegerField()
    manual = models.BooleanField(default=False)
    url = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)
    success = models.BooleanField(default=False)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    milliseconds = models.PositiveIntegerField(null=True, blank=True)
    answer = models.TextField(
        blank=True, default="", help_text=f"The first {MAX_ANSWER_BYTES} bytes of what came back, as text."
    )
    error = models.CharField(max_length=500, null=True, blank=True)  # noqa: DJ001 (the API answers null)
    error_code = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["delivery", "claim"], name="attempt_once_per_claim"),
            models.CheckConstraint(
                condition=Q(success=False) | Q(error=None, finished_at__isnull=False), name="attempt_success_is_clean"
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.claim} of {self.delivery_id}"
