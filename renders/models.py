import datetime as dt
import json
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Team
from automette.lib.ids import ID_LENGTH, new_id
from automette.lib.pagination import NEWEST_FIRST
from templates_app.models import Engine, Template, TemplateVersion

MAX_ATTEMPTS = 3
_KEPT = Q(deleted_at=None)
UPLOADS_END_AFTER = dt.timedelta(minutes=10)
"""How long after the end of a lease an upload that began in time may still be under way, at the most."""


class Job(models.Model):
    """One trigger, and the renders it caused."""

    class Source(models.TextChoices):
        API = "api"
        CSV = "csv"
        FORM = "form"
        COLLECTION = "collection"
        ONDEMAND = "ondemand"

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="jobs", db_index=False)
    source = models.CharField(max_length=10, choices=Source)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(F("team"), NEWEST_FIRST, name="job_by_team"),
            models.Index(F("team"), F("source"), NEWEST_FIRST, name="job_by_team_and_source"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(source__in=["api", "csv", "form", "collection", "ondemand"]),
                name="job_source_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} job {self.id}"

    @property
    def self_url(self) -> str:
        return f"{settings.PUBLIC_URL}/api/v1/jobs/{self.id}"


class RenderQuerySet(models.QuerySet["Render"]):
    """Renders; what callers see starts at `kept`."""

    def kept(self) -> "RenderQuerySet":
        """Leave out what was deleted: only a tombstone is left of it."""
        return self.filter(_KEPT)


class Render(models.Model):
    """One output. The row is the truth; messages only ring for it.

    pending --claim--> running --finish--> completed | failed
       ^                  |
       +---- give back ---+   (our fault: store away, engine gone)

    A claim raises `attempt` and takes a lease; when the lease ends, another worker may claim. Whatever changes a
    running row names the attempt it belongs to, so a worker that comes late changes nothing. At most MAX_ATTEMPTS
    attempts. `ring_at` is when the sweeper looks at the row again. A pending row without it is throttled: nobody
    rings for it before another render of its team has ended (`renders.shares`).

    Finished rows never change, with two exceptions. At `expires_at` their files are taken away (`renders.retention`).
    And a deletion, which first ends an open render as failed, erases what the caller sent; what stays is a tombstone
    with `deleted_at`, which no caller sees (`renders.deletion`).
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"

    class Visibility(models.TextChoices):
        PUBLIC = "public"
        SECURE = "secure"

    OPEN: ClassVar = (Status.PENDING, Status.RUNNING)

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="renders", db_index=False)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="renders", db_index=False)
    template = models.ForeignKey(Template, on_delete=models.DO_NOTHING, related_name="renders", db_index=False)
    template_version = models.ForeignKey(
        TemplateVersion, on_delete=models.DO_NOTHING, related_name="renders", db_index=False
    )
    template_name = models.CharField(max_length=200)
    engine = models.CharField(max_length=10)
    format = models.CharField(max_length=10)
    formats: "ArrayField[list[str], list[str]]" = ArrayField(
        models.CharField(max_length=10),
        default=list,
        db_default=[],
        help_text="Every format asked for, the main one first.",
    )
    visibility = models.CharField(max_length=10, choices=Visibility)
    data = models.TextField(help_text="The caller's JSON object, as text: key order and number types are kept.")
    options: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(
        default=dict, blank=True, help_text="What the caller asked of the engine: ppi, pdf_standard, ..."
    )
    filename = models.CharField(max_length=255, help_text="The name a download gets, with its extension.")
    webhook_url = models.TextField(null=True, blank=True)  # noqa: DJ001 (the API answers null)
    queue = models.CharField(max_length=20)
    status = models.CharField(max_length=10, choices=Status)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    ring_at = models.DateTimeField(null=True, blank=True)
    rings = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=500, null=True, blank=True)  # noqa: DJ001 (the API answers null)
    error_code = models.CharField(max_length=40, blank=True, default="")
    pages = models.PositiveIntegerField(null=True, blank=True)
    report: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(
        default=dict, blank=True, help_text="What the engine noticed: warnings, fonts asked for and used."
    )
    superseded_files_deleted = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_in = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many seconds after its end the files are deleted; empty: never."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(
        null=True, blank=True, help_text="Equal to `expires_at` once the files are taken away."
    )
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = RenderQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(F("team"), NEWEST_FIRST, name="render_by_team", condition=_KEPT),
            models.Index(F("team"), F("status"), NEWEST_FIRST, name="render_by_team_status", condition=_KEPT),
            models.Index(F("team"), F("template"), NEWEST_FIRST, name="render_by_team_template", condition=_KEPT),
            models.Index(
                F("team"), F("template"), F("status"), NEWEST_FIRST, name="render_by_both_filters", condition=_KEPT
            ),
            models.Index(
                F("job"), NEWEST_FIRST, include=["status", "finished_at", "deleted_at"], name="render_by_job"
            ),
            models.Index(
                fields=["expires_at"],
                name="render_to_expire",
                condition=Q(expires_at__isnull=False, expired_at=None) & _KEPT,
            ),
            models.Index(fields=["ring_at"], name="render_to_ring", condition=Q(status__in=["pending", "running"])),
            models.Index(
                fields=["team", "queue"],
                name="render_under_way",
                condition=Q(status__in=["pending", "running"], ring_at__isnull=False),
            ),
            models.Index(
                fields=["team", "queue", "id"],
                name="render_throttled",
                condition=Q(status="pending", ring_at__isnull=True),
            ),
            models.Index(
                fields=["finished_at"],
                name="render_to_clean",
                condition=Q(attempt__gt=1, superseded_files_deleted=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["pending", "running", "completed", "failed"]),
                name="render_status_known",
            ),
            models.CheckConstraint(condition=Q(visibility__in=["public", "secure"]), name="render_visibility_known"),
            models.CheckConstraint(condition=Q(attempt__lte=MAX_ATTEMPTS), name="render_attempts_bounded"),
            models.CheckConstraint(
                condition=Q(status__in=["completed", "failed"], finished_at__isnull=False, ring_at__isnull=True)
                | Q(status="pending", finished_at__isnull=True)
                | Q(status="running", finished_at__isnull=True, ring_at__isnull=False),
                name="render_finished_iff_final",
            ),
            models.CheckConstraint(
                condition=Q(status="failed", error__isnull=False) | (~Q(status="failed") & Q(error__isnull=True)),
                name="render_error_iff_failed",
            ),
            models.CheckConstraint(
                condition=~Q(status="running") | Q(lease_expires_at__isnull=False),
                name="render_running_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None)
                | Q(status__in=["completed", "failed"], data="{}", filename="", webhook_url=None),
                name="render_deleted_is_erased",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template_name} {self.status}"

    @property
    def is_finished(self) -> bool:
        return self.status not in self.OPEN

    @property
    def is_throttled(self) -> bool:
        """Whether it waits for other renders of its team to end; no message may be sent for it."""
        return self.status == self.Status.PENDING and self.ring_at is None

    @property
    def files_expired_at(self) -> dt.datetime | None:
        """When its files stopped being there; they are as good as gone at that moment, deleted soon after."""
        if self.expires_at is None or (self.expired_at is None and self.expires_at > timezone.now()):
            return None
        return self.expires_at

    @property
    def has_files(self) -> bool:
        """Whether there is something to fetch."""
        return self.status == self.Status.COMPLETED and self.files_expired_at is None

    @property
    def data_object(self) -> dict[str, Any]:
        """What the caller sent, parsed again."""
        value: dict[str, Any] = json.loads(self.data)
        return value

    @property
    def self_url(self) -> str:
        return _self_url(self.id)

    @property
    def url(self) -> str | None:
        """Where the finished file is: for everybody, or through the API with a key."""
        if not self.has_files:
            return None
        return main_url(render_id=self.id, visibility=self.visibility, format=self.format)

    def url_of(self, format: str) -> str | None:  # noqa: A002 (the API's word)
        """Where the finished file of this format is."""
        if not self.has_files:
            return None
        return format_url(render_id=self.id, visibility=self.visibility, format=format)

    @property
    def all_formats(self) -> list[str]:
        """Every format asked for, the main one first; rows from before there could be several name only that one."""
        return self.formats or [self.format]

    @property
    def possible_keys(self) -> set[str]:
        """The names of everything that its attempts may have put into the store."""
        return {
            object_key(render_id=self.id, visibility=self.visibility, extension=extension, attempt=attempt)
            for attempt in range(1, self.attempt + 1)
            for extension in self.all_formats
        }

    @property
    def format_files(self) -> list[dict[str, str | None]] | None:
        """Each format with its address, for the engine that can make several at once."""
        if self.engine != Engine.DOCX:
            return None
        return [{"format": each, "url": self.url_of(each)} for each in self.all_formats]


class RenderFile(models.Model):
    """A finished file in the store; written in the transaction that completes its render, never changed.

    The row goes when the file expires or its render is deleted; an ObjectDeletion takes its place.
    """

    render = models.ForeignKey(Render, on_delete=models.CASCADE, related_name="files", db_index=False)
    format = models.CharField(max_length=10)
    key = models.CharField(max_length=200, unique=True)
    media_type = models.CharField(max_length=100)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["render", "format"], name="file_once_per_render_and_format"),
            models.CheckConstraint(condition=Q(size_bytes__gt=0), name="file_not_empty"),
        ]

    def __str__(self) -> str:
        return self.key


class ObjectDeletion(models.Model):
    """An object that has to go from the store; the row stays until it is certainly gone.

    It is written in the transaction that takes a file from its render. So whatever is killed, no visible file lacks
    its bytes and no object is forgotten. A suspended worker may store the object anew until `uploads_end_at`; up to
    then it is deleted again every minute.
    """

    key = models.CharField(max_length=200)
    delete_at = models.DateTimeField(db_default=Now(), help_text="When a worker deletes it (again).")
    uploads_end_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["delete_at"], name="object_to_delete")]

    def __str__(self) -> str:
        return self.key


def object_key(*, render_id: str, visibility: str, extension: str, attempt: int) -> str:
    """Return the name of a file in the store.

    Public files have a fixed place that a CDN may point at; there the store itself keeps a late attempt out
    (`automette.lib.store`). Secure files carry the attempt.
    """
    if visibility == Render.Visibility.PUBLIC:
        return f"renders/{render_id}.{extension}"
    return f"secure/{render_id}-{attempt}.{extension}"


def main_url(*, render_id: str, visibility: str, format: str) -> str:  # noqa: A002 (the API's word)
    """Return where the file of a completed render's main format is."""
    if visibility == Render.Visibility.SECURE:
        return f"{_self_url(render_id)}?download=true"
    return format_url(render_id=render_id, visibility=visibility, format=format)


def format_url(*, render_id: str, visibility: str, format: str) -> str:  # noqa: A002 (the API's word)
    """Return where a completed render's file of this format is."""
    if visibility == Render.Visibility.SECURE:
        return f"{_self_url(render_id)}?download=true&format={format}"
    return f"{settings.CDN_BASE_URL}/renders/{render_id}.{format}"


def _self_url(render_id: str) -> str:
    return f"{settings.PUBLIC_URL}/api/v1/renders/{render_id}"
