import re
from typing import Any, Final

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from automette.lib.errors import DomainError
from automette.lib.json_text import read_json, write_json
from automette.lib.serializer_fields import ObjectField, StrictBooleanField, TextField, TimestampField, WordField
from automette.lib.uploads import UploadField
from templates_app.models import Engine, Template, TemplateVersion
from templates_app.sources import NO_WORD_IN_JSON
from templates_app.word_fields import MAX_FIELDS, TYPES

_SLUG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_EXAMPLE_DATA: Final = "The data that the source is tried out with; default: its own defaults."
_FILENAME: Final = (
    "Of what is rendered: `{template}`, `{date}`, `{time}`, `{datetime}`, `{random}` and `{any_field}` are replaced; "
    "empty: `{template}-{datetime}-{random}`."
)
_FILE: Final = (
    "`docx`: the Word file. `typst`: a zip, or its text. `canvas`: the document as JSON text. At most 10 MB."
)


def template_url(template_id: str) -> str:
    return f"{settings.PUBLIC_URL}/api/v1/templates/{template_id}"


class TemplateListQuerySerializer(serializers.Serializer[Any]):
    engine = WordField(choices=Engine.choices, required=False)


@extend_schema_field({"oneOf": [{"type": "string", "minLength": 1}, {"type": "object", "additionalProperties": {}}]})
class SourceField(TextField):
    """Text, or a JSON object."""

    default_error_messages = {"invalid": "Must be a string or an object."}

    def to_internal_value(self, data: Any) -> Any:
        return data if isinstance(data, dict) else super().to_internal_value(data)


class SlugField(TextField):
    """A short name for addresses, unique within the team."""

    default_error_messages = {"shape": "Must be letters, digits, '-' and '_', the first a letter or digit."}

    def __init__(self, **more: Any) -> None:
        told = "A name of your own for it, unique within the team; empty: none."
        super().__init__(**{"max_length": 100, "required": False, "allow_blank": True, "help_text": told, **more})

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if value and not _SLUG.fullmatch(value):
            self.fail("shape")
        return value


class TemplateCreateSerializer(serializers.Serializer[Any]):
    name = TextField(max_length=200, help_text="Shown to people; need not be unique.")
    engine = WordField(choices=Engine.choices)
    source = SourceField(  # type: ignore[assignment]  # the metaclass takes declared fields off the class
        trim_whitespace=False, help_text="Typst: its text. Canvas: the document, an object."
    )
    project_id = TextField(required=False, max_length=25, help_text="Default: the team's default project.")
    slug = SlugField()
    filename_pattern = TextField(required=False, allow_blank=True, max_length=300, help_text=_FILENAME)
    example_data = ObjectField(required=False, help_text=_EXAMPLE_DATA)

    def validate_engine(self, value: str) -> str:
        if value == Engine.DOCX:
            raise serializers.ValidationError(NO_WORD_IN_JSON)
        return value


class TemplateUpdateSerializer(serializers.Serializer[Any]):
    """What is left out stays."""

    name = TextField(required=False, max_length=200)
    engine = WordField(choices=Engine.choices, required=False, help_text="Only the one that it has.")
    source = SourceField(required=False, trim_whitespace=False, help_text="Makes a new version.")  # type: ignore[assignment]
    project_id = TextField(required=False, max_length=25)
    slug = SlugField()
    filename_pattern = TextField(required=False, allow_blank=True, max_length=300, help_text=_FILENAME)
    example_data = ObjectField(required=False, help_text=f"{_EXAMPLE_DATA} Default: that of the published version.")
    publish = StrictBooleanField(
        required=False, default=True, help_text="false: renders go on with the version that they use."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what belongs to a version without one."""
        needed = "file" if "file" in self.fields else "source"
        for name in ("example_data", "fields"):
            if name in attrs and needed not in attrs:
                raise serializers.ValidationError({name: f"Belongs to a version: send the `{needed}` as well."})
        return attrs


class FieldDefinitionSerializer(serializers.Serializer[Any]):
    """What the author says of a field; what is left out is inferred from the document."""

    key = TextField(max_length=200)
    label = TextField(required=False, max_length=200)  # type: ignore[assignment]  # the metaclass takes them off
    type = WordField(choices=TYPES, required=False)
    required = StrictBooleanField(required=False)  # type: ignore[assignment]
    example = TextField(required=False, allow_blank=True, max_length=1000, trim_whitespace=False)


@extend_schema_field(OpenApiTypes.STR)
class FieldDefinitionsField(serializers.Field[Any, Any, Any, Any]):
    """The fields as the text of a JSON array: a form has no arrays. Forms send what is not filled in as empty."""

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        if data == "":
            return []
        try:
            value = read_json(data.encode()) if isinstance(data, str) else data
            write_json(value, field="fields")
        except DomainError as error:
            said = error.message.removeprefix("fields: ").replace("The body", "It", 1)
            raise serializers.ValidationError(said) from error
        if not isinstance(value, list) or len(value) > MAX_FIELDS:
            raise serializers.ValidationError(f"Must be a JSON array of at most {MAX_FIELDS:,} objects.")
        definitions = FieldDefinitionSerializer(data=value, many=True)
        definitions.is_valid(raise_exception=True)
        return [dict(definition) for definition in definitions.validated_data]


@extend_schema_field(OpenApiTypes.STR)
class ObjectTextField(serializers.Field[Any, Any, Any, Any]):
    """The text of a JSON object: a form has no objects."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            value = read_json(data.encode()) if isinstance(data, str) else data
        except DomainError as error:
            raise serializers.ValidationError(error.message.replace("The body", "It", 1)) from error
        if not isinstance(value, dict):
            raise serializers.ValidationError("Must be a JSON object.")
        return value


def _field_definitions() -> FieldDefinitionsField:
    text = (
        "Word files: JSON array of `{key, label, type, required, example}`, of which only `key` must be there; "
        "`type` is text, date, number or array. Other fields, and what is left out, are inferred from the document."
    )
    return FieldDefinitionsField(required=False, help_text=text)


class TemplateUploadSerializer(serializers.Serializer[Any]):
    name = TextField(max_length=200, help_text="Shown to people; need not be unique.")
    engine = WordField(choices=Engine.choices)
    file = UploadField(help_text=_FILE)
    project_id = TextField(required=False, max_length=25, help_text="Default: the team's default project.")
    slug = SlugField()
    filename_pattern = TextField(required=False, allow_blank=True, max_length=300, help_text=_FILENAME)
    example_data = ObjectTextField(required=False, help_text=_EXAMPLE_DATA)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `fields`, a name that serializers keep for themselves."""
        return {**super().get_fields(), "fields": _field_definitions()}


class TemplateUploadUpdateSerializer(TemplateUpdateSerializer):
    source = None  # type: ignore[assignment]
    file = UploadField(required=False, help_text=f"{_FILE} Makes a new version.")
    example_data = ObjectTextField(  # type: ignore[assignment]  # a form says the same in another way
        required=False, help_text=f"{_EXAMPLE_DATA} Default: that of the published version."
    )
    publish = serializers.BooleanField(  # type: ignore[assignment]
        required=False, default=True, help_text="false: renders go on with the version that they use."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `fields`, a name that serializers keep for themselves."""
        return {**super().get_fields(), "fields": _field_definitions()}


class TemplateListItemSerializer(serializers.ModelSerializer[Template]):
    slug = serializers.SerializerMethodField(help_text="null: none.")
    self = serializers.SerializerMethodField(method_name="get_self_url")
    allowed_formats = serializers.ListField(child=serializers.CharField(), read_only=True)
    created_at = TimestampField(read_only=True)
    updated_at = TimestampField(read_only=True)

    class Meta:
        model = Template
        fields = ["id", "name", "slug", "engine", "self", "allowed_formats", "created_at", "updated_at"]

    def get_slug(self, template: Template) -> str | None:
        return template.slug or None

    def get_self_url(self, template: Template) -> str:
        return template_url(template.id)


class AvailableFieldSerializer(serializers.Serializer[Any]):
    """`label` and `required` only for DOCX."""

    key = serializers.CharField()
    label = serializers.CharField(required=False)  # type: ignore[assignment]  # the metaclass takes them off
    type = serializers.ChoiceField(choices=TYPES)
    required = serializers.BooleanField(required=False)  # type: ignore[assignment]
    example = serializers.CharField()


class FieldSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    type = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    required = serializers.BooleanField()  # type: ignore[assignment]


class TemplateSerializer(TemplateListItemSerializer):
    available_fields = serializers.SerializerMethodField()
    url_base = serializers.SerializerMethodField(help_text="What stands in its signed URLs; null: there are none.")
    published_version = serializers.SerializerMethodField(help_text="The number of the version that renders use.")

    class Meta(TemplateListItemSerializer.Meta):
        fields = [
            *TemplateListItemSerializer.Meta.fields,
            "available_fields",
            "url_base",
            "published_version",
        ]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `fields`, a name that serializers keep for themselves."""
        return {**super().get_fields(), "fields": serializers.SerializerMethodField(method_name="get_field_list")}

    @extend_schema_field(AvailableFieldSerializer(many=True))
    def get_available_fields(self, template: Template) -> list[dict[str, Any]]:
        return available_fields(template.engine, template.current_version)

    @extend_schema_field(FieldSerializer(many=True))
    def get_field_list(self, template: Template) -> list[dict[str, Any]]:
        if template.engine == Engine.DOCX:
            names = ("key", "type", "label", "required")
            return [{name: field[name] for name in names} for field in _fields(template)]
        return [
            {"key": key, "type": "text", "label": key.replace("_", " ").capitalize(), "required": False}
            for key in (field["key"] for field in _fields(template))
        ]

    def get_url_base(self, template: Template) -> str | None:
        base = getattr(template, "url_base", None)  # of an app above this one, hence no import
        return base.token if base else None

    def get_published_version(self, template: Template) -> int | None:
        return template.current_version.number if template.current_version else None


class TemplateWrittenSerializer(TemplateSerializer):
    warnings = serializers.ListField(
        child=serializers.CharField(),
        help_text="What there is to say of the source, and what was changed in a Word file, in sentences.",
    )

    class Meta(TemplateSerializer.Meta):
        fields = [*TemplateSerializer.Meta.fields, "warnings"]


def available_fields(engine: str, version: TemplateVersion | None) -> list[dict[str, Any]]:
    """Return the fields of a version as the API tells them."""
    fields = version.fields if version else []
    if engine == Engine.DOCX:
        names = ("key", "label", "type", "required", "example")
        return [{name: field[name] for name in names} for field in fields]
    return [{"key": field["key"], "type": "text", "example": field["example"]} for field in fields]


def _fields(template: Template) -> list[dict[str, Any]]:
    return template.current_version.fields if template.current_version else []
