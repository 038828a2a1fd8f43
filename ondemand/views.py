from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from accounts.idempotent_requests import idempotent
from automette.lib.http import parse
from automette.openapi import (
    AUTH_ERRORS,
    BODY_ERRORS,
    IDEMPOTENCY_CONFLICT,
    IDEMPOTENCY_KEY,
    NO_CREDITS,
    NOT_FOUND,
)
from ondemand.serializers import SignedUrlSerializer, SignSerializer, UrlBaseRevokedSerializer, UrlBaseSerializer
from ondemand.services import replace_url_base, revoke_url_base, sign_document


class UrlBaseView(APIView):
    @extend_schema(
        operation_id="replace_url_base",
        summary="Make a template's url_base, or replace it",
        request=None,
        parameters=IDEMPOTENCY_KEY,
        responses={200: UrlBaseSerializer, **AUTH_ERRORS, **BODY_ERRORS, **NOT_FOUND, **IDEMPOTENCY_CONFLICT},
        tags=["On-demand"],
    )
    @idempotent
    def post(self, request: ApiRequest, template_id: str) -> Response:
        token = replace_url_base(team=request.auth.team, actor=str(request.auth), template_id=template_id)
        return Response(UrlBaseSerializer({"url_base": token}).data)

    @extend_schema(
        operation_id="revoke_url_base",
        summary="Revoke a template's url_base and all its signed URLs",
        request=None,
        responses={200: UrlBaseRevokedSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["On-demand"],
    )
    def delete(self, request: ApiRequest, template_id: str) -> Response:
        revoke_url_base(team=request.auth.team, actor=str(request.auth), template_id=template_id)
        return Response(UrlBaseRevokedSerializer({"url_base": None}).data)


class SignView(APIView):
    @extend_schema(
        operation_id="sign",
        summary="Sign a URL that shows a template with this data",
        request=SignSerializer,
        parameters=IDEMPOTENCY_KEY,
        responses={
            200: SignedUrlSerializer,
            **AUTH_ERRORS,
            **NO_CREDITS,
            **NOT_FOUND,
            **IDEMPOTENCY_CONFLICT,
            **BODY_ERRORS,
        },
        tags=["On-demand"],
    )
    @idempotent
    def post(self, request: ApiRequest) -> Response:
        body = {"data": {}, **parse(SignSerializer, request)}
        signed = sign_document(team=request.auth.team, actor=str(request.auth), **body)
        return Response(SignedUrlSerializer(signed._asdict()).data)
