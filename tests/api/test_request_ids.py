import uuid

import pytest

from accounts.models import AuditEntry

SENT = "3f2b8c1e-6a54-4c0e-9d1b-0a9f8e7d6c5b"
PATHS = ["/api/v1/credits", "/api/v1/nowhere", "/livez", "/", "/docs", f"/renders/c{'0' * 24}.pdf"]


@pytest.mark.parametrize("path", PATHS)
def test_id_of_the_caller_is_kept(api, path):
    assert api.get(path, headers={"X-Request-Id": SENT}).headers["X-Request-Id"] == SENT


@pytest.mark.parametrize("path", PATHS)
def test_id_is_made_when_the_caller_sends_none(api, path):
    first, second = (api.get(path).headers["X-Request-Id"] for _ in range(2))
    assert str(uuid.UUID(first)) == first
    assert first != second


@pytest.mark.parametrize(
    "sent", ["", "1", "x" * 36, SENT + "0", "../../etc/passwd", "\u00fc", SENT.replace("-", "") * 2]
)
def test_id_that_is_no_uuid_is_replaced(api, sent):
    answered = api.get("/api/v1/credits", headers={"X-Request-Id": sent}).headers["X-Request-Id"]
    assert str(uuid.UUID(answered)) == answered
    assert answered != sent


def test_refusal_carries_the_id_too(api):
    answer = api.send("POST", "/api/v1/renders", b"{", headers={"X-Request-Id": SENT})
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (400, SENT)


def test_audit_row_names_the_request(server, api):
    answer = api.post(
        "/api/v1/templates",
        {"name": "Letter", "engine": "typst", "source": "Hi"},
        headers={"X-Request-Id": SENT},
    )
    row = AuditEntry.objects.get(subject=answer.json()["id"])
    assert (row.action, row.request_id, row.team_id) == ("template.created", SENT, api.team.id)
