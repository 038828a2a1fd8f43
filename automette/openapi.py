"""Answers that many operations share, for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer[Any]):
    error = serializers.CharField(help_text="A sentence for a human.")
    detail = serializers.CharField(required=False, help_text="More, where there is more to say.")


class InsufficientCreditsSerializer(ErrorSerializer):
    required_credits = serializers.IntegerField()
    available_credits = serializers.IntegerField()
    credit_balance = serializers.IntegerField()
    overage_limit = serializers.IntegerField()


def _error(description: str) -> OpenApiResponse:
    return OpenApiResponse(ErrorSerializer, description=description)


AUTH_ERRORS = {
    401: _error("No key, or a key that is malformed, unknown, expired or revoked."),
    429: _error("The team asks for too much at once; `Retry-After` says after how many seconds to try again."),
}
NOT_FOUND = {404: _error("It does not exist, or belongs to another team.")}
INVALID = {422: _error("A value is not allowed.")}
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
