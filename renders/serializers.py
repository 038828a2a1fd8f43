from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import MAX_EXPIRY_SECONDS, MIN_EXPIRY_SECONDS
from automette.lib.outbound import OutboundError
from automette.lib.outbound.urls import parse_url
from automette.lib.serializer_fields import (
    AnyJSONField,
    ObjectField,
    StrictBooleanField,
    StrictIntegerField,
    TextField,
    TimestampField,
    WordField,
)
from automette.openapi import ErrorSerializer
from renders.models import Render, RenderFile
from webhooks.models import Attempt

_ALL_FORMATS = ["pdf", "png", "svg", "jpg", "webp", "docx"]


@extend_schema_field({"type": "array", "items": {"type": "string", "enum": ["pdf", "docx"]}})
class FormatsField(AnyJSONField):
    """Judged by the service, which knows the engine: whatever stands here is ignored for the others."""


@extend_schema_field({"type": "string", "format": "uri", "pattern": "^https://"})
class WebAddressField(TextField):
    """An address that webhooks may go to."""


class RenderCreateSerializer(serializers.Serializer[Any]):
    template_id = TextField(max_length=100)
    data = ObjectField(  # type: ignore[assignment]  # the metaclass takes it off the class
        required=False, help_text="Values of the template's fields; any JSON object."
    )
    visibility = WordField(choices=Render.Visibility.choices, required=False)
    format = WordField(
        choices=_ALL_FORMATS,
        required=False,
        help_text="One that the template's engine can make; default its first.",
    )
    formats = FormatsField(
        required=False,
        allow_null=True,
        help_text="Only for DOCX: one or both, the main one first; default `format`, else `pdf`. One credit in all.",
    )
    options = ObjectField(
        required=False,
        help_text="What the engine offers, for Typst: `pdf_standard` (such as `a-2b`), `ppi` (36 to 600) and `page` "
        "for pictures, `timestamp` (seconds since 1970) to get the same bytes every time; for DOCX: `locale` "
        "(such as `de`) and `pdf_standard`.",
    )
    webhook_url = WebAddressField(
        required=False, allow_null=True, max_length=2000, help_text="Told when the render has ended."
    )
    filename_pattern = TextField(
        required=False,
        allow_null=True,
        max_length=300,
        help_text="Instead of the template's; written in the same way.",
    )
    expires_in = StrictIntegerField(
        required=False,
        allow_null=True,
        min_value=MIN_EXPIRY_SECONDS,
        max_value=MAX_EXPIRY_SECONDS,
        help_text="The files are deleted so many seconds after they are finished; null or left out: as the team has "
        "it, which is never unless it was set.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = super().get_fields()
        fields["async"] = StrictBooleanField(
            required=False, default=True, help_text="false: wait up to 30 s for the finished file."
        )
        return fields

    def validate_webhook_url(self, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("https://", "http://") if settings.OUTBOUND_ALLOW_HTTP else "https://"):
            raise serializers.ValidationError("Must begin with https://.")
        try:
            parse_url(value)
        except OutboundError as error:
            raise serializers.ValidationError(error.message) from error
        return value


class RenderListQuerySerializer(serializers.Serializer[Any]):
    status = WordField(choices=Render.Status.choices, required=False)
    template_id = serializers.CharField(required=False, max_length=100)
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, max_length=100)


class RenderQuerySerializer(serializers.Serializer[Any]):
    download = serializers.BooleanField(required=False, default=False, help_text="true: redirect to the file.")
    format = WordField(choices=_ALL_FORMATS, required=False)


class RenderListItemSerializer(serializers.ModelSerializer[Render]):
    self = serializers.CharField(source="self_url", read_only=True)
    url = serializers.CharField(read_only=True, allow_null=True)
    created_at = TimestampField(read_only=True)
    expires_at = TimestampField(read_only=True, allow_null=True, help_text="When the files will be deleted, if ever.")
    expired_at = TimestampField(
        source="files_expired_at",
        read_only=True,
        allow_null=True,
        help_text="When the files were deleted; `url` is null from then on.",
    )

    class Meta:
        model = Render
        fields = [
            "id",
            "self",
            "status",
            "url",
            "format",
            "template_id",
            "template_name",
            "error",
            "created_at",
            "job_id",
            "expires_at",
            "expired_at",
        ]
        read_only_fields: Any = fields


class RenderListSerializer(serializers.Serializer[Any]):
    renders = RenderListItemSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class FormatFileSerializer(serializers.Serializer[Any]):
    format = serializers.CharField()
    url = serializers.CharField(allow_null=True, help_text="null until it is completed and after it has expired.")


class RenderCreatedSerializer(RenderListItemSerializer):
    """The answer of a creating POST."""

    data = ObjectField(source="data_object", read_only=True)  # type: ignore[assignment]
    files = FormatFileSerializer(
        source="format_files", many=True, required=False, help_text="Only for DOCX: one for each format."
    )

    class Meta(RenderListItemSerializer.Meta):
        fields = [
            "id",
            "self",
            "status",
            "url",
            "format",
            "template_id",
            "template_name",
            "data",
            "created_at",
            "job_id",
            "expires_at",
            "expired_at",
            "files",
        ]
        read_only_fields: Any = fields

    def to_representation(self, instance: Render) -> dict[str, Any]:
        """Leave `files` out where there can be only one."""
        answer = super().to_representation(instance)
        if answer["files"] is None:
            del answer["files"]
        return answer


class RenderFailedSerializer(serializers.Serializer[Any]):
    """A sync render that failed: an error with the render's identity."""

    error = serializers.CharField()
    id = serializers.CharField()
    self = serializers.CharField()
    status = serializers.CharField()


class RenderRefusedSerializer(ErrorSerializer):
    """A value that is not allowed, or a sync render that failed: then with the render's identity."""

    id = serializers.CharField(required=False)
    self = serializers.CharField(required=False)
    status = serializers.CharField(required=False, help_text="`failed`.")


class WebhookDeliverySerializer(serializers.ModelSerializer[Attempt]):
    """One attempt to tell a receiver of the render's end."""

    event_id = serializers.CharField(
        source="delivery.event_id", read_only=True, help_text="The same for every attempt."
    )
    source = serializers.SerializerMethodField(  # type: ignore[assignment]  # the metaclass takes it off the class
        help_text="`render_webhook`: the render's `webhook_url`; `global_webhook`: a subscription of the team."
    )
    http_status = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="null while it is under way, and where no answer came."
    )
    success = serializers.BooleanField(read_only=True, help_text="Whether a status of 200 to 299 came in time.")
    created_at = TimestampField(read_only=True)

    class Meta:
        model = Attempt
        fields = ["id", "event_id", "source", "http_status", "success", "error", "created_at"]
        read_only_fields: Any = fields

    @extend_schema_field({"type": "string", "enum": ["render_webhook", "global_webhook"]})
    def get_source(self, attempt: Attempt) -> str:
        return "render_webhook" if attempt.delivery.subscription_id is None else "global_webhook"


class RenderSerializer(RenderCreatedSerializer):
    """A render with all that is known of it."""

    report = ObjectField(read_only=True, help_text="What the engine noticed: warnings, fonts asked for and used.")
    webhook_deliveries = serializers.SerializerMethodField(
        help_text="Every attempt to tell `webhook_url` and the team's subscriptions of its end, the oldest first; "
        "null before the first one."
    )

    class Meta(RenderCreatedSerializer.Meta):
        fields = [
            *RenderCreatedSerializer.Meta.fields,
            "webhook_url",
            "webhook_deliveries",
            "error",
            "pages",
            "report",
        ]
        read_only_fields: Any = fields

    @extend_schema_field(WebhookDeliverySerializer(many=True, allow_null=True))
    def get_webhook_deliveries(self, render: Render) -> list[dict[str, Any]] | None:
        if not render.is_finished:  # nobody has been told yet: no query
            return None
        attempts = Attempt.objects.filter(delivery__event__render_id=render.id).select_related("delivery")
        told = WebhookDeliverySerializer(attempts.order_by("created_at", "id"), many=True)
        return list(told.data) or None


class DeletedFileSerializer(serializers.ModelSerializer[RenderFile]):
    class Meta:
        model = RenderFile
        fields = ["format", "size_bytes", "sha256"]


class RenderDeletedSerializer(serializers.Serializer[Any]):
    """The receipt of a deletion."""

    id = serializers.CharField()
    deleted = serializers.BooleanField()
    deleted_at = TimestampField()
    status = serializers.ChoiceField(choices=Render.Status.choices, help_text="When it was deleted.")
    files = DeletedFileSerializer(many=True)
    files_deleted = serializers.BooleanField(
        help_text="false: the store was away; nobody is led to the files any more, and they are deleted later."
    )
