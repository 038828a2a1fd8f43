"""Fields that several serializers share."""

import datetime as dt
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from automette.lib.timestamps import iso


@extend_schema_field(
    {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
)
class TimestampField(serializers.Field[dt.datetime, Any, str, Any]):
    """UTC with exactly three decimals and `Z`."""

    def to_representation(self, value: dt.datetime) -> str:
        return iso(value)


class TextField(serializers.CharField):
    """Text that must arrive as a JSON string: numbers and booleans are not quietly turned into one."""

    default_error_messages = {
        "invalid": "Must be a string.",
        "surrogate": "Contains half of a surrogate pair, which is not text.",
    }

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            data.encode()
        except UnicodeEncodeError:
            self.fail("surrogate")
        return super().to_internal_value(data)


class WordField(serializers.ChoiceField):
    """One of a few words. The refusal names them, not what was sent: that may be of any size, or no text at all."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            allowed = ", ".join(str(choice) for choice in self.choices)
            raise serializers.ValidationError(f"Must be one of: {allowed}.", code="invalid_choice")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """A JSON boolean: `"yes"` and `1` are refused."""

    default_error_messages = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer: `"2"`, `2.0` and `true` are refused."""

    default_error_messages = {"invalid": "Must be an integer."}

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


class AnyJSONField(serializers.Field[Any, Any, Any, Any]):
    """Any JSON value, handed through untouched."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(AnyJSONField):
    """A JSON object."""

    default_error_messages = {"invalid": "Must be an object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data
