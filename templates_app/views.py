from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from automette.lib.errors import NotFoundError
from automette.lib.http import StrictJSONParser, parse, parse_query
from automette.lib.uploads import UploadParser, is_upload
from automette.openapi import AUTH_ERRORS, BODY_ERRORS, INVALID, NOT_FOUND, UNAVAILABLE
from templates_app.serializers import (
    TemplateCreatedSerializer,
    TemplateCreateSerializer,
    TemplateListItemSerializer,
    TemplateListQuerySerializer,
    TemplateSerializer,
    TemplateUploadSerializer,
)
from templates_app.services import create_template, upload_template


class TemplateListView(APIView):
    parser_classes = [StrictJSONParser, UploadParser]

    @extend_schema(
        operation_id="list_templates",
        summary="List templates, oldest first",
        parameters=[TemplateListQuerySerializer],
        responses={200: TemplateListItemSerializer(many=True), **AUTH_ERRORS, **INVALID},
        tags=["Templates"],
    )
    def get(self, request: ApiRequest) -> Response:
        wanted = parse_query(TemplateListQuerySerializer, request)
        templates = request.auth.team.templates.filter(**wanted).order_by("id")
        return Response(TemplateListItemSerializer(templates, many=True).data)

    @extend_schema(
        operation_id="create_template",
        summary="Create a template",
        request={"application/json": TemplateCreateSerializer, UploadParser.media_type: TemplateUploadSerializer},
        responses={201: TemplateCreatedSerializer, **AUTH_ERRORS, **BODY_ERRORS, **NOT_FOUND, **UNAVAILABLE},
        tags=["Templates"],
    )
    def post(self, request: ApiRequest) -> Response:
        if is_upload(request):
            return _upload(request)
        body = parse(TemplateCreateSerializer, request)
        template = create_template(team=request.auth.team, actor=str(request.auth), **body)
        return Response(TemplateSerializer(template).data, status=status.HTTP_201_CREATED)


def _upload(request: ApiRequest) -> Response:
    body = parse(TemplateUploadSerializer, request)
    content = body.pop("file").content
    template, warnings = upload_template(team=request.auth.team, actor=str(request.auth), content=content, **body)
    answer = {**TemplateSerializer(template).data, "warnings": warnings}
    return Response(answer, status=status.HTTP_201_CREATED)


class TemplateView(APIView):
    @extend_schema(
        operation_id="get_template",
        summary="Read a template and its fields",
        responses={200: TemplateSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Templates"],
    )
    def get(self, request: ApiRequest, template_id: str) -> Response:
        template = request.auth.team.templates.select_related("current_version").filter(pk=template_id).first()
        if template is None:
            raise NotFoundError
        return Response(TemplateSerializer(template).data)
