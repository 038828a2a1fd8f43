from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from automette.lib.http import parse_query
from automette.lib.pagination import page_by_id
from automette.openapi import AUTH_ERRORS, INVALID
from credits.serializers import CreditsSerializer, LedgerEntrySerializer, LedgerQuerySerializer, LedgerSerializer
from credits.services import current_account


class CreditsView(APIView):
    @extend_schema(
        operation_id="get_credits",
        summary="Read the team's credits",
        responses={200: CreditsSerializer, **AUTH_ERRORS},
        tags=["Credits"],
    )
    def get(self, request: ApiRequest) -> Response:
        return Response(CreditsSerializer(current_account(team=request.auth.team)).data)


class LedgerView(APIView):
    @extend_schema(
        operation_id="list_ledger_entries",
        summary="List the movements of the team's credits, newest first",
        parameters=[LedgerQuerySerializer],
        responses={200: LedgerSerializer, **AUTH_ERRORS, **INVALID},
        tags=["Credits"],
    )
    def get(self, request: ApiRequest) -> Response:
        query = parse_query(LedgerQuerySerializer, request)
        limit, cursor = query.pop("limit"), query.pop("cursor", None)
        known = request.auth.team.ledger_entries.all()
        entries, next_cursor = page_by_id(known.filter(**query), known=known, limit=limit, cursor=cursor)
        return Response({"entries": LedgerEntrySerializer(entries, many=True).data, "next_cursor": next_cursor})
