from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import ApiRequest
from automette.openapi import AUTH_ERRORS
from credits.models import CreditAccount
from credits.serializers import CreditsSerializer


class CreditsView(APIView):
    @extend_schema(
        operation_id="get_credits",
        summary="Read the team's credits",
        responses={200: CreditsSerializer, **AUTH_ERRORS},
        tags=["Credits"],
    )
    def get(self, request: ApiRequest) -> Response:
        return Response(CreditsSerializer(CreditAccount.objects.get(team=request.auth.team)).data)
