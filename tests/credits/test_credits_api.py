import pytest

from credits.models import LedgerEntry
from renders import statements

REFUSED = {"error": "Insufficient credits", "required_credits": 1}


def test_answer_has_the_documented_keys(new_api):
    body = new_api(credits=7, overage=3).get("/api/v1/credits").json()
    assert body == {
        "credit_balance": 7,
        "overage_limit": 3,
        "available_credits": 10,
        "monthly_credits": 7,
        "period_started_at": body["period_started_at"],
        "resets_at": body["resets_at"],
    }
    assert body["resets_at"] > body["period_started_at"]


@pytest.mark.parametrize("how", [{}, {"async": False}], ids=["async", "sync"])
def test_team_without_credits_gets_402_and_nothing_is_created(new_api, nothing_changes, how):
    poor = new_api(credits=0)
    body = {"template_id": poor.template(), **how}
    with nothing_changes(poor):
        answer = poor.post("/api/v1/renders", body)
    assert answer.status_code == 402
    assert answer.content == (
        b'{"error":"Insufficient credits","required_credits":1,'
        b'"available_credits":0,"credit_balance":0,"overage_limit":0}'
    )


def test_invalid_request_of_a_team_without_credits_is_told_as_invalid(new_api, nothing_changes):
    poor = new_api(credits=0)
    body = {"template_id": poor.template(), "format": "docx"}
    with nothing_changes(poor):
        assert poor.post("/api/v1/renders", body).status_code == 422


def test_overage_may_be_spent_to_its_limit_and_not_further(new_api, nothing_changes):
    api = new_api(credits=1, overage=2)
    body = {"template_id": api.template()}
    for balance in (0, -1, -2):
        assert api.post("/api/v1/renders", body).status_code == 202
        assert api.credits() == balance
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert (answer.status_code, answer.json()) == (
        402,
        {**REFUSED, "available_credits": 0, "credit_balance": -2, "overage_limit": 2},
    )


def test_failure_gives_the_credit_back_once(api, accept):
    render = accept(api, api.template())
    assert api.credits() == 99
    statements.claim(render.id, lease_seconds=60)
    assert statements.fail(render.id, attempt=1, error="No.", code="template_error")
    assert not statements.fail(render.id, attempt=1, error="No.", code="template_error")
    rows = (
        LedgerEntry.objects.filter(render_id=render.id).order_by("id").values_list("kind", "amount", "balance_after")
    )
    assert list(rows) == [("charge", -1, 99), ("refund", 1, 100)]
    assert api.credits() == 100


def test_refund_lets_a_team_at_its_limit_render_again(new_api, accept):
    api = new_api(credits=0, overage=1)
    template_id = api.template()
    render = accept(api, template_id)
    assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 402
    statements.claim(render.id, lease_seconds=60)
    statements.fail(render.id, attempt=1, error="No.", code="template_error")
    assert api.post("/api/v1/renders", {"template_id": template_id}).status_code == 202


def test_one_teams_spending_leaves_the_others_alone(api, other_api):
    api.post("/api/v1/renders", {"template_id": api.template()})
    assert (api.credits(), other_api.credits()) == (99, 100)
