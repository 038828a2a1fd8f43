from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from automette.lib.serializer_fields import TextField, TimestampField, WordField
from templates_app.models import Engine, Template


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
    key = serializers.CharField()
    type = serializers.CharField()
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
        return [{"key": field["key"], "type": "text", "example": field["example"]} for field in _fields(template)]

    @extend_schema_field(FieldSerializer(many=True))
    def get_field_list(self, template: Template) -> list[dict[str, Any]]:
        return [
            {"key": key, "type": "text", "label": key.replace("_", " ").capitalize(), "required": False}
            for key in (field["key"] for field in _fields(template))
        ]

    def get_url_base(self, template: Template) -> str | None:
        return None


def _fields(template: Template) -> list[dict[str, Any]]:
    return template.current_version.fields if template.current_version else []
