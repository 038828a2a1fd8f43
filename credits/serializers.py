from typing import Any

from rest_framework import serializers

from automette.lib.serializer_fields import TimestampField
from credits.models import CreditAccount


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
