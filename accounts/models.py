import datetime as dt
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Now

from automette.lib.ids import ID_LENGTH, new_id

MIN_EXPIRY_SECONDS: Final = 60
MAX_EXPIRY_SECONDS: Final = 10 * 365 * 86_400


class Team(models.Model):
    """Who owns templates, renders, keys and credits. Every look-up of the API starts here."""

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    name = models.CharField(max_length=200)
    files_expire_after_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(MIN_EXPIRY_SECONDS), MaxValueValidator(MAX_EXPIRY_SECONDS)],
        help_text="After this time the files of finished renders are deleted, unless a render says otherwise; "
        "empty: never. Renders that exist already keep what they were accepted with.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="team_has_name"),
            models.CheckConstraint(
                condition=Q(files_expire_after_seconds=None)
                | Q(files_expire_after_seconds__range=(MIN_EXPIRY_SECONDS, MAX_EXPIRY_SECONDS)),
                name="team_expiry_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in a team."""

    class Role(models.TextChoices):
        OWNER = "owner"
        MEMBER = "member"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "team"], name="membership_once_per_team"),
            models.CheckConstraint(condition=Q(role__in=["owner", "member"]), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class Project(models.Model):
    """A folder of templates; each team has one default project."""

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=200)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team"], condition=Q(is_default=True), name="project_one_default_per_team"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A secret that acts for one team; only its digest is here.

    active -> expired (by time) or revoked (by decision); neither comes back.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(
        max_length=20, editable=False, help_text="The first and last characters, to tell keys apart."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    # What REST framework's permission asks of a request's user.
    is_authenticated: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"{self.name or 'key'} ({self.hint})"

    @classmethod
    def find_valid(cls, *, digest: str, now: dt.datetime) -> "ApiKey | None":
        """Return the key with this digest, and its team, unless it has expired or was revoked.

        Every request asks this. By hand, because building the same query with the ORM takes six times the CPU.
        """
        with connection.cursor() as cursor:
            cursor.execute(_FIND_VALID, {"digest": digest, "now": now})
            row = cursor.fetchone()
        if row is None:
            return None
        found = cls.from_db(connection.alias, _KEY_FIELDS, row[: len(_KEY_FIELDS)])
        found.team = Team.from_db(connection.alias, _TEAM_FIELDS, row[len(_KEY_FIELDS) :])
        return found


_KEY_FIELDS: Final = ("id", "team_id", "name", "hint", "expires_at", "revoked_at", "last_used_at")
_TEAM_FIELDS: Final = ("id", "name", "created_at")
_FIND_VALID: Final = """
SELECT key.id, key.team_id, key.name, key.hint, key.expires_at, key.revoked_at, key.last_used_at,
    team.id, team.name, team.created_at
FROM accounts_apikey AS key JOIN accounts_team AS team ON team.id = key.team_id
WHERE key.digest = %(digest)s AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > %(now)s)
"""


class IdempotentRequest(models.Model):
    """A creating request that carried an Idempotency-Key, and what it led to (`accounts.idempotency`).

    It has a render, whose row gives the answer again, or the answer itself. After a day it counts no more.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+", db_index=False)
    route = models.CharField(max_length=200, db_collation="C", help_text="Method and path.")
    key = models.CharField(max_length=255, db_collation="C")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the route and the body.")
    render_id = models.CharField(max_length=ID_LENGTH, null=True, blank=True, db_collation="C")  # noqa: DJ001 (NULL: no render)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    body = models.TextField(blank=True, help_text="The answer's JSON text.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotent_by_age")]
        constraints = [
            models.UniqueConstraint(fields=["team", "route", "key"], name="idempotent_once_per_team_and_route")
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"


class AuditEntry(models.Model):
    """Something that somebody decided. Rows are only ever added: the database refuses updates and deletions."""

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.DO_NOTHING, null=True, db_constraint=False, related_name="+")
    action = models.CharField(max_length=60)
    actor = models.CharField(max_length=200)
    subject = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=36, blank=True)
    detail: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["team", "-id"], name="audit_by_team")]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"
