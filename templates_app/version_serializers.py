from typing import Any, Final
from urllib.parse import quote

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from automette.lib.json_text import read_json
from automette.lib.serializer_fields import ObjectField, StrictIntegerField, TextField, TimestampField
from templates_app.models import Engine, TemplateVersion
from templates_app.serializers import AvailableFieldSerializer, available_fields, template_url

_MOST: Final = 2**31 - 1  # what the column holds


class PublishSerializer(serializers.Serializer[Any]):
    version = StrictIntegerField(
        required=False, min_value=1, max_value=_MOST, help_text="Default: the newest, also without a body."
    )


class VersionQuerySerializer(serializers.Serializer[Any]):
    file = TextField(required=False, max_length=1000, help_text="Redirect to the content of this one of its `files`.")


class VersionListItemSerializer(serializers.ModelSerializer[TemplateVersion]):
    self = serializers.SerializerMethodField(method_name="get_self_url")
    published = serializers.SerializerMethodField(help_text="Whether renders use it.")
    created_at = TimestampField(read_only=True)

    class Meta:
        model = TemplateVersion
        fields = ["number", "self", "published", "created_at"]

    def get_self_url(self, version: TemplateVersion) -> str:
        return version_url(version)

    def get_published(self, version: TemplateVersion) -> bool:
        return version.template.current_version_id == version.pk


class VersionFileSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    sha256 = serializers.CharField()
    url = serializers.CharField(help_text="Needs the key, and redirects to the content.")


class VersionSerializer(VersionListItemSerializer):
    template_id = serializers.CharField(read_only=True)
    source = serializers.SerializerMethodField(help_text="Typst: its text. Canvas: the document. DOCX: null.")  # type: ignore[assignment]  # the metaclass takes it off
    files = serializers.SerializerMethodField()
    available_fields = serializers.SerializerMethodField()
    example_data = serializers.SerializerMethodField(help_text="What it was tried out with; null: its own defaults.")

    class Meta(VersionListItemSerializer.Meta):
        fields = [
            *VersionListItemSerializer.Meta.fields,
            "template_id",
            "source",
            "files",
            "available_fields",
            "example_data",
        ]

    @extend_schema_field({"type": ["string", "object", "null"], "additionalProperties": {}})
    def get_source(self, version: TemplateVersion) -> Any:
        if version.template.engine == Engine.CANVAS:
            return read_json(version.source.encode())
        return version.source if version.template.engine == Engine.TYPST else None

    @extend_schema_field(VersionFileSerializer(many=True))
    def get_files(self, version: TemplateVersion) -> list[dict[str, str]]:
        url = version_url(version)
        return [
            {"name": name, "sha256": sha256, "url": f"{url}?file={quote(name, safe='')}"}
            for name, sha256 in sorted(version.files.items())
        ]

    @extend_schema_field(AvailableFieldSerializer(many=True))
    def get_available_fields(self, version: TemplateVersion) -> list[dict[str, Any]]:
        return available_fields(version.template.engine, version)

    @extend_schema_field(ObjectField(allow_null=True))
    def get_example_data(self, version: TemplateVersion) -> Any:
        return read_json(version.example_data.encode()) if version.example_data else None


def version_url(version: TemplateVersion) -> str:
    return f"{template_url(version.template_id)}/versions/{version.number}"
