from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from accounts.idempotent_requests import idempotent
from automette.lib.http import parse, parse_query
from automette.lib.uploads import UploadParser
from automette.openapi import (
    AUTH_ERRORS,
    IDEMPOTENCY_CONFLICT,
    IDEMPOTENCY_KEY,
    INVALID,
    NOT_FOUND,
    UNAVAILABLE,
    UPLOAD_ERRORS,
)
from templates_app.asset_serializers import DeletedSerializer
from templates_app.font_serializers import (
    FontCreateSerializer,
    FontFamilySerializer,
    FontQuerySerializer,
    FontSerializer,
)
from templates_app.fonts import add_font, delete_font, download_url, find_font, list_families


class FontListView(APIView):
    parser_classes = [UploadParser]

    @extend_schema(
        operation_id="list_fonts",
        summary="List the team's fonts, oldest first",
        responses={200: FontSerializer(many=True), **AUTH_ERRORS},
        tags=["Fonts"],
    )
    def get(self, request: ApiRequest) -> Response:
        fonts = request.auth.team.fonts.order_by("id")
        return Response(FontSerializer(fonts, many=True).data)

    @extend_schema(
        operation_id="add_font",
        summary="Upload a font for every template of the team",
        request={"multipart/form-data": FontCreateSerializer},
        parameters=IDEMPOTENCY_KEY,
        responses={
            200: OpenApiResponse(FontSerializer, description="The team has this very file already."),
            201: FontSerializer,
            **AUTH_ERRORS,
            **IDEMPOTENCY_CONFLICT,
            **UPLOAD_ERRORS,
            **UNAVAILABLE,
        },
        tags=["Fonts"],
    )
    @idempotent
    def post(self, request: ApiRequest) -> Response:
        body = parse(FontCreateSerializer, request)
        font, is_new = add_font(team=request.auth.team, actor=str(request.auth), **body)
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(FontSerializer(font).data, status=code)


class FontView(APIView):
    @extend_schema(
        operation_id="get_font",
        summary="Read a font, or fetch its file",
        parameters=[FontQuerySerializer],
        responses={
            200: FontSerializer,
            302: OpenApiResponse(description="`download=true`: where the file is."),
            **AUTH_ERRORS,
            **NOT_FOUND,
            **INVALID,
        },
        tags=["Fonts"],
    )
    def get(self, request: ApiRequest, font_id: str) -> HttpResponseBase:
        query = parse_query(FontQuerySerializer, request)
        font = find_font(team=request.auth.team, font_id=font_id)
        if query["download"]:
            return HttpResponseRedirect(download_url(font=font), headers={"Cache-Control": "no-store"})
        return Response(FontSerializer(font).data)

    @extend_schema(
        operation_id="delete_font",
        summary="Delete a font",
        request=None,
        responses={200: DeletedSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Fonts"],
    )
    def delete(self, request: ApiRequest, font_id: str) -> Response:
        delete_font(team=request.auth.team, actor=str(request.auth), font_id=font_id)
        return Response(DeletedSerializer({"id": font_id, "deleted": True}).data)


class FontFamilyListView(APIView):
    @extend_schema(
        operation_id="list_font_families",
        summary="List the families that templates may name",
        responses={200: FontFamilySerializer(many=True), **AUTH_ERRORS, **UNAVAILABLE},
        tags=["Fonts"],
    )
    def get(self, request: ApiRequest) -> Response:
        families = list_families(team=request.auth.team)
        return Response(FontFamilySerializer(families, many=True).data)
