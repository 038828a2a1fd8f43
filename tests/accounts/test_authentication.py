import datetime as dt

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, AuditEntry
from accounts.services import create_api_key, revoke_api_key

MOMENT = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)


def row_of(api) -> ApiKey:
    return ApiKey.objects.get(digest=keys.digest(api.key))


def test_only_the_digest_is_stored(api):
    for value in ApiKey.objects.filter(team=api.team).values().get().values():
        assert api.key[7:-4] not in str(value)
    assert row_of(api).hint == f"{api.key[:7]}…{api.key[-4:]}"


@pytest.mark.parametrize("key", ["dg_typo", "dg_" + "0" * 49, "", "sk_live_x", "dg_" + "0" * 5000])
def test_malformed_key_costs_no_statement(api, key):
    api.key = key
    with CaptureQueriesContext(connection) as captured:
        answer = api.get("/api/v1/credits")
    assert (answer.status_code, len(captured)) == (401, 0)


def test_good_key_costs_one_statement(api):
    api.get("/api/v1/credits")
    with CaptureQueriesContext(connection) as captured:
        assert api.get("/api/v1/templates").status_code == 200
    assert len(captured) == 2, [query["sql"] for query in captured]


def test_last_use_is_noted_at_most_once_a_minute(api):
    assert row_of(api).last_used_at is None
    with time_machine.travel(MOMENT, tick=False) as clock:
        for seconds, noted in [(0, 0), (30, 0), (29, 0), (2, 61), (59, 61), (2, 122)]:
            clock.shift(seconds)
            assert api.get("/api/v1/credits").status_code == 200
            assert row_of(api).last_used_at == MOMENT + dt.timedelta(seconds=noted)


def test_refused_key_is_not_noted_as_used(api):
    revoke_api_key(api_key=row_of(api), actor="test")
    assert api.get("/api/v1/credits").status_code == 401
    assert row_of(api).last_used_at is None


def test_revocation_works_at_once_and_is_audited_once(api):
    assert api.get("/api/v1/credits").status_code == 200
    row = row_of(api)
    revoke_api_key(api_key=row, actor="somebody")
    assert api.get("/api/v1/credits").status_code == 401
    first = row_of(api).revoked_at
    revoke_api_key(api_key=row, actor="somebody else")
    assert row_of(api).revoked_at == first
    audited = AuditEntry.objects.filter(subject=row.id, action="api_key.revoked")
    assert list(audited.values_list("actor", flat=True)) == ["somebody"]


def test_key_ends_at_its_moment(api):
    _, api.key = create_api_key(team=api.team, actor="test", expires_at=MOMENT)
    with time_machine.travel(MOMENT - dt.timedelta(seconds=1), tick=False) as clock:
        assert api.get("/api/v1/credits").status_code == 200
        clock.shift(1)
        assert api.get("/api/v1/credits").status_code == 401


def test_team_may_have_many_keys_and_ending_one_leaves_the_others(api):
    _, second = create_api_key(team=api.team, actor="test", expires_at=timezone.now() + dt.timedelta(hours=1))
    revoke_api_key(api_key=row_of(api), actor="test")
    api.key = second
    assert api.get("/api/v1/credits").status_code == 200


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "])
def test_scheme_is_read_as_http_has_it(api, header):
    answer = api._client.get("/api/v1/credits", headers={"Authorization": header.format(api.key)})
    assert answer.status_code == 200


def test_key_in_the_address_is_no_key(api):
    for query in (f"key={api.key}", f"api_key={api.key}", f"access_token={api.key}"):
        assert api._client.get(f"/api/v1/credits?{query}").status_code == 401
