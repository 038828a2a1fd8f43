from typing import Any

from rest_framework import serializers

from automette.lib.serializer_fields import TimestampField, WordField
from credits.models import CreditAccount, LedgerEntry


class CreditsSerializer(serializers.ModelSerializer[CreditAccount]):
    available_credits = serializers.IntegerField(read_only=True)
    period_started_at = TimestampField(read_only=True)
    resets_at = TimestampField(read_only=True)

    class Meta:
        model = CreditAccount
        fields = [
            "credit_balance",
            "overage_limit",
            "available_credits",
            "monthly_credits",
            "period_started_at",
            "resets_at",
        ]
        read_only_fields: Any = fields


class LedgerQuerySerializer(serializers.Serializer[Any]):
    kind = WordField(choices=LedgerEntry.Kind.choices, required=False)
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, max_length=100)


class LedgerEntrySerializer(serializers.ModelSerializer[LedgerEntry]):
    id = serializers.CharField(read_only=True)
    created_at = TimestampField(read_only=True)

    class Meta:
        model = LedgerEntry
        fields = ["id", "kind", "amount", "balance_after", "render_id", "actor", "created_at"]
        read_only_fields: Any = fields


class LedgerSerializer(serializers.Serializer[Any]):
    entries = LedgerEntrySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
