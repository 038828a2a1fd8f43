from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from accounts.idempotent_requests import idempotent_secret
from automette.lib.http import parse
from automette.openapi import AUTH_ERRORS, BODY_ERRORS, IDEMPOTENCY_CONFLICT, IDEMPOTENCY_KEY, NOT_FOUND
from webhooks.serializers import (
    SecretRotatedSerializer,
    SubscriptionCreatedSerializer,
    SubscriptionCreateSerializer,
    SubscriptionDeletedSerializer,
    SubscriptionSerializer,
    SubscriptionUpdateSerializer,
)
from webhooks.services import (
    create_subscription,
    delete_subscription,
    find_subscription,
    live_subscriptions,
    rotate_secret,
    update_subscription,
)


class SubscriptionListView(APIView):
    @extend_schema(
        operation_id="list_webhooks",
        summary="List webhooks, oldest first",
        responses={200: SubscriptionSerializer(many=True), **AUTH_ERRORS},
        tags=["Webhooks"],
    )
    def get(self, request: ApiRequest) -> Response:
        subscriptions = live_subscriptions(team=request.auth.team).order_by("id")
        return Response(SubscriptionSerializer(subscriptions, many=True).data)

    @extend_schema(
        operation_id="create_webhook",
        summary="Have an address told of events",
        request=SubscriptionCreateSerializer,
        parameters=IDEMPOTENCY_KEY,
        responses={201: SubscriptionCreatedSerializer, **AUTH_ERRORS, **BODY_ERRORS, **IDEMPOTENCY_CONFLICT},
        tags=["Webhooks"],
    )
    @idempotent_secret
    def post(self, request: ApiRequest) -> Response:
        body = parse(SubscriptionCreateSerializer, request)
        subscription, secret = create_subscription(team=request.auth.team, actor=str(request.auth), **body)
        told = SubscriptionCreatedSerializer(subscription, context={"secret": secret})
        return Response(told.data, status=status.HTTP_201_CREATED)


class SubscriptionView(APIView):
    @extend_schema(
        operation_id="get_webhook",
        summary="Read a webhook",
        responses={200: SubscriptionSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Webhooks"],
    )
    def get(self, request: ApiRequest, webhook_id: str) -> Response:
        subscription = find_subscription(team=request.auth.team, subscription_id=webhook_id)
        return Response(SubscriptionSerializer(subscription).data)

    @extend_schema(
        operation_id="update_webhook",
        summary="Change, disable or enable a webhook",
        request=SubscriptionUpdateSerializer,
        responses={200: SubscriptionSerializer, **AUTH_ERRORS, **BODY_ERRORS, **NOT_FOUND},
        tags=["Webhooks"],
    )
    def patch(self, request: ApiRequest, webhook_id: str) -> Response:
        changes = parse(SubscriptionUpdateSerializer, request)
        subscription = update_subscription(
            team=request.auth.team, actor=str(request.auth), subscription_id=webhook_id, changes=changes
        )
        return Response(SubscriptionSerializer(subscription).data)

    @extend_schema(
        operation_id="delete_webhook",
        summary="Delete a webhook",
        request=None,
        responses={200: SubscriptionDeletedSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Webhooks"],
    )
    def delete(self, request: ApiRequest, webhook_id: str) -> Response:
        delete_subscription(team=request.auth.team, actor=str(request.auth), subscription_id=webhook_id)
        return Response(SubscriptionDeletedSerializer({"id": webhook_id, "deleted": True}).data)


class SecretRotationView(APIView):
    @extend_schema(
        operation_id="rotate_webhook_secret",
        summary="Sign with a new secret; for 24 hours the one before signs as well",
        request=None,
        parameters=IDEMPOTENCY_KEY,
        responses={
            200: SecretRotatedSerializer,
            **AUTH_ERRORS,
            **BODY_ERRORS,
            **NOT_FOUND,
            **IDEMPOTENCY_CONFLICT,
        },
        tags=["Webhooks"],
    )
    @idempotent_secret
    def post(self, request: ApiRequest, webhook_id: str) -> Response:
        subscription, secret = rotate_secret(
            team=request.auth.team, actor=str(request.auth), subscription_id=webhook_id
        )
        return Response(SecretRotatedSerializer(subscription, context={"secret": secret}).data)
