"""`Idempotency-Key` on every POST that creates something: a repeat is answered as the first time."""

import json

import pytest
from django.conf import settings

from accounts import idempotency
from accounts.models import AuditEntry, IdempotentRequest
from accounts.services import create_api_key
from accounts.tasks import delete_expired_idempotency_keys
from credits.services import grant_credits
from renders.models import Render
from tests.api.asset_calls import picture
from tests.api.idempotent_sending import (
    ASSETS,
    FONTS,
    KEY,
    RENDERS,
    SENDERS,
    TEMPLATE,
    TEMPLATES,
    WEBHOOKS,
    form,
    is_replay,
    let_expire,
    post,
    send_asset,
    send_render,
    send_template,
)
from tests.conftest import wait_until

pytestmark = pytest.mark.usefixtures("server")  # templates and fonts wait for a worker to look at them
OTHER_BODY = (
    "This Idempotency-Key was used for a request with another body within the last 24 hours. "
    "Use a new key for a new request."
)


@pytest.fixture(params=SENDERS)
def kind(request):
    return SENDERS[request.param]


def test_repeat_gets_the_same_answer_and_creates_nothing(api, nothing_changes, kind):
    send, status, _, rows = kind
    first = send(api)
    assert (first.status_code, is_replay(first)) == (status, False), first.content
    audited = AuditEntry.objects.filter(team=api.team).count()
    with nothing_changes(api):
        second, third = send(api), send(api)
    for again in (second, third):
        assert (again.status_code, is_replay(again), again.content) == (status, True, first.content)
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert rows(api).filter(pk=first.json()["id"]).exists()
    assert AuditEntry.objects.filter(team=api.team).count() == audited


def test_another_body_with_the_key_is_refused(api, nothing_changes, kind):
    send, status, change, _ = kind
    first = send(api)
    with nothing_changes(api):
        other = send(api, **change)
    assert (other.status_code, other.json(), is_replay(other)) == (409, {"error": OTHER_BODY}, False)
    assert "Retry-After" not in other.headers
    again = send(api)
    assert (again.status_code, again.content) == (status, first.content)


def test_control_without_a_key_the_same_request_is_made_again(api):
    ids = {api.post(TEMPLATES, TEMPLATE).json()["id"] for _ in range(3)}
    assert (len(ids), api.team.templates.count()) == (3, 3)
    renders = [api.post(RENDERS, {"template_id": ids.copy().pop()}) for _ in range(2)]
    assert (len({answer.json()["id"] for answer in renders}), api.credits()) == (2, 98)
    assert not any(is_replay(answer) for answer in renders)
    assert not IdempotentRequest.objects.filter(team=api.team).exists()


def test_same_key_of_another_team_or_for_another_route_is_independent(api, other_api):
    template = send_template(api)
    asset = send_asset(api)
    theirs = send_template(other_api)
    assert [each.status_code for each in (template, asset, theirs)] == [201] * 3
    assert len({each.json()["id"] for each in (template, asset, theirs)}) == 3
    assert not any(is_replay(each) for each in (template, asset, theirs))
    different = send_template(other_api, key="their-own-key", source="Theirs")
    assert send_template(api, key="their-own-key").status_code == 201
    assert send_template(other_api, key="their-own-key", source="Theirs").content == different.content


def test_another_key_is_another_request(api):
    ids = {send_template(api, key=f"request-{number}").json()["id"] for number in range(3)}
    assert len(ids) == 3


def test_two_keys_of_a_team_share_what_it_has_sent(api):
    first = send_template(api)
    _, api.key = create_api_key(team=api.team, actor="test")
    again = send_template(api)
    assert (is_replay(again), again.content) == (True, first.content)


BAD_KEYS = ["", "short-7", "x" * 256, "with space", "komma,komma", "ümlaut-key", "semi;colon", "slash/slash", "a" * 7]


@pytest.mark.parametrize("key", BAD_KEYS)
@pytest.mark.parametrize("path", [RENDERS, TEMPLATES, ASSETS, FONTS])
def test_key_that_cannot_be_one_is_refused_with_a_sentence(api, nothing_changes, key, path):
    template_id = api.template()
    with nothing_changes(api):
        if path in {ASSETS, FONTS}:
            answer = form(api, path, key, file=("a.txt", b"a", "text/plain"))
        else:
            answer = post(api, path, {**TEMPLATE, "template_id": template_id}, key)
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "Idempotency-Key: Must have 8 to 255 characters, each a letter from A to Z, a digit or one of _-:. "
        "(a UUID, say)."
    }


@pytest.mark.parametrize("key", ["12345678", "x" * 255, "Az09_-:.", "........"])
def test_every_key_of_the_contract_is_taken(api, key):
    assert [is_replay(send_template(api, key)) for _ in range(2)] == [False, True]


def raw(api, text: str):
    return api.send("POST", TEMPLATES, text.encode(), headers={"Idempotency-Key": KEY})


def test_order_of_keys_and_white_space_do_not_matter(api):
    first = raw(api, '{"name":"H","engine":"typst","source":"é","x":{"a":1,"b":[1,2]}}')
    again = raw(api, ' {\n"x": {"b": [1, 2], "a": 1}, "source": "\\u00e9", "engine": "typst", "name": "H" }')
    assert (first.status_code, is_replay(again), again.content) == (201, True, first.content)


@pytest.mark.parametrize(
    "other",
    [
        '{"b":[1,2],"a":1}',
        '{"a":1.0,"b":[1,2],"c":0}',
        '{"a":"1","b":[1,2]}',
        '{"a":1,"b":[2,1]}',
        '{"a":true,"b":[1,2]}',
    ],
)
def test_what_differs_in_value_order_of_a_list_or_type_is_another_body(api, other):
    first = raw(api, '{"name":"H","engine":"typst","source":"x","x":{"a":1,"b":[1,2]}}')
    answer = raw(api, f'{{"name":"H","engine":"typst","source":"x","x":{other}}}')
    expected = 201 if json.loads(other) == {"a": 1, "b": [1, 2]} and "true" not in other else 409
    assert (first.status_code, answer.status_code) == (201, expected)


def test_form_is_the_same_whatever_its_boundary_and_order(api):
    file = ("x.png", picture(), "image/png")
    first = form(api, ASSETS, name="logo.png", file=file)
    again = form(api, ASSETS, file=file, name="logo.png")
    assert (first.status_code, is_replay(again), again.content) == (201, True, first.content)
    renamed = form(api, ASSETS, file=("y.png", picture(), "image/png"), name="logo.png")
    assert renamed.status_code == 409


def test_unreadably_deep_body_is_refused_with_and_without_a_key(api):
    deep = '{"name":"H","engine":"typst","source":"x","x":' + "[" * 900 + "]" * 900 + "}"
    assert raw(api, deep).status_code in {201, 400}


def test_replay_is_the_first_answer_even_when_the_render_has_ended(api, wait):
    first = send_render(api)
    assert wait(api, first.json()["id"])["status"] == "completed"
    again = send_render(api)
    assert (again.status_code, is_replay(again), again.content) == (202, True, first.content)
    assert (again.json()["status"], again.json()["url"]) == ("pending", None)


def test_repeat_of_a_sync_render_gets_the_file_of_the_first(api, nothing_changes):
    api.template()
    first = send_render(api, **{"async": False})
    assert (first.status_code, first.json()["status"]) == (200, "completed")
    with nothing_changes(api):
        again = send_render(api, **{"async": False})
    assert (again.status_code, is_replay(again), again.content) == (200, True, first.content)


def test_repeat_of_a_failed_sync_render_is_the_same_422(api, nothing_changes):
    api.template(source="#panic()")
    first = send_render(api, **{"async": False})
    assert (first.status_code, is_replay(first)) == (422, False)
    with nothing_changes(api):
        again = send_render(api, **{"async": False})
    assert (again.status_code, is_replay(again), again.content) == (422, True, first.content)


def test_replay_needs_neither_the_template_nor_credits(new_api):
    api = new_api(credits=1)
    template_id = api.template()
    body = {"template_id": template_id}
    first = post(api, RENDERS, body)
    assert post(api, RENDERS, body, "another-key").status_code == 402
    api.team.templates.filter(pk=template_id).update(current_version=None)
    assert post(api, RENDERS, body, "another-key").status_code == 404
    again = post(api, RENDERS, body)
    assert (again.status_code, again.content) == (202, first.content)


def test_resource_that_was_changed_or_deleted_since_is_told_as_it_was(api):
    first = send_asset(api)
    form(api, ASSETS, "replace-it", name="logo.png", file=("x.png", picture("green"), "image/png"))
    assert send_asset(api).content == first.content
    api.send("DELETE", f"{ASSETS}/{first.json()['id']}")
    again = send_asset(api)
    assert (again.status_code, again.content, api.team.assets.count()) == (201, first.content, 0)


def test_repeat_of_a_render_that_was_deleted_makes_no_second_one(api):
    first = send_render(api)
    render = Render.objects.filter(pk=first.json()["id"])
    wait_until(lambda: render.filter(status="completed").exists())  # its files come with that
    render.delete()
    again = send_render(api)
    assert (again.status_code, again.json(), is_replay(again)) == (404, {"error": "Not found."}, False)
    assert (api.team.renders.count(), api.team.jobs.count(), api.credits()) == (0, 1, 99)


def test_refusals_are_not_remembered(new_api):
    api = new_api(credits=0)
    template_id = api.template()
    assert post(api, RENDERS, {"template_id": template_id}).status_code == 402
    assert not IdempotentRequest.objects.filter(team=api.team).exists()
    grant_credits(team=api.team, amount=5, actor="test")
    answers = [post(api, RENDERS, {"template_id": template_id}) for _ in range(2)]
    assert [(each.status_code, is_replay(each)) for each in answers] == [(202, False), (202, True)]
    assert api.credits() == 4


@pytest.mark.parametrize(
    ("path", "bad", "status"),
    [
        (RENDERS, {"template_id": "c" + "0" * 24}, 404),
        (RENDERS, {}, 400),
        (TEMPLATES, {"name": "x", "engine": "none", "source": "x"}, 422),
        (TEMPLATES, {**TEMPLATE, "project_id": "c" + "0" * 24}, 404),
    ],
)
def test_key_of_a_refused_request_may_be_used_again(api, nothing_changes, path, bad, status):
    template_id = api.template()
    with nothing_changes(api):
        assert post(api, path, bad).status_code == status
    assert not IdempotentRequest.objects.filter(team=api.team).exists()
    good = post(api, path, {**TEMPLATE, "template_id": template_id})
    assert good.status_code in {201, 202}


def test_key_stands_for_its_request_for_24_hours_and_is_free_then(api, kind):
    send, _, change, rows = kind
    first = send(api)
    let_expire(api, hours=23, seconds=3500)
    assert send(api, **change).status_code == 409
    let_expire(api)
    other = send(api, **change)
    assert other.status_code in {200, 201, 202}
    assert not is_replay(other)
    assert (is_replay(send(api, **change)), send(api).status_code) == (True, 409)
    assert IdempotentRequest.objects.filter(team=api.team).count() == 1
    assert rows(api).filter(pk__in=[first.json()["id"], other.json()["id"]]).exists()


def test_expired_keys_are_purged_in_batches_and_others_are_kept(api, other_api):
    delete_expired_idempotency_keys()
    for number in range(7):
        send_asset(api, key=f"old-key-{number}")
    let_expire(api)
    send_asset(api, key="young-key")
    send_asset(other_api, key="young-key")
    assert [idempotency.delete_expired(at_once=3) for _ in range(2)] == [7, 0]
    left = IdempotentRequest.objects.filter(team__in=[api.team, other_api.team]).values_list("key", flat=True)
    assert list(left) == ["young-key"] * 2


def test_purge_runs_by_the_clock():
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert delete_expired_idempotency_keys.name in scheduled


def test_every_post_that_creates_documents_the_header_and_the_conflict(api):
    document = api.get("/api/v1/openapi.json").json()
    operations = [(path, *each) for path, item in document["paths"].items() for each in item.items()]
    repeatable = set()
    for path, method, operation in operations:
        headers = {each["name"]: each for each in operation.get("parameters", []) if each["in"] == "header"}
        answers = {status: answer for status, answer in operation["responses"].items() if status[0] == "2"}
        if "Idempotency-Key" in headers:
            repeatable.add(path)
            assert method == "post", path
            assert headers["Idempotency-Key"]["schema"]["pattern"] == r"^[A-Za-z0-9_\-:.]{8,255}$", path
            assert "409" in operation["responses"], path
            assert all("Idempotent-Replayed" in answer["headers"] for answer in answers.values()), path
        else:
            assert headers == {}, path
            assert "201" not in answers, path
    of_webhook = {f"{WEBHOOKS}/{{webhook_id}}/{name}" for name in ("test", "rotate_secret")}
    of_webhook.add("/api/v1/webhook_deliveries/{delivery_id}/redeliver")
    assert repeatable >= {RENDERS, TEMPLATES, ASSETS, FONTS, WEBHOOKS, *of_webhook}
