from typing import Any

from django.conf import settings
from rest_framework import serializers

from automette.lib.serializer_fields import TextField, TimestampField
from automette.lib.uploads import UploadField
from templates_app.models import Asset


class AssetListQuerySerializer(serializers.Serializer[Any]):
    template_id = TextField(required=False, max_length=100, help_text="Only the assets of this template.")


class AssetQuerySerializer(serializers.Serializer[Any]):
    download = serializers.BooleanField(required=False, default=False, help_text="true: redirect to the content.")


class AssetCreateSerializer(serializers.Serializer[Any]):
    file = UploadField(help_text="Of any kind.")
    name = TextField(
        required=False,
        max_length=200,
        help_text="How renders find it: a relative path such as `images/logo.png`; default: the file's name.",
    )
    template_id = TextField(
        required=False, max_length=100, help_text="Only for this template; default: for every template of the team."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take the file apart, so that services know nothing of requests."""
        upload = attrs.pop("file")
        return {"name": upload.name, **attrs, "content": upload.content}


class AssetSerializer(serializers.ModelSerializer[Asset]):
    self = serializers.SerializerMethodField(method_name="get_self_url")
    template_id = serializers.CharField(allow_null=True, read_only=True, help_text="null: for every template.")
    media_type = serializers.CharField(read_only=True, help_text="Told by the content, not by the sender.")
    created_at = TimestampField(read_only=True)
    updated_at = TimestampField(read_only=True)

    class Meta:
        model = Asset
        fields = [
            "id",
            "self",
            "name",
            "template_id",
            "media_type",
            "size_bytes",
            "sha256",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["name", "size_bytes", "sha256"]

    def get_self_url(self, asset: Asset) -> str:
        return f"{settings.PUBLIC_URL}/api/v1/assets/{asset.id}"


class DeletedSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    deleted = serializers.BooleanField()
