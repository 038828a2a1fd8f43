from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from accounts.idempotent_requests import idempotent
from automette.lib.http import StrictJSONParser, parse, parse_query
from automette.lib.uploads import UploadParser, is_upload
from automette.openapi import (
    AUTH_ERRORS,
    BODY_ERRORS,
    IDEMPOTENCY_CONFLICT,
    IDEMPOTENCY_KEY,
    INVALID,
    NOT_COMPILABLE,
    NOT_FOUND,
    UNAVAILABLE,
)
from templates_app.asset_serializers import DeletedSerializer
from templates_app.serializers import (
    TemplateCreateSerializer,
    TemplateListItemSerializer,
    TemplateListQuerySerializer,
    TemplateSerializer,
    TemplateUpdateSerializer,
    TemplateUploadSerializer,
    TemplateUploadUpdateSerializer,
    TemplateWrittenSerializer,
)
from templates_app.services import Written, delete_template, find_template, submit_template, update_template
from templates_app.submissions import Submission


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
        templates = request.auth.team.templates.live().filter(**wanted).order_by("id")
        return Response(TemplateListItemSerializer(templates, many=True).data)

    @extend_schema(
        operation_id="create_template",
        summary="Create a template",
        request={"application/json": TemplateCreateSerializer, UploadParser.media_type: TemplateUploadSerializer},
        parameters=IDEMPOTENCY_KEY,
        responses={
            201: TemplateWrittenSerializer,
            **AUTH_ERRORS,
            **BODY_ERRORS,
            **NOT_COMPILABLE,
            **NOT_FOUND,
            **IDEMPOTENCY_CONFLICT,
            **UNAVAILABLE,
        },
        tags=["Templates"],
    )
    @idempotent
    def post(self, request: ApiRequest) -> Response:
        body = parse(TemplateUploadSerializer if is_upload(request) else TemplateCreateSerializer, request)
        submission = _submission(body)
        written = submit_template(team=request.auth.team, actor=str(request.auth), submission=submission, **body)
        return Response(_told(written), status=status.HTTP_201_CREATED)


class TemplateView(APIView):
    parser_classes = [StrictJSONParser, UploadParser]

    @extend_schema(
        operation_id="get_template",
        summary="Read a template and its fields",
        responses={200: TemplateSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Templates"],
    )
    def get(self, request: ApiRequest, template_id: str) -> Response:
        template = find_template(team=request.auth.team, template_id=template_id)
        return Response(TemplateSerializer(template).data)

    @extend_schema(
        operation_id="update_template",
        summary="Change a template; a new source makes a new version",
        request={
            "application/json": TemplateUpdateSerializer,
            UploadParser.media_type: TemplateUploadUpdateSerializer,
        },
        responses={
            200: TemplateWrittenSerializer,
            **AUTH_ERRORS,
            **BODY_ERRORS,
            **NOT_COMPILABLE,
            **NOT_FOUND,
            **UNAVAILABLE,
        },
        tags=["Templates"],
    )
    def patch(self, request: ApiRequest, template_id: str) -> Response:
        body = parse(TemplateUploadUpdateSerializer if is_upload(request) else TemplateUpdateSerializer, request)
        written = update_template(
            team=request.auth.team,
            actor=str(request.auth),
            template_id=template_id,
            submission=_submission(body) if {"source", "file"} & body.keys() else None,
            publish=body.pop("publish"),
            changes=body,
        )
        return Response(_told(written))

    @extend_schema(
        operation_id="delete_template",
        summary="Delete a template; its renders stay readable",
        request=None,
        responses={200: DeletedSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Templates"],
    )
    def delete(self, request: ApiRequest, template_id: str) -> Response:
        delete_template(team=request.auth.team, actor=str(request.auth), template_id=template_id)
        return Response(DeletedSerializer({"id": template_id, "deleted": True}).data)


def _submission(body: dict[str, Any]) -> Submission:
    """Take what makes a version out of a body."""
    file = body.pop("file", None)
    return Submission(
        source=body.pop("source", None),
        content=None if file is None else file.content,
        fields=body.pop("fields", ()),
        example_data=body.pop("example_data", None),
    )


def _told(written: Written) -> dict[str, Any]:
    return {**TemplateSerializer(written.template).data, "warnings": written.warnings}
