from typing import Any, Self

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from accounts.models import Project, Team
from automette.lib.ids import ID_LENGTH, new_id


class Engine(models.TextChoices):
    TYPST = "typst"
    CANVAS = "canvas"
    DOCX = "docx"


# What each engine can make, its default first (contract section 3).
FORMATS: dict[str, tuple[str, ...]] = {
    Engine.TYPST: ("pdf", "png", "svg"),
    Engine.CANVAS: ("png", "jpg", "webp", "pdf", "svg"),
    Engine.DOCX: ("pdf", "docx"),
}

WORD_FILE = "template.docx"  # the name of a Word template among the files of its version


class TemplateQuerySet(models.QuerySet["Template"]):
    def live(self) -> Self:
        """Leave out the deleted ones: whatever a caller asks for is looked for in these."""
        return self.filter(deleted_at=None)


class Template(models.Model):
    """The blueprint of documents. Its source lives in versions; `current_version` is what renders use.

    Names need not be unique; a slug is, within the team. A template belongs to one team and one of its projects. A
    deleted one keeps its row and its versions for the renders that were made from it, and is otherwise gone.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="templates", db_index=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="templates")
    name = models.CharField(max_length=200)
    slug = models.CharField(max_length=100, blank=True, default="", db_default="")
    engine = models.CharField(max_length=10, choices=Engine)
    filename_pattern = models.CharField(max_length=300, blank=True)
    current_version = models.ForeignKey(
        "TemplateVersion", on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TemplateQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["team", "id"], name="template_by_team")]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "slug"],
                condition=Q(deleted_at=None) & ~Q(slug=""),
                name="template_slug_once_per_team",
            ),
            models.CheckConstraint(condition=Q(engine__in=["typst", "canvas", "docx"]), name="template_engine_known"),
            models.CheckConstraint(condition=~Q(name=""), name="template_has_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def allowed_formats(self) -> list[str]:
        return list(FORMATS[self.engine])


class TemplateVersion(models.Model):
    """One state of a template's source. Never changed: a render keeps the version it used."""

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    source = models.TextField(blank=True, help_text="Typst or a Canvas document; empty for a Word file.")
    files: "models.JSONField[dict[str, str], dict[str, str]]" = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="Files that belong to this version: name to SHA-256 of a blob.",
    )
    fields: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(default=list)
    example_data = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="JSON object with which the source was tried out; may be empty.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="version_number_once_per_template"),
            models.CheckConstraint(condition=Q(number__gte=1), name="version_counts_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"


class Asset(models.Model):
    """A file that renders find by its name: of one template, or of all templates of the team.

    A template's own asset hides the team's of the same name. The content is a blob, named by its digest; giving a
    name new content changes the row, and renders that are claimed from then on use it.
    """

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="assets", db_index=False)
    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="assets", null=True, blank=True)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["team", "id"], name="asset_by_team")]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "template", "name"], name="asset_name_once_per_place", nulls_distinct=False
            ),
            models.CheckConstraint(condition=~Q(name=""), name="asset_has_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Font(models.Model):
    """A TTF or OTF file that every template of the team can name. Checked in an engine's child, never here."""

    id = models.CharField(primary_key=True, max_length=ID_LENGTH, default=new_id, editable=False, db_collation="C")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="fonts", db_index=False)
    filename = models.CharField(max_length=200)
    families: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)
    faces: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), help_text="Family, style and weight of each face."
    )
    warnings: "models.JSONField[list[str], list[str]]" = models.JSONField(
        default=list, db_default=Value([], models.JSONField()), help_text="What it cannot be used for, in sentences."
    )
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["team", "id"], name="font_by_team")]
        constraints = [models.UniqueConstraint(fields=["team", "sha256"], name="font_file_once_per_team")]

    def __str__(self) -> str:
        return ", ".join(self.families)
