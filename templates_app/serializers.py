from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from automette.lib.errors import DomainError
from automette.lib.json_text import read_json, write_json
from automette.lib.serializer_fields import StrictBooleanField, TextField, TimestampField, WordField
from automette.lib.uploads import UploadField
from templates_app.models import Engine, Template
from templates_app.sources import NO_WORD_IN_JSON
from templates_app.word_fields import MAX_FIELDS, TYPES


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


class TemplateCreateSerializer(serializers.Serializer[Any]):
    name = TextField(max_length=200, help_text="Shown to people; need not be unique.")
    engine = WordField(choices=Engine.choices)
    source = SourceField(  # type: ignore[assignment]  # the metaclass takes declared fields off the class
        trim_whitespace=False, help_text="Typst: its text. Canvas: the document, an object."
    )
    project_id = TextField(required=False, max_length=25, help_text="Default: the team's default project.")
    filename_pattern = TextField(required=False, allow_blank=True, max_length=300)

    def validate_engine(self, value: str) -> str:
        if value == Engine.DOCX:
            raise serializers.ValidationError(NO_WORD_IN_JSON)
        return value


class FieldDefinitionSerializer(serializers.Serializer[Any]):
    """What the author says of a field; what is left out is inferred from the document."""

    key = TextField(max_length=200)
    label = TextField(required=False, max_length=200)  # type: ignore[assignment]  # the metaclass takes them off
    type = WordField(choices=TYPES, required=False)
    required = StrictBooleanField(required=False)  # type: ignore[assignment]
    example = TextField(required=False, allow_blank=True, max_length=1000, trim_whitespace=False)


@extend_schema_field(OpenApiTypes.STR)
class FieldDefinitionsField(serializers.Field[Any, Any, Any, Any]):
    """The fields as the text of a JSON array: a form has no arrays."""

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
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


class TemplateUploadSerializer(serializers.Serializer[Any]):
    name = TextField(max_length=200, help_text="Shown to people; need not be unique.")
    engine = WordField(choices=Engine.choices, help_text="`docx`: the other engines' templates are sent as JSON.")
    file = UploadField(help_text="The Word file, at most 10 MB.")
    project_id = TextField(required=False, max_length=25, help_text="Default: the team's default project.")
    filename_pattern = TextField(required=False, allow_blank=True, max_length=300)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `fields`, a name that serializers keep for themselves."""
        text = (
            "JSON array of `{key, label, type, required, example}`, of which only `key` must be there; `type` is "
            "text, date, number or array. The other fields, and what is left out, are inferred from the document."
        )
        return {**super().get_fields(), "fields": FieldDefinitionsField(required=False, help_text=text)}


class TemplateListItemSerializer(serializers.ModelSerializer[Template]):
    self = serializers.SerializerMethodField(method_name="get_self_url")
    allowed_formats = serializers.ListField(child=serializers.CharField(), read_only=True)
    created_at = TimestampField(read_only=True)
    updated_at = TimestampField(read_only=True)

    class Meta:
        model = Template
        fields = ["id", "name", "engine", "self", "allowed_formats", "created_at", "updated_at"]

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
    url_base = serializers.SerializerMethodField()

    class Meta(TemplateListItemSerializer.Meta):
        fields = [
            "id",
            "name",
            "engine",
            "self",
            "available_fields",
            "allowed_formats",
            "url_base",
            "created_at",
            "updated_at",
        ]

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `fields`, a name that serializers keep for themselves."""
        return {**super().get_fields(), "fields": serializers.SerializerMethodField(method_name="get_field_list")}

    @extend_schema_field(AvailableFieldSerializer(many=True))
    def get_available_fields(self, template: Template) -> list[dict[str, Any]]:
        if template.engine == Engine.DOCX:
            names = ("key", "label", "type", "required", "example")
            return [{name: field[name] for name in names} for field in _fields(template)]
        return [{"key": field["key"], "type": "text", "example": field["example"]} for field in _fields(template)]

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
        return None


class TemplateCreatedSerializer(TemplateSerializer):
    warnings = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="Only after an upload: what was changed in the file, in sentences.",
    )

    class Meta(TemplateSerializer.Meta):
        fields = [*TemplateSerializer.Meta.fields, "warnings"]


def _fields(template: Template) -> list[dict[str, Any]]:
    return template.current_version.fields if template.current_version else []
