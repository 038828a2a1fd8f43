"""`Authorization: Bearer dg_...` -> `request.auth` is the ApiKey row with its team."""

import datetime as dt
from typing import Final

from django.db.models import Q
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import keys
from accounts.models import ApiKey

_USED_EVERY: Final = dt.timedelta(minutes=1)


class ApiRequest(Request):
    """A request that has passed authentication; for annotations only."""

    auth: ApiKey


class ApiKeyAuthentication(BaseAuthentication):
    """One query per request, none for a key with a typo. Revocation works at once: nothing is cached."""

    def authenticate(self, request: Request) -> tuple[ApiKey, ApiKey]:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, key = header.partition(" ")
        key = key.strip()
        if not header:
            raise AuthenticationFailed("No API key. Send it as 'Authorization: Bearer dg_...'.")
        if scheme.lower() != "bearer":
            raise AuthenticationFailed("The Authorization header must read 'Bearer dg_...'.")
        if not keys.is_well_formed(key):
            raise AuthenticationFailed("This is not an API key of this service: check for a typing error.")
        return self._find(key)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def _find(self, key: str) -> tuple[ApiKey, ApiKey]:
        now = timezone.now()
        found = ApiKey.find_valid(digest=keys.digest(key), now=now)
        if found is None:
            raise AuthenticationFailed("This API key is not known, has expired or was revoked.")
        if found.last_used_at is None or now - found.last_used_at > _USED_EVERY:
            # of many requests at once, one writes
            stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _USED_EVERY)
            ApiKey.objects.filter(stale, pk=found.pk).update(last_used_at=now)
        return found, found


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = "ApiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A team's API key: `dg_...`."}
