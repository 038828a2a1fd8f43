"""`/api/v1/templates/{id}/url_base`: made, replaced, revoked."""

import re
import threading

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry
from automette.lib.encryption import DecryptionError, decrypt
from automette.lib.ids import new_id
from ondemand.models import SignedDocument, UrlBase
from ondemand.services import replace_url_base
from tests.ondemand.conftest import end

pytestmark = pytest.mark.usefixtures("database")


def address(template_id: str) -> str:
    return f"/api/v1/templates/{template_id}/url_base"


def actions(template_id: str) -> list[str]:
    entries = AuditEntry.objects.filter(subject=template_id, action__startswith="url_base.")
    return list(entries.order_by("id").values_list("action", flat=True))


def test_post_makes_a_token_that_the_template_tells(api):
    template_id = api.template()
    assert api.get(f"/api/v1/templates/{template_id}").json()["url_base"] is None
    answer = api.send("POST", address(template_id), content_type="")
    assert (answer.status_code, list(answer.json())) == (200, ["url_base"])
    token = answer.json()["url_base"]
    assert re.fullmatch("[A-Za-z0-9]{16}", token)
    assert api.get(f"/api/v1/templates/{template_id}").json()["url_base"] == token
    assert actions(template_id) == ["url_base.created"]


def test_post_again_replaces_it_and_ends_what_was_signed(signer, fetch, no_worker):
    template_id = signer.template()
    old = signer.sign(template_id)
    end(old.render)
    assert fetch(old.path, "HEAD").status_code == 200
    first = UrlBase.objects.get(template_id=template_id)
    token = signer.base(template_id)
    base = UrlBase.objects.get(template_id=template_id)
    assert (base.token, base.id != first.id, base.signing_key != first.signing_key) == (token, True, True)
    assert fetch(old.path, "HEAD").status_code == 404
    assert fetch(old.path.replace(first.token, token), "HEAD").status_code == 403  # it has another key as well
    assert not SignedDocument.objects.filter(url_base_id=first.id).exists()
    assert actions(template_id) == ["url_base.created", "url_base.replaced"]


def test_delete_revokes_at_once_and_a_repeat_changes_nothing(api, signer, fetch, no_worker):
    template_id = signer.template()
    signed = signer.sign(template_id)
    end(signed.render)
    for _ in range(2):
        answer = api.send("DELETE", address(template_id), content_type="")
        assert (answer.status_code, answer.json()) == (200, {"url_base": None})
        assert fetch(signed.path).status_code == 404
    assert api.get(f"/api/v1/templates/{template_id}").json()["url_base"] is None
    assert actions(template_id) == ["url_base.created", "url_base.revoked"]
    assert api.get(f"/api/v1/renders/{signed.render.id}").json()["status"] == "completed"  # the render is the team's


def test_deleting_the_template_revokes(api, signer, fetch, no_worker):
    template_id = signer.template()
    signed = signer.sign(template_id)
    end(signed.render)
    assert api.send("DELETE", f"/api/v1/templates/{template_id}").status_code == 200
    assert fetch(signed.path).status_code == 404
    assert api.post("/api/v1/sign", {"template_id": template_id}).status_code == 404


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_teams_template_is_404(signer, other_api, method):
    template_id = signer.template()
    token = UrlBase.objects.get(template_id=template_id).token
    theirs = other_api.send(method, address(template_id))
    nobodys = other_api.send(method, address(new_id()))
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)
    assert UrlBase.objects.get(template_id=template_id).token == token


def test_repeat_with_an_idempotency_key_replaces_nothing(api):
    template_id = api.template()
    answers = [api.post(address(template_id), headers={"Idempotency-Key": "once-please"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json() == {"url_base": UrlBase.objects.get(template_id=template_id).token}
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def test_replacing_at_once_leaves_one(api):
    template_id, tokens = api.template(), []
    together = threading.Barrier(8)

    def replace():
        together.wait()
        try:
            tokens.append(replace_url_base(team=api.team, actor="test", template_id=template_id))
        finally:
            connection.close()

    threads = [threading.Thread(target=replace) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(tokens)) == 8
    assert UrlBase.objects.get(template_id=template_id).token in tokens
    assert actions(template_id) == ["url_base.created"] + ["url_base.replaced"] * 7


def test_key_is_not_in_the_database_and_fits_no_other_row(signer):
    bases = [UrlBase.objects.get(template_id=signer.template()) for _ in range(2)]
    keys = [decrypt(base.signing_key, base.id) for base in bases]
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(base)::text FROM ondemand_urlbase AS base")
        kept = "".join(row for (row,) in cursor.fetchall())
    assert [key in kept for key in keys] == [False, False]
    with pytest.raises(DecryptionError):
        decrypt(bases[0].signing_key, bases[1].id)


@pytest.fixture
def operator(database):
    user = get_user_model().objects.create_superuser("who revokes", email="", password="long enough for it")
    client = Client()
    client.force_login(user)
    yield client
    user.delete()


def test_operators_can_revoke_and_see_no_key(operator, signer):
    template_id, other_id = signer.template(), signer.template()
    base = UrlBase.objects.get(template_id=template_id)
    page = operator.get(reverse("admin:ondemand_urlbase_change", args=[base.pk])).content.decode()
    assert base.token in page
    assert base.signing_key not in page
    assert decrypt(base.signing_key, base.id) not in page
    chosen = {"action": "revoke", "_selected_action": [base.pk]}
    assert operator.post(reverse("admin:ondemand_urlbase_changelist"), chosen).status_code == 302
    assert not UrlBase.objects.filter(template_id=template_id).exists()
    assert UrlBase.objects.filter(template_id=other_id).exists()
    assert actions(template_id) == ["url_base.created", "url_base.revoked"]
    assert AuditEntry.objects.get(subject=template_id, action="url_base.revoked").actor.startswith("operator:")
