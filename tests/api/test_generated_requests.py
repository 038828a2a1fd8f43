"""Requests made up from our own OpenAPI document: whatever they hold, no answer is a server error or undocumented."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from automette.wsgi import application
from tests.api.test_route_permissions import ROUTES

pytestmark = pytest.mark.usefixtures("server")  # an upload waits for a worker to look at it
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]


@pytest.fixture(scope="module")
def operations(database):
    document = schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json", application, headers={"Accept": "application/json"}
    )
    return [result.ok() for result in document.get_all_operations()]


@pytest.mark.parametrize("number", range(len(ROUTES)))
def test_no_request_breaks_an_operation(api, operations, number):
    assert len(operations) == len(ROUTES)  # a table that grows makes this test grow
    operation = operations[number]

    # The same requests each time: `make schemathesis` looks for others, where a find stops nobody's change.
    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def send(data):
        case = data.draw(operation.as_strategy())
        case.headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
        case.call_and_validate(checks=CHECKS)

    send()
