from typing import Any

from rest_framework import serializers

from automette.lib.serializer_fields import ObjectField, TextField


class UrlBaseSerializer(serializers.Serializer[Any]):
    url_base = serializers.CharField(
        help_text="16 letters and digits that stand in every signed URL of the template."
    )


class UrlBaseRevokedSerializer(serializers.Serializer[Any]):
    url_base = serializers.CharField(allow_null=True, help_text="null: there is none any more.")


class SignSerializer(serializers.Serializer[Any]):
    template_id = TextField(max_length=100)
    data = ObjectField(  # type: ignore[assignment]  # the metaclass takes it off the class
        required=False, help_text="Values of the template's fields, all of them strings."
    )


class SignedUrlSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="For everybody, without a key, until the url_base is replaced or revoked.")
    template_name = serializers.CharField()
    format = serializers.CharField(help_text="`png` for Canvas, else `pdf`.")
    url_base = serializers.CharField()
