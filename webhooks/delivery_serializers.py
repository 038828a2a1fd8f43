from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from automette.lib.serializer_fields import TimestampField, WordField
from webhooks.models import MAX_ANSWER_BYTES, Attempt, Delivery, EventName


class DeliveryListQuerySerializer(serializers.Serializer[Any]):
    status = WordField(choices=Delivery.Status.choices, required=False)
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, max_length=100)


class SubscriptionTestSerializer(serializers.Serializer[Any]):
    event = WordField(
        choices=EventName.choices, required=False, help_text="Default: the first that the webhook is told of."
    )


class RedeliverSinceSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField(
        help_text="Of events that happened then or later; ISO 8601, UTC without an offset."
    )


class RedeliveredSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    redelivered = serializers.IntegerField(help_text="How many deliveries are sent again.")


class NextAttemptField(TimestampField):
    """What the row says of the next attempt counts only while the delivery waits for one."""

    def __init__(self) -> None:
        super().__init__(source="*", allow_null=True, read_only=True, help_text="null: none is planned.")

    def to_representation(self, value: Any) -> Any:
        waits = value.status == Delivery.Status.PENDING
        return super().to_representation(value.next_attempt_at) if waits else None


class DeliveryListItemSerializer(serializers.ModelSerializer[Delivery]):
    self = serializers.SerializerMethodField(method_name="get_self_url")
    webhook_id = serializers.CharField(
        source="subscription_id", allow_null=True, read_only=True, help_text="null: the `webhook_url` of a render."
    )
    event_id = serializers.CharField(read_only=True, help_text="`webhook-id` of every attempt.")
    event = serializers.ChoiceField(source="event.name", choices=EventName.choices, read_only=True)
    render_id = serializers.CharField(source="event.render_id", allow_null=True, read_only=True)
    url = serializers.SerializerMethodField(help_text="Where the next attempt goes.")
    attempt_count = serializers.IntegerField(source="claim", read_only=True)
    next_attempt_at = NextAttemptField()
    delivered_at = TimestampField(allow_null=True, read_only=True)
    created_at = TimestampField(read_only=True)

    class Meta:
        model = Delivery
        fields = [
            "id",
            "self",
            "webhook_id",
            "event_id",
            "event",
            "render_id",
            "url",
            "status",
            "attempt_count",
            "next_attempt_at",
            "delivered_at",
            "created_at",
        ]
        read_only_fields: Any = fields

    def get_self_url(self, delivery: Delivery) -> str:
        return f"{settings.PUBLIC_URL}/api/v1/webhook_deliveries/{delivery.id}"

    def get_url(self, delivery: Delivery) -> str:
        return delivery.url if delivery.subscription is None else delivery.subscription.url


class DeliveryListSerializer(serializers.Serializer[Any]):
    deliveries = DeliveryListItemSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    number = serializers.IntegerField(source="claim", read_only=True, help_text="From 1.")
    manual = serializers.BooleanField(read_only=True, help_text="true: somebody asked for it; it counts nowhere.")
    answer = serializers.CharField(
        read_only=True, help_text=f"The first {MAX_ANSWER_BYTES:,} bytes of what came back, as text."
    )
    error_code = serializers.SerializerMethodField(help_text="null: none.")
    created_at = TimestampField(read_only=True)
    finished_at = TimestampField(allow_null=True, read_only=True, help_text="null: under way.")

    class Meta:
        model = Attempt
        fields = [
            "id",
            "number",
            "manual",
            "url",
            "success",
            "http_status",
            "error",
            "error_code",
            "milliseconds",
            "answer",
            "created_at",
            "finished_at",
        ]
        read_only_fields: Any = fields

    def get_error_code(self, attempt: Attempt) -> str | None:
        return attempt.error_code or None


class DeliverySerializer(DeliveryListItemSerializer):
    body = serializers.CharField(source="event.body", read_only=True, help_text="What is sent, to the byte.")
    attempts = serializers.SerializerMethodField(help_text="The newest first, at most 100.")

    class Meta(DeliveryListItemSerializer.Meta):
        fields = [*DeliveryListItemSerializer.Meta.fields, "body", "attempts"]
        read_only_fields: Any = fields

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, delivery: Delivery) -> Any:
        return AttemptSerializer(self.context["attempts"], many=True).data
