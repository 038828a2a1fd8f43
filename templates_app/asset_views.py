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
from templates_app.asset_serializers import (
    AssetCreateSerializer,
    AssetListQuerySerializer,
    AssetQuerySerializer,
    AssetSerializer,
    DeletedSerializer,
)
from templates_app.assets import delete_asset, download_url, find_asset, save_asset, visible_assets


class AssetListView(APIView):
    parser_classes = [UploadParser]

    @extend_schema(
        operation_id="list_assets",
        summary="List assets, oldest first",
        parameters=[AssetListQuerySerializer],
        responses={200: AssetSerializer(many=True), **AUTH_ERRORS, **INVALID},
        tags=["Assets"],
    )
    def get(self, request: ApiRequest) -> Response:
        wanted = parse_query(AssetListQuerySerializer, request)
        assets = visible_assets(team=request.auth.team).filter(**wanted).order_by("id")
        return Response(AssetSerializer(assets, many=True).data)

    @extend_schema(
        operation_id="save_asset",
        summary="Upload a file for templates, or replace it",
        request={"multipart/form-data": AssetCreateSerializer},
        parameters=IDEMPOTENCY_KEY,
        responses={
            200: OpenApiResponse(AssetSerializer, description="There was one of that name; it has the new content."),
            201: AssetSerializer,
            **AUTH_ERRORS,
            **NOT_FOUND,
            **IDEMPOTENCY_CONFLICT,
            **UPLOAD_ERRORS,
            **UNAVAILABLE,
        },
        tags=["Assets"],
    )
    @idempotent
    def post(self, request: ApiRequest) -> Response:
        body = parse(AssetCreateSerializer, request)
        asset, is_new = save_asset(team=request.auth.team, actor=str(request.auth), **body)
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(AssetSerializer(asset).data, status=code)


class AssetView(APIView):
    @extend_schema(
        operation_id="get_asset",
        summary="Read an asset, or fetch its content",
        parameters=[AssetQuerySerializer],
        responses={
            200: AssetSerializer,
            302: OpenApiResponse(description="`download=true`: where the content is."),
            **AUTH_ERRORS,
            **NOT_FOUND,
            **INVALID,
        },
        tags=["Assets"],
    )
    def get(self, request: ApiRequest, asset_id: str) -> HttpResponseBase:
        query = parse_query(AssetQuerySerializer, request)
        asset = find_asset(team=request.auth.team, asset_id=asset_id)
        if query["download"]:
            return HttpResponseRedirect(download_url(asset=asset), headers={"Cache-Control": "no-store"})
        return Response(AssetSerializer(asset).data)

    @extend_schema(
        operation_id="delete_asset",
        summary="Delete an asset",
        request=None,
        responses={200: DeletedSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Assets"],
    )
    def delete(self, request: ApiRequest, asset_id: str) -> Response:
        delete_asset(team=request.auth.team, actor=str(request.auth), asset_id=asset_id)
        return Response(DeletedSerializer({"id": asset_id, "deleted": True}).data)
