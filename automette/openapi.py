"""Answers that many operations share, for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer[Any]):
    error = serializers.CharField(help_text="A sentence for a human.")
    detail = serializers.CharField(required=False, help_text="More, where there is more to say.")


class InsufficientCreditsSerializer(ErrorSerializer):
    required_credits = serializers.IntegerField()
    available_credits = serializers.IntegerField()
    credit_balance = serializers.IntegerField()
    overage_limit = serializers.IntegerField()


class DiagnosticSerializer(serializers.Serializer[Any]):
    """What the engine says of a source, and where."""

    file = serializers.CharField(allow_null=True, help_text="The module that it is about; null: the main source.")
    line = serializers.IntegerField(allow_null=True, help_text="From 1.")
    column = serializers.IntegerField(allow_null=True, help_text="From 1.")
    message = serializers.CharField()
    hint = serializers.CharField(allow_null=True)


class NotCompilableSerializer(ErrorSerializer):
    diagnostics = DiagnosticSerializer(many=True, required=False)


def _error(description: str) -> OpenApiResponse:
    return OpenApiResponse(ErrorSerializer, description=description)


AUTH_ERRORS = {
    401: _error("No key, or a key that is malformed, unknown, expired or revoked."),
    429: _error("The team asks for too much at once; `Retry-After` says after how many seconds to try again."),
}
NOT_FOUND = {404: _error("It does not exist, or belongs to another team.")}
IDEMPOTENCY_KEY = [
    OpenApiParameter(
        "Idempotency-Key",
        location=OpenApiParameter.HEADER,
        pattern=r"^[A-Za-z0-9_\-:.]{8,255}$",
        description="A text of your own, such as a UUID. Within 24 hours a repeat with the same key and body creates "
        "nothing and is answered as the first time.",
    ),
    OpenApiParameter(
        "Idempotent-Replayed",
        location=OpenApiParameter.HEADER,
        enum=["true"],
        description="There when this repeats the answer to an earlier request with the same Idempotency-Key.",
        response=[200, 201, 202],
    ),
]
IDEMPOTENCY_CONFLICT = {
    409: _error(
        "The Idempotency-Key was used for another body; or the first request with it is still being answered (then "
        "with `Retry-After`)."
    )
}
DISABLED = {409: _error("The webhook is disabled.")}
DISABLED_OR_IDEMPOTENCY_CONFLICT = {
    409: _error(
        "The webhook is disabled, or an attempt is being made at this moment. Or the Idempotency-Key was used for "
        "another body; or the first request with it is still being answered (then with `Retry-After`)."
    )
}
INVALID = {422: _error("A value is not allowed.")}
NOT_COMPILABLE = {
    422: OpenApiResponse(
        NotCompilableSerializer,
        description="A value is not allowed; or the source cannot be compiled: `diagnostics`.",
    )
}
NO_CREDITS = {402: OpenApiResponse(InsufficientCreditsSerializer, description="No credit left; nothing was created.")}
UNAVAILABLE = {503: _error("A part of this server is away for the moment; try again.")}
BODY_ERRORS = {
    400: _error("The body is not a JSON object, or a required field is missing."),
    413: _error("The body is too large."),
    415: _error("The body is declared as a type that is not taken here."),
    **INVALID,
}
UPLOAD_ERRORS = {
    **BODY_ERRORS,
    400: _error("The body is not well-formed multipart/form-data, or a required part is missing."),
    413: _error("The body or the file is too large."),
    415: _error("The body is not declared as multipart/form-data."),
}
