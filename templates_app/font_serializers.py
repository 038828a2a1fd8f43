from typing import Any

from django.conf import settings
from rest_framework import serializers

from automette.lib.serializer_fields import TimestampField
from automette.lib.uploads import UploadField
from templates_app.font_faces import STYLES
from templates_app.models import Font


class FontQuerySerializer(serializers.Serializer[Any]):
    download = serializers.BooleanField(required=False, default=False, help_text="true: redirect to the file.")


class FontCreateSerializer(serializers.Serializer[Any]):
    file = UploadField(help_text="A TrueType or OpenType font (.ttf, .otf), one face in each file.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take the file apart, so that services know nothing of requests."""
        return {"filename": attrs["file"].name, "content": attrs["file"].content}


class FontFaceSerializer(serializers.Serializer[Any]):
    family = serializers.CharField()
    style = serializers.ChoiceField(choices=STYLES)  # type: ignore[assignment]  # the metaclass takes it off the class
    weight = serializers.IntegerField(help_text="400 is regular, 700 bold.")


class FontSerializer(serializers.ModelSerializer[Font]):
    self = serializers.SerializerMethodField(method_name="get_self_url")
    families = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="The names by which templates ask for it."
    )
    faces = FontFaceSerializer(many=True, read_only=True)
    warnings = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="What it cannot be used for, in sentences."
    )
    created_at = TimestampField(read_only=True)

    class Meta:
        model = Font
        fields = ["id", "self", "filename", "families", "faces", "warnings", "size_bytes", "sha256", "created_at"]
        read_only_fields = ["filename", "size_bytes", "sha256"]

    def get_self_url(self, font: Font) -> str:
        return f"{settings.PUBLIC_URL}/api/v1/fonts/{font.id}"


class FontFamilySerializer(serializers.Serializer[Any]):
    family = serializers.CharField()
    source = serializers.ChoiceField(choices=["team", "server"])  # type: ignore[assignment]
