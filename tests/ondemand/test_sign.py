"""`POST /api/v1/sign`: the same data gives the same URL, one render and one charge."""

import re
import threading

import pytest
from django.conf import settings as configured
from django.db import connection

from automette.lib.ids import new_id
from credits.models import CreditAccount, LedgerEntry
from ondemand import statements
from ondemand.models import SignedDocument, UrlBase
from ondemand.services import replace_url_base, sign_document
from renders.models import Render
from templates_app.models import Template
from templates_app.services import add_version
from tests.api.uploading import upload
from tests.docx.word_files import word_file
from tests.ondemand.conftest import BANNER, end

pytestmark = pytest.mark.usefixtures("database", "no_worker")
SIGN = "/api/v1/sign"


def counts(api) -> tuple[int, int, int]:
    """Renders, signed documents, and credits left."""
    documents = SignedDocument.objects.filter(url_base__team=api.team)
    return api.team.renders.count(), documents.count(), api.credits()


def test_answer_is_the_url_with_what_it_shows(api, signer):
    template_id = signer.template(name="Card")
    token = UrlBase.objects.get(template_id=template_id).token
    answer = api.post(SIGN, {"template_id": template_id, "data": {"name": "Ada"}, "unknown": 1})
    body = answer.json()
    assert answer.status_code == 200
    assert body == {"url": body["url"], "template_name": "Card", "format": "pdf", "url_base": token}
    place, _, query = body["url"].partition("?")
    assert place == f"{configured.PUBLIC_URL}/ondemand/{token}/image.pdf"
    assert re.fullmatch(r"data=eyJuYW1lIjoiQWRhIn0&s=[\w-]{43}", query)


def test_it_starts_a_render_that_is_charged_and_kept(api, signer):
    api.team.files_expire_after_seconds = 60
    api.team.save()
    render = signer.sign(signer.template(), {"b": "1", "a": "ü"}).render
    row = Render.objects.select_related("job").get(pk=render.pk)
    told = (row.job.source, row.queue, row.visibility, row.status, row.data, row.expires_in)
    assert told == ("ondemand", "async", "secure", "pending", '{"a":"ü","b":"1"}', None)
    charge = LedgerEntry.objects.get(render_id=render.id)
    assert (charge.kind, charge.amount, counts(api)) == ("charge", -1, (1, 1, 99))
    end(row)
    assert Render.objects.get(pk=row.pk).expires_at is None
    other = api.post("/api/v1/renders", {"template_id": row.template_id}).json()["id"]
    assert Render.objects.get(pk=other).expires_in == 60  # the control: the team's time is there


def test_canvas_is_a_png_and_word_a_pdf(api, server, signer):
    canvas = signer.template(BANNER, engine="canvas")
    assert api.post(SIGN, {"template_id": canvas}).json()["format"] == "png"
    word = upload(api, word_file("Dear {{ name }}")).json()["id"]
    signer.base(word)
    answer = api.post(SIGN, {"template_id": word, "data": {"name": "Ada"}}).json()
    assert answer["format"] == "pdf"
    render = api.team.renders.order_by("-id").first()
    assert (render.formats, render.queue) == (["pdf"], "docx")


def test_same_data_again_is_the_same_url_and_costs_nothing(api, signer):
    template_id = signer.template()
    first = signer.sign(template_id, {"a": "1", "b": "2"})
    assert signer.sign(template_id, {"b": "2", "a": "1"}).url == first.url
    end(first.render)
    assert signer.sign(template_id, {"a": "1", "b": "2"}).url == first.url
    assert counts(api) == (1, 1, 99)
    other = signer.sign(template_id, {"a": "1", "b": "3"})
    assert (other.url != first.url, counts(api)) == (True, (2, 2, 98))


def test_missing_data_is_none(api, signer):
    template_id = signer.template()
    urls = {api.post(SIGN, {"template_id": template_id, **more}).json()["url"] for more in ({}, {"data": {}})}
    assert (len(urls), counts(api)) == (1, (1, 1, 99))


def test_another_version_renders_anew_under_the_same_url(api, signer):
    template_id = signer.template()
    first = signer.sign(template_id)
    end(first.render)
    add_version(template=Template.objects.get(pk=template_id), text="Other")
    second = signer.sign(template_id)
    document = SignedDocument.objects.get(url_base__template_id=template_id)
    assert (second.url, second.render.id != first.render.id) == (first.url, True)
    assert (document.render_id, document.previous_render_id) == (second.render.id, first.render.id)
    assert counts(api) == (2, 1, 98)
    signer.sign(template_id)
    assert counts(api) == (2, 1, 98)


def test_what_was_never_completed_is_no_previous_render(api, signer):
    template_id = signer.template()
    first = signer.sign(template_id)
    template = Template.objects.get(pk=template_id)
    add_version(template=template, text="Other")
    second = signer.sign(template_id)
    document = SignedDocument.objects.get(url_base__template_id=template_id)
    assert (document.render_id, document.previous_render_id) == (second.render.id, None)
    end(first.render)
    end(second.render)
    add_version(template=template, text="A third")
    third = signer.sign(template_id)
    document.refresh_from_db()
    assert (document.render_id, document.previous_render_id) == (third.render.id, second.render.id)


def test_failed_render_is_tried_anew_and_keeps_the_previous_one(api, signer):
    template_id = signer.template()
    first = signer.sign(template_id)
    end(first.render)
    add_version(template=Template.objects.get(pk=template_id), text="#panic()")
    second = signer.sign(template_id)
    end(second.render, error="panicked")
    third = signer.sign(template_id)
    document = SignedDocument.objects.get(url_base__template_id=template_id)
    assert third.render.id not in {first.render.id, second.render.id}
    assert (document.render_id, document.previous_render_id) == (third.render.id, first.render.id)
    assert counts(api) == (3, 1, 98)  # the one that failed was given back


def test_deleted_render_is_made_anew_and_nothing_older_is_shown(api, signer):
    template_id = signer.template()
    first = signer.sign(template_id)
    end(first.render)
    add_version(template=Template.objects.get(pk=template_id), text="Other")
    second = signer.sign(template_id)
    end(second.render)
    assert api.send("DELETE", f"/api/v1/renders/{second.render.id}").status_code == 200
    third = signer.sign(template_id)
    document = SignedDocument.objects.get(url_base__template_id=template_id)
    assert (third.url, document.render_id, document.previous_render_id) == (first.url, third.render.id, None)


def test_without_credits_nothing_is_left_behind(new_api, nothing_changes):
    api = new_api(credits=0)
    template_id = api.template()
    api.post(f"/api/v1/templates/{template_id}/url_base")
    with nothing_changes(api):
        answer = api.post(SIGN, {"template_id": template_id})
        keyed = api.post(SIGN, {"template_id": template_id}, headers={"Idempotency-Key": "no-credit"})
    assert (answer.status_code, answer.json()["error"], keyed.status_code) == (402, "Insufficient credits", 402)
    assert SignedDocument.objects.filter(url_base__team=api.team).count() == 0
    CreditAccount.objects.filter(team=api.team).update(overage_limit=1)
    assert api.post(SIGN, {"template_id": template_id}, headers={"Idempotency-Key": "no-credit"}).status_code == 200


def test_without_credits_what_is_signed_already_still_is(new_api):
    api = new_api(credits=1)
    template_id = api.template()
    api.post(f"/api/v1/templates/{template_id}/url_base")
    answers = [api.post(SIGN, {"template_id": template_id}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


REFUSED = [
    (b"{", 400, None),
    (b"[]", 400, "The body must be a JSON object."),
    (b"{}", 400, "template_id: This field is required."),
    (b'{"template_id": 1}', 422, "template_id: Must be a string."),
    (b'{"template_id": "%s", "data": []}', 422, "data: Must be an object."),
    (b'{"template_id": "%s", "data": null}', 422, None),
    (b'{"template_id": "%s", "data": {"a": "x", "price": 2}}', 422, "data.price: Must be a string."),
    (b'{"template_id": "%s", "data": {"\\ud800": 2}}', 422, "data: contains half of a surrogate pair."),
    (
        b'{"template_id": "%s", "data": {"a": "\\u0000"}}',
        422,
        "data: contains a NUL character (\\u0000), which no document can hold.",
    ),
]


@pytest.mark.parametrize(("body", "status", "sentence"), REFUSED)
def test_refusals(api, signer, nothing_changes, body, status, sentence):
    template_id = signer.template()
    with nothing_changes(api):
        answer = api.send("POST", SIGN, body.replace(b"%s", template_id.encode()))
    assert (answer.status_code, answer.json()["error"]) == (status, sentence or answer.json()["error"])
    assert SignedDocument.objects.filter(url_base__team=api.team).count() == 0


def test_template_without_a_base_is_422(api, nothing_changes):
    template_id = api.template()
    with nothing_changes(api):
        answer = api.post(SIGN, {"template_id": template_id})
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "template_id: This template has no url_base. Make one with POST /api/v1/templates/{id}/url_base.",
    )


def test_another_teams_template_is_404(signer, other_api, nothing_changes):
    template_id = signer.template()
    with nothing_changes(signer.api, other_api):
        theirs = other_api.post(SIGN, {"template_id": template_id})
        nobodys = other_api.post(SIGN, {"template_id": new_id()})
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)


def test_url_has_at_most_8000_characters(api, signer):
    template_id = signer.template()
    size = (8000 - len(signer.sign(template_id, {"n": ""}).url)) * 3 // 4 - 5
    before, urls, answer = counts(api), [], None
    while answer is None or answer.status_code == 200:
        answer = api.post(SIGN, {"template_id": template_id, "data": {"n": "x" * size}})
        if answer.status_code == 200:
            urls.append(answer.json()["url"])
        size += 1
    assert 7998 <= len(urls[-1]) <= 8000
    assert answer.status_code == 422
    sentence = r"data: Makes a URL of 8,00\d characters; at most 8,000 are possible\. Send less data\."
    assert re.fullmatch(sentence, answer.json()["error"])
    assert counts(api) == (before[0] + len(urls), before[1] + len(urls), before[2] - len(urls))


def test_idempotency_key_gives_the_first_answer(api, signer):
    template_id = signer.template()
    headers = {"Idempotency-Key": "sign-this-once"}
    body = {"template_id": template_id, "data": {"name": "Ada"}}
    first = api.post(SIGN, body, headers=headers)
    again = api.post(SIGN, body, headers=headers)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert api.post(SIGN, {**body, "data": {}}, headers=headers).status_code == 409
    assert counts(api) == (1, 1, 99)
    signed_before = api.post(SIGN, body, headers={"Idempotency-Key": "sign-this-too"})
    assert (signed_before.json(), counts(api)) == (first.json(), (1, 1, 99))


def test_rate_limit_counts_signing(api):
    CreditAccount.objects.filter(team=api.team).update(own_requests_per_minute=1)
    statuses = [api.post(SIGN, {"template_id": new_id()}).status_code for _ in range(30)]
    assert (statuses[0], statuses[-1]) == (404, 429)


def at_once(count: int, work) -> list:
    together, results = threading.Barrier(count), []

    def run():
        together.wait()
        try:
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def all_look_first(monkeypatch):
    """Nobody goes on before all have seen that something is to be rendered; no connection is held meanwhile."""
    look, looked = statements.find_signed, threading.Barrier(50)

    def find(**asked):
        found = look(**asked)
        connection.close()
        looked.wait(60)
        return found

    monkeypatch.setattr(statements, "find_signed", find)


@pytest.mark.parametrize("before", ["nothing", "a failed render", "another version"])
def test_fifty_at_once_are_one_render_and_one_charge(api, signer, request, before):
    template_id = signer.template()
    if before != "nothing":
        known = signer.sign(template_id, {"name": "Ada"})
        end(known.render, error="panicked" if before == "a failed render" else None)
    if before == "another version":
        add_version(template=Template.objects.get(pk=template_id), text="Other")
    renders, _, left = counts(api)
    request.getfixturevalue("all_look_first")
    asked = {"team": api.team, "actor": "test", "template_id": template_id, "data": {"name": "Ada"}}
    urls = at_once(50, lambda: sign_document(**asked).url)
    assert (len(urls), len(set(urls))) == (50, 1)
    assert counts(api) == (renders + 1, 1, left - 1)
    newest = api.team.renders.order_by("-id").first()
    assert SignedDocument.objects.get(url_base__template_id=template_id).render_id == newest.id


def test_without_the_second_look_each_would_be_charged(api, signer, request, monkeypatch):
    """The control: who has waited for the row does not ask what became of it meanwhile."""
    template_id = signer.template()
    end(signer.sign(template_id).render, error="panicked")
    request.getfixturevalue("all_look_first")

    def point(taken, document, **_):
        SignedDocument.objects.filter(pk=taken.id).update(render_id=document.render_id)
        return True

    monkeypatch.setattr("ondemand.services._point_to", point)
    asked = {"team": api.team, "actor": "test", "template_id": template_id, "data": {}}
    at_once(50, lambda: sign_document(**asked))
    assert counts(api) == (51, 1, 50)


def test_signing_while_the_base_is_replaced_leaves_nothing_loose(api, signer):
    """Each URL belongs to a base that was there; what is charged is rendered; no row points to what is gone."""
    template_id = signer.template()
    asked = {"team": api.team, "actor": "test", "template_id": template_id}
    number = iter(range(1000))

    def work():
        mine = next(number)
        if mine % 5 == 0:
            return replace_url_base(**asked)
        return sign_document(**asked, data={"n": str(mine % 3)}).url_base

    tokens = at_once(40, work)
    renders, documents, left = counts(api)
    base = UrlBase.objects.get(template_id=template_id)
    assert (len(tokens), base.token in tokens) == (40, True)
    assert documents == base.documents.count() <= 3
    assert left == 100 - renders
