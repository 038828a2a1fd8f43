from typing import Any, Final

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from automette.lib.outbound import OutboundError
from automette.lib.outbound.urls import parse_url
from automette.lib.serializer_fields import StrictBooleanField, TextField, TimestampField, WordField
from webhooks.models import EventName, Subscription

MAX_URL: Final = 2000
_MAX_NAMES: Final = 100
_EVENTS: Final = "What to tell of, at least one; those that are there twice count once."
_SIGNATURE_KEY: Final = (
    "`base64`: signed with what the secret says after `wh_`, base64-decoded, as Standard Webhooks has it; `raw`: "
    "with the whole secret as it is written."
)


@extend_schema_field({"type": "string", "format": "uri", "pattern": "^https://", "maxLength": MAX_URL})
class ReceiverUrlField(TextField):
    """An address that events may go to, as far as it can be judged by reading it."""

    default_error_messages = {
        "too_long": f"Has more than {MAX_URL:,} characters.",
        "empty": "The URL must start with https://.",
    }

    def run_validation(self, data: Any = empty) -> Any:
        if isinstance(data, str) and not data.strip():
            self.fail("empty")  # it is not missing, it is no address
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if len(value) > MAX_URL:
            self.fail("too_long")
        try:
            parse_url(value)
        except OutboundError as error:
            raise serializers.ValidationError(error.message) from error
        return value


class EventNamesField(serializers.ListField):
    child = WordField(choices=EventName.choices)

    def __init__(self, **more: Any) -> None:
        super().__init__(
            **{"allow_empty": False, "min_length": 1, "max_length": _MAX_NAMES, "help_text": _EVENTS, **more}
        )

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > _MAX_NAMES:
            self.fail("max_length", max_length=_MAX_NAMES)
        return list(dict.fromkeys(super().to_internal_value(data)))


class SubscriptionCreateSerializer(serializers.Serializer[Any]):
    url = ReceiverUrlField(help_text="https only.")
    events = EventNamesField()
    signature_key = WordField(choices=Subscription.SignatureKey.choices, required=False, help_text=_SIGNATURE_KEY)


class SubscriptionUpdateSerializer(serializers.Serializer[Any]):
    """What is left out stays."""

    url = ReceiverUrlField(required=False, help_text="https only. What is not delivered yet goes there as well.")
    events = EventNamesField(required=False)
    enabled = StrictBooleanField(required=False, help_text="true: also sets `failure_count` to 0.")
    signature_key = WordField(choices=Subscription.SignatureKey.choices, required=False, help_text=_SIGNATURE_KEY)


class SubscriptionCreatedSerializer(serializers.ModelSerializer[Subscription]):
    """The only answer, beside that of a rotation, that shows the secret."""

    secret = serializers.SerializerMethodField()
    created_at = TimestampField(read_only=True)

    class Meta:
        model = Subscription
        fields = ["id", "url", "events", "secret", "enabled", "created_at"]
        read_only_fields: Any = fields

    def get_secret(self, subscription: Subscription) -> str:
        return str(self.context["secret"])


class SubscriptionSerializer(serializers.ModelSerializer[Subscription]):
    created_at = TimestampField(read_only=True)
    updated_at = TimestampField(read_only=True)
    self = serializers.SerializerMethodField(method_name="get_self_url")
    disabled_reason = serializers.SerializerMethodField(help_text="null: none.")

    class Meta:
        model = Subscription
        fields = [
            "id",
            "url",
            "events",
            "enabled",
            "failure_count",
            "created_at",
            "updated_at",
            "self",
            "disabled_reason",
            "signature_key",
        ]
        read_only_fields: Any = fields

    def get_self_url(self, subscription: Subscription) -> str:
        return f"{settings.PUBLIC_URL}/api/v1/webhooks/{subscription.id}"

    def get_disabled_reason(self, subscription: Subscription) -> str | None:
        return subscription.disabled_reason or None


class SecretRotatedSerializer(serializers.ModelSerializer[Subscription]):
    secret = serializers.SerializerMethodField()
    previous_secret_until = TimestampField(read_only=True, help_text="Until then the secret before signs as well.")

    class Meta:
        model = Subscription
        fields = ["id", "secret", "previous_secret_until"]
        read_only_fields: Any = ["id"]

    def get_secret(self, subscription: Subscription) -> str:
        return str(self.context["secret"])


class SubscriptionDeletedSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    deleted = serializers.BooleanField()
