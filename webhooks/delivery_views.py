from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from accounts.idempotent_requests import idempotent
from automette.lib.http import parse, parse_query
from automette.openapi import (
    AUTH_ERRORS,
    BODY_ERRORS,
    DISABLED,
    DISABLED_OR_IDEMPOTENCY_CONFLICT,
    IDEMPOTENCY_KEY,
    INVALID,
    NOT_FOUND,
)
from webhooks.delivery_serializers import (
    DeliveryListItemSerializer,
    DeliveryListQuerySerializer,
    DeliveryListSerializer,
    DeliverySerializer,
    RedeliveredSerializer,
    RedeliverSinceSerializer,
    SubscriptionTestSerializer,
)
from webhooks.redelivery import (
    find_delivery,
    last_attempts,
    list_deliveries,
    redeliver,
    redeliver_since,
    send_test,
)


class DeliveryListView(APIView):
    @extend_schema(
        operation_id="list_webhook_deliveries",
        summary="List a webhook's deliveries, newest first",
        parameters=[DeliveryListQuerySerializer],
        responses={200: DeliveryListSerializer, **AUTH_ERRORS, **NOT_FOUND, **INVALID},
        tags=["Webhooks"],
    )
    def get(self, request: ApiRequest, webhook_id: str) -> Response:
        query = parse_query(DeliveryListQuerySerializer, request)
        deliveries, next_cursor = list_deliveries(team=request.auth.team, subscription_id=webhook_id, **query)
        told = DeliveryListItemSerializer(deliveries, many=True).data
        return Response({"deliveries": told, "next_cursor": next_cursor})


class SubscriptionTestView(APIView):
    @extend_schema(
        operation_id="test_webhook",
        summary="Send a webhook an event that did not happen",
        request=SubscriptionTestSerializer,
        parameters=IDEMPOTENCY_KEY,
        responses={
            202: DeliveryListItemSerializer,
            **AUTH_ERRORS,
            **BODY_ERRORS,
            **NOT_FOUND,
            **DISABLED_OR_IDEMPOTENCY_CONFLICT,
        },
        tags=["Webhooks"],
    )
    @idempotent
    def post(self, request: ApiRequest, webhook_id: str) -> Response:
        body = parse(SubscriptionTestSerializer, request)
        delivery = send_test(team=request.auth.team, actor=str(request.auth), subscription_id=webhook_id, **body)
        return Response(DeliveryListItemSerializer(delivery).data, status=status.HTTP_202_ACCEPTED)


class RedeliverSinceView(APIView):
    @extend_schema(
        operation_id="redeliver_to_webhook_since",
        summary="Send again what a webhook did not get since a time",
        request=RedeliverSinceSerializer,
        responses={202: RedeliveredSerializer, **AUTH_ERRORS, **BODY_ERRORS, **NOT_FOUND, **DISABLED},
        tags=["Webhooks"],
    )
    def post(self, request: ApiRequest, webhook_id: str) -> Response:
        body = parse(RedeliverSinceSerializer, request)
        count = redeliver_since(
            team=request.auth.team, actor=str(request.auth), subscription_id=webhook_id, since=body["since"]
        )
        told = RedeliveredSerializer({"id": webhook_id, "redelivered": count})
        return Response(told.data, status=status.HTTP_202_ACCEPTED)


class DeliveryView(APIView):
    @extend_schema(
        operation_id="get_webhook_delivery",
        summary="Read a delivery and its attempts",
        responses={200: DeliverySerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Webhooks"],
    )
    def get(self, request: ApiRequest, delivery_id: str) -> Response:
        delivery = find_delivery(team=request.auth.team, delivery_id=delivery_id)
        attempts = last_attempts(delivery=delivery)
        return Response(DeliverySerializer(delivery, context={"attempts": attempts}).data)


class RedeliverView(APIView):
    @extend_schema(
        operation_id="redeliver_webhook_delivery",
        summary="Send an event to its receiver once more",
        request=None,
        parameters=IDEMPOTENCY_KEY,
        responses={
            202: DeliveryListItemSerializer,
            **AUTH_ERRORS,
            **BODY_ERRORS,
            **NOT_FOUND,
            **DISABLED_OR_IDEMPOTENCY_CONFLICT,
        },
        tags=["Webhooks"],
    )
    @idempotent
    def post(self, request: ApiRequest, delivery_id: str) -> Response:
        delivery = redeliver(team=request.auth.team, actor=str(request.auth), delivery_id=delivery_id)
        return Response(DeliveryListItemSerializer(delivery).data, status=status.HTTP_202_ACCEPTED)
