from django.conf import settings
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from accounts.idempotent_requests import REPLAYED, request_key
from automette.lib.http import parse, parse_query
from automette.lib.pagination import page_by_id
from automette.openapi import (
    AUTH_ERRORS,
    BODY_ERRORS,
    IDEMPOTENCY_CONFLICT,
    IDEMPOTENCY_KEY,
    INVALID,
    NO_CREDITS,
    NOT_FOUND,
    ErrorSerializer,
)
from renders.deletion import delete_render
from renders.models import Render
from renders.serializers import (
    RenderCreatedSerializer,
    RenderCreateSerializer,
    RenderDeletedSerializer,
    RenderFailedSerializer,
    RenderListItemSerializer,
    RenderListQuerySerializer,
    RenderListSerializer,
    RenderQuerySerializer,
    RenderRefusedSerializer,
    RenderSerializer,
)
from renders.services import create_render_once, download_url, find_render


class RenderListView(APIView):
    @extend_schema(
        operation_id="list_renders",
        summary="List renders, newest first",
        parameters=[RenderListQuerySerializer],
        responses={200: RenderListSerializer, **AUTH_ERRORS, **INVALID},
        tags=["Renders"],
    )
    def get(self, request: ApiRequest) -> Response:
        query = parse_query(RenderListQuerySerializer, request)
        limit, cursor = query.pop("limit"), query.pop("cursor", None)
        renders, next_cursor = page_by_id(
            request.auth.team.renders.kept().defer("data").filter(**query),
            limit=limit,
            cursor=cursor,
            known=request.auth.team.renders.all(),
        )
        return Response({"renders": RenderListItemSerializer(renders, many=True).data, "next_cursor": next_cursor})

    @extend_schema(
        operation_id="create_render",
        summary="Render a document",
        request=RenderCreateSerializer,
        parameters=IDEMPOTENCY_KEY,
        responses={
            200: OpenApiResponse(RenderCreatedSerializer, description="Finished (`async: false`)."),
            202: OpenApiResponse(RenderCreatedSerializer, description="Accepted; it goes on in the background."),
            **AUTH_ERRORS,
            **NO_CREDITS,
            **NOT_FOUND,
            **IDEMPOTENCY_CONFLICT,
            **BODY_ERRORS,
            422: OpenApiResponse(
                RenderRefusedSerializer,
                description="A value is not allowed; or a sync render failed (then with its id).",
            ),
        },
        tags=["Renders"],
    )
    def post(self, request: ApiRequest) -> Response:
        body = parse(RenderCreateSerializer, request)
        wait_seconds = 0 if body.pop("async") else settings.SYNC_WAIT_SECONDS
        body.setdefault("data", {})
        asked = {"team": request.auth.team, "actor": str(request.auth), "wait_seconds": wait_seconds, **body}
        render, is_new = create_render_once(key=request_key(request), **asked)
        return _answer(render, headers={} if is_new else REPLAYED)


def _answer(render: Render, *, headers: dict[str, str]) -> Response:
    if render.status == Render.Status.COMPLETED:
        return Response(RenderCreatedSerializer(render).data, headers=headers)
    if render.status == Render.Status.FAILED:
        failed = {"error": render.error, "id": render.id, "self": render.self_url, "status": render.status}
        refused = status.HTTP_422_UNPROCESSABLE_ENTITY
        return Response(RenderFailedSerializer(failed).data, status=refused, headers=headers)
    if render.status == Render.Status.RUNNING:  # the contract knows one word for "not finished" here
        render.status = Render.Status.PENDING
    return Response(RenderCreatedSerializer(render).data, status=status.HTTP_202_ACCEPTED, headers=headers)


class RenderView(APIView):
    @extend_schema(
        operation_id="get_render",
        summary="Read a render, or fetch its file",
        parameters=[RenderQuerySerializer],
        responses={
            200: RenderSerializer,
            302: OpenApiResponse(description="`download=true`: where the file is."),
            **AUTH_ERRORS,
            **NOT_FOUND,
            **INVALID,
            425: OpenApiResponse(ErrorSerializer, description="`download=true` before the render has finished."),
        },
        tags=["Renders"],
    )
    def get(self, request: ApiRequest, render_id: str) -> HttpResponseBase:
        query = parse_query(RenderQuerySerializer, request)
        render = find_render(team=request.auth.team, render_id=render_id)
        if query["download"]:
            url = download_url(render=render, format=query.get("format"))
            return HttpResponseRedirect(url, headers={"Cache-Control": "no-store"})
        return Response(RenderSerializer(render).data)

    @extend_schema(
        operation_id="delete_render",
        summary="Delete a render: its files and everything that was sent for it",
        request=None,
        responses={200: RenderDeletedSerializer, **AUTH_ERRORS, **NOT_FOUND},
        tags=["Renders"],
    )
    def delete(self, request: ApiRequest, render_id: str) -> Response:
        receipt = delete_render(team=request.auth.team, actor=str(request.auth), render_id=render_id)
        return Response(RenderDeletedSerializer(receipt).data)
