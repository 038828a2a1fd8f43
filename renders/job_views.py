from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from automette.lib.http import parse_query
from automette.lib.pagination import page_by_id
from automette.openapi import AUTH_ERRORS, INVALID, NOT_FOUND
from renders.job_serializers import (
    JobListItemSerializer,
    JobListQuerySerializer,
    JobListSerializer,
    JobQuerySerializer,
    JobSerializer,
)
from renders.jobs import find_job, list_jobs
from renders.serializers import RenderListItemSerializer


class JobListView(APIView):
    @extend_schema(
        operation_id="list_jobs",
        summary="List jobs, newest first",
        parameters=[JobListQuerySerializer],
        responses={200: JobListSerializer, **AUTH_ERRORS, **INVALID},
        tags=["Jobs"],
    )
    def get(self, request: ApiRequest) -> Response:
        query = parse_query(JobListQuerySerializer, request)
        jobs, next_cursor = list_jobs(team=request.auth.team, **query)
        return Response({"jobs": JobListItemSerializer(jobs, many=True).data, "next_cursor": next_cursor})


class JobView(APIView):
    @extend_schema(
        operation_id="get_job",
        summary="Read a job and its renders, newest first",
        parameters=[JobQuerySerializer],
        responses={200: JobSerializer, **AUTH_ERRORS, **NOT_FOUND, **INVALID},
        tags=["Jobs"],
    )
    def get(self, request: ApiRequest, job_id: str) -> Response:
        query = parse_query(JobQuerySerializer, request)
        summary = find_job(team=request.auth.team, job_id=job_id)
        renders, next_cursor = page_by_id(
            summary.job.renders.kept().defer("data"),
            known=summary.job.renders.all(),
            limit=query["limit"],
            cursor=query.get("cursor"),
        )
        told = {"renders": RenderListItemSerializer(renders, many=True).data, "next_cursor": next_cursor}
        return Response({**JobListItemSerializer(summary).data, **told})
