from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from automette.lib.http import parse, parse_query
from automette.openapi import AUTH_ERRORS, BODY_ERRORS, INVALID, NOT_FOUND
from templates_app.serializers import TemplateSerializer
from templates_app.services import download_url, find_template, find_version, publish_version
from templates_app.version_serializers import (
    PublishSerializer,
    VersionListItemSerializer,
    VersionQuerySerializer,
    VersionSerializer,
)


class VersionListView(APIView):
    @extend_schema(
        operation_id="list_versions",
        summary="List the versions of a template, newest first",
        responses={200: VersionListItemSerializer(many=True), **AUTH_ERRORS, **NOT_FOUND},
        tags=["Templates"],
    )
    def get(self, request: ApiRequest, template_id: str) -> Response:
        template = find_template(team=request.auth.team, template_id=template_id)
        versions = (
            template.versions.select_related("template")
            .only("number", "created_at", "template__current_version_id")
            .order_by("-number")
        )
        return Response(VersionListItemSerializer(versions, many=True).data)


class VersionView(APIView):
    @extend_schema(
        operation_id="get_version",
        summary="Read a version with its source, or fetch one of its files",
        parameters=[VersionQuerySerializer],
        responses={
            200: VersionSerializer,
            302: OpenApiResponse(description="`file`: where its content is."),
            **AUTH_ERRORS,
            **NOT_FOUND,
            **INVALID,
        },
        tags=["Templates"],
    )
    def get(self, request: ApiRequest, template_id: str, number: int) -> HttpResponseBase:
        query = parse_query(VersionQuerySerializer, request)
        version = find_version(team=request.auth.team, template_id=template_id, number=number)
        if "file" in query:
            url = download_url(version=version, name=query["file"])
            return HttpResponseRedirect(url, headers={"Cache-Control": "no-store"})
        return Response(VersionSerializer(version).data)


class TemplatePublishView(APIView):
    @extend_schema(
        operation_id="publish_version",
        summary="Let renders use a version: roll back or forward",
        request=PublishSerializer,
        responses={200: TemplateSerializer, **AUTH_ERRORS, **BODY_ERRORS, **NOT_FOUND},
        tags=["Templates"],
    )
    def post(self, request: ApiRequest, template_id: str) -> Response:
        body = parse(PublishSerializer, request)
        template = publish_version(
            team=request.auth.team, actor=str(request.auth), template_id=template_id, number=body.get("version")
        )
        return Response(TemplateSerializer(template).data)
