"""The answers that callers rely on, whole: status, headers and body of each, with ids and times left out.

A key that goes, a type that changes or a status that moves fails here; so does a new key, which is then added here.
"""

import json
import re

import pytest
from django.conf import settings as configured

from credits.models import CreditAccount
from tests.api.uploading import upload
from tests.docx.word_files import word_file

API = "/api/v1"
BASE = configured.PUBLIC_URL
CDN = configured.CDN_BASE_URL
SHOWN = ("WWW-Authenticate", "Retry-After", "Idempotent-Replayed", "Content-Type")
UNKNOWN = "c" + "0" * 24


def masked(text: str) -> str:
    """Put words in the place of what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "<time>", text)
    text = re.sub(r"\bc[0-9a-z]{24}\b", "<id>", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>", text)
    return re.sub(r'"sha256":"[0-9a-f]{64}"', '"sha256":"<sha256>"', text)


def told(answer):
    """Status, body with the order of its keys, and the headers that mean something, of an answer of the API."""
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-Id"])
    headers = {name: answer.headers[name] for name in SHOWN if name in answer.headers}
    assert headers.pop("Content-Type") == "application/json"
    return answer.status_code, json.loads(masked(answer.content.decode())), headers


def error(sentence, **more):
    return {"error": sentence, **more}


CREATED = {
    "id": "<id>",
    "self": f"{BASE}{API}/renders/<id>",
    "status": "pending",
    "url": None,
    "format": "pdf",
    "template_id": "<id>",
    "template_name": "Hello",
    "data": {"b": [1, 2.50, None], "a": "ü"},
    "created_at": "<time>",
    "job_id": "<id>",
    "expires_at": None,
    "expired_at": None,
}
LISTED = {**{key: value for key, value in CREATED.items() if key != "data"}, "error": None}
READ = {**CREATED, "webhook_url": None, "webhook_deliveries": None, "error": None, "pages": None, "report": {}}
DATA = {"b": [1, 2.50, None], "a": "ü"}


class TestErrors:
    """Section 1."""

    @pytest.mark.parametrize(
        ("body", "status", "sentence"),
        [
            (
                b"{",
                400,
                "The body is not valid JSON: Expecting property name enclosed in double quotes (line 1, column 2).",
            ),
            (b"[]", 400, "The body must be a JSON object."),
            (b"{}", 400, "template_id: This field is required."),
            (b'{"template_id": 1}', 422, "template_id: Must be a string."),
            (b'{"template_id": "%s"}' % UNKNOWN.encode(), 404, "Not found."),
            (b'{"template_id": "x", "visibility": "hidden"}', 422, "visibility: Must be one of: public, secure."),
            (b'{"template_id": "x", "async": "no"}', 422, "async: Must be true or false."),
            (b'{"template_id": "x", "data": []}', 422, "data: Must be an object."),
            (b'{"template_id": "x", "webhook_url": "http://a.b"}', 422, "webhook_url: Must begin with https://."),
        ],
    )
    def test_bodies(self, api, nothing_changes, body, status, sentence):
        with nothing_changes(api):
            assert told(api.send("POST", f"{API}/renders", body)) == (status, error(sentence), {})

    @pytest.mark.parametrize(
        ("key", "sentence"),
        [
            (None, "No API key. Send it as 'Authorization: Bearer dg_...'."),
            ("Basic x", "The Authorization header must read 'Bearer dg_...'."),
            ("Bearer dg_x", "This is not an API key of this service: check for a typing error."),
        ],
    )
    def test_keys(self, api, key, sentence):
        headers = {"Authorization": key} if key else {}
        answer = api._client.get(f"{API}/credits", headers=headers)
        assert told(answer) == (401, error(sentence), {"WWW-Authenticate": "Bearer"})

    def test_addresses_methods_and_types(self, api):
        assert told(api.get(f"{API}/nothing")) == (404, error("Not found."), {})
        assert told(api.send("PUT", f"{API}/renders")) == (405, error('Method "PUT" not allowed.'), {})
        refused = api.get(f"{API}/credits", headers={"Accept": "text/csv"})
        assert told(refused) == (406, error("Could not satisfy the request Accept header."), {})
        refused = api.send("POST", f"{API}/renders", b"x", "text/plain")
        assert told(refused) == (415, error('Unsupported media type "text/plain" in request.'), {})
        refused = api.send("POST", f"{API}/renders", b" " * (configured.MAX_BODY_BYTES + 1))
        assert told(refused) == (413, error("The body is larger than 8,000,000 bytes."), {})

    def test_no_credit_left(self, new_api, nothing_changes):
        api = new_api(credits=0)
        template_id = api.template()
        with nothing_changes(api):
            answer = api.post(f"{API}/renders", {"template_id": template_id})
        assert told(answer) == (
            402,
            {
                "error": "Insufficient credits",
                "required_credits": 1,
                "available_credits": 0,
                "credit_balance": 0,
                "overage_limit": 0,
            },
            {},
        )

    def test_too_many_requests(self, api, patient_redis):
        CreditAccount.objects.filter(team=api.team).update(own_requests_per_minute=1)
        answers = [told(api.get(f"{API}/credits")) for _ in range(30)]
        status, body, headers = answers[-1]
        assert (status, body) == (429, error("Too many requests: this team may send 1 per minute."))
        assert 1 <= int(headers["Retry-After"]) <= 60

    def test_same_idempotency_key_for_another_body(self, api):
        template_id = api.template()
        headers = {"Idempotency-Key": "order-4711"}
        body = {"template_id": template_id, "data": DATA}
        assert told(api.post(f"{API}/renders", body, headers=headers)) == (202, CREATED, {})
        replayed = {"Idempotent-Replayed": "true"}
        assert told(api.post(f"{API}/renders", body, headers=headers)) == (202, CREATED, replayed)
        status, refused, _ = told(api.post(f"{API}/renders", {**body, "data": {}}, headers=headers))
        assert (status, list(refused)) == (409, ["error"])

    def test_callers_request_id_is_kept(self, api):
        mine = "0b9f3c1e-7a52-4f0e-9b1d-6f2c8e4a5d10"
        assert api.get(f"{API}/credits", headers={"X-Request-Id": mine}).headers["X-Request-Id"] == mine


class TestRenders:
    """Section 3."""

    def test_accepted(self, api):
        answer = api.post(f"{API}/renders", {"template_id": api.template(), "data": DATA, "unknown": 1})
        assert told(answer) == (202, CREATED, {})
        assert list(answer.json()["data"]) == ["b", "a"]

    def test_finished_at_once(self, server, api):
        answer = api.post(f"{API}/renders", {"template_id": api.template(), "data": DATA, "async": False})
        finished = {**CREATED, "status": "completed", "url": f"{CDN}/renders/<id>.pdf"}
        assert told(answer) == (200, finished, {})
        status, body, _ = told(api.get(f"{API}/renders/{answer.json()['id']}"))
        assert (status, list(body)) == (200, list(body | READ))
        assert {**body, "report": {}} == {**READ, **finished, "pages": 1}
        status, page, _ = told(api.get(f"{API}/renders"))
        listed = {**LISTED, "status": "completed", "url": finished["url"]}
        assert (status, page) == (200, {"renders": [listed], "next_cursor": None})

    def test_only_with_the_key(self, server, api):
        wanted = {"template_id": api.template(), "visibility": "secure", "async": False}
        render = api.post(f"{API}/renders", wanted).json()
        assert render["url"] == f"{BASE}{API}/renders/{render['id']}?download=true"
        answer = api.get(f"{API}/renders/{render['id']}", download="true")
        assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
        assert "X-Amz-Signature=" in answer.headers["Location"]

    def test_failed(self, server, api):
        answer = api.post(f"{API}/renders", {"template_id": api.template("#panic()"), "async": False})
        status, body, _ = told(answer)
        identity = {"id": "<id>", "self": f"{BASE}{API}/renders/<id>", "status": "failed"}
        assert (status, {**body, "error": ""}) == (422, error("", **identity))
        assert 0 < len(body["error"]) <= 500
        read = api.get(f"{API}/renders/{answer.json()['id']}").json()
        assert (read["status"], read["url"], read["error"]) == ("failed", None, body["error"])

    def test_pending(self, api, accept):
        render = accept(api, api.template(), data='{"b":[1,2.50,null],"a":"ü"}')
        assert told(api.get(f"{API}/renders/{render.id}")) == (200, READ, {})
        too_early = api.get(f"{API}/renders/{render.id}", download="true")
        assert told(too_early) == (425, error("The render is not finished yet. Ask again in a moment."), {})
        assert told(api.get(f"{API}/renders/{UNKNOWN}")) == (404, error("Not found."), {})

    def test_two_formats_of_a_word_file(self, server, api):
        template_id = upload(api, word_file("Dear {{ name }}")).json()["id"]
        answer = api.post(f"{API}/renders", {"template_id": template_id, "formats": ["pdf", "docx"]})
        files = [{"format": "pdf", "url": None}, {"format": "docx", "url": None}]
        assert told(answer) == (202, {**CREATED, "template_name": "Letter", "data": {}, "files": files}, {})

    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ("limit=0", "limit: Ensure this value is greater than or equal to 1."),
            ("limit=101", "limit: Ensure this value is less than or equal to 100."),
            ("limit=x", "limit: A valid integer is required."),
            ("cursor=x", "cursor: unknown. Take the value of next_cursor from the page before."),
            ("status=x", "status: Must be one of: pending, running, completed, failed."),
            ("limit=1&limit=2", "limit: Is given more than once."),
        ],
    )
    def test_pages_that_cannot_be(self, api, query, sentence):
        assert told(api.get(f"{API}/renders?{query}")) == (422, error(sentence), {})

    def test_page_after_page(self, api, accept):
        template_id = api.template()
        ids = sorted(accept(api, template_id).id for _ in range(3))  # of one millisecond in any order
        first = api.get(f"{API}/renders", limit=2).json()
        assert ([render["id"] for render in first["renders"]], first["next_cursor"]) == (ids[:0:-1], ids[1])
        last = api.get(f"{API}/renders", limit=2, cursor=first["next_cursor"]).json()
        assert ([render["id"] for render in last["renders"]], last["next_cursor"]) == (ids[:1], None)


LIST_ITEM = {
    "id": "<id>",
    "name": "Hello",
    "slug": None,
    "engine": "typst",
    "self": f"{BASE}{API}/templates/<id>",
    "allowed_formats": ["pdf", "png", "svg"],
    "created_at": "<time>",
    "updated_at": "<time>",
}
TEMPLATE = {
    **LIST_ITEM,
    "available_fields": [{"key": "name", "type": "text", "example": "World"}],
    "fields": [{"key": "name", "type": "text", "label": "Name", "required": False}],
    "url_base": None,
    "published_version": 1,
}


class TestTemplates:
    """Section 4."""

    def test_read(self, api):
        template_id = api.template()
        assert told(api.get(f"{API}/templates")) == (200, [LIST_ITEM], {})
        assert told(api.get(f"{API}/templates/{template_id}")) == (200, TEMPLATE, {})
        assert told(api.get(f"{API}/templates/{UNKNOWN}")) == (404, error("Not found."), {})
        unknown = error("engine: Must be one of: typst, canvas, docx.")
        assert told(api.get(f"{API}/templates", engine="html")) == (422, unknown, {})
        assert told(api.get(f"{API}/templates", engine="canvas")) == (200, [], {})

    def test_write(self, server, api):
        source = '#data.at("name", default: "World")'
        answer = api.post(f"{API}/templates", {"name": "Hello", "engine": "typst", "source": source})
        assert told(answer) == (201, {**TEMPLATE, "warnings": []}, {})
        address = f"{API}/templates/{answer.json()['id']}"
        changed = api.send("PATCH", address, json.dumps({"source": source + "!"}).encode())
        assert told(changed) == (200, {**TEMPLATE, "published_version": 2, "warnings": []}, {})
        version = {"published": True, "created_at": "<time>"}
        told_of = [{"number": number, "self": f"{BASE}{API}/templates/<id>/versions/{number}"} for number in (2, 1)]
        versions = [{**told_of[0], **version}, {**told_of[1], **version, "published": False}]
        assert told(api.get(f"{address}/versions")) == (200, versions, {})
        assert told(api.send("POST", f"{address}/publish", content_type="")) == (
            200,
            {**TEMPLATE, "published_version": 2},
            {},
        )
        assert told(api.send("DELETE", address, content_type="")) == (200, {"id": "<id>", "deleted": True}, {})
        assert told(api.get(address)) == (404, error("Not found."), {})

    @pytest.mark.parametrize("name", ["name", "engine", "source"])
    def test_missing(self, api, name):
        body = {"name": "A", "engine": "typst", "source": "A"}
        del body[name]
        assert told(api.post(f"{API}/templates", body)) == (400, error(f"{name}: This field is required."), {})

    def test_not_compilable(self, server, api, nothing_changes):
        with nothing_changes(api):
            answer = api.post(f"{API}/templates", {"name": "A", "engine": "typst", "source": "#("})
        status, body, _ = told(answer)
        assert (status, list(body)) == (422, ["error", "diagnostics"])
        assert [list(each) for each in body["diagnostics"]] == [["file", "line", "column", "message", "hint"]]

    def test_word_file(self, server, api):
        answer = upload(api, word_file("Dear {{ name }}"))
        assert told(answer)[0] == 201
        body = told(api.get(f"{API}/templates/{answer.json()['id']}"))[1]
        assert (set(body), body["allowed_formats"]) == (set(TEMPLATE), ["pdf", "docx"])
        field = {"key": "name", "label": "Name", "type": "text", "required": False, "example": ""}
        assert [set(each) for each in body["available_fields"]] == [set(field)]
        assert [list(each) for each in body["fields"]] == [["key", "type", "label", "required"]]


class TestCredits:
    """Section 5."""

    def test_read(self, new_api):
        api = new_api(credits=10, overage=5)
        assert api.post(f"{API}/renders", {"template_id": api.template()}).status_code == 202
        credits_now = {
            "credit_balance": 9,
            "overage_limit": 5,
            "available_credits": 14,
            "monthly_credits": 10,
            "period_started_at": "<time>",
            "resets_at": "<time>",
        }
        assert told(api.get(f"{API}/credits")) == (200, credits_now, {})
        status, page, _ = told(api.get(f"{API}/credits/ledger"))
        assert (status, list(page), page["next_cursor"]) == (200, ["entries", "next_cursor"], None)
        charge, grant = page["entries"]
        keys = ["id", "kind", "amount", "balance_after", "render_id", "actor", "created_at"]
        assert list(charge) == keys
        assert (charge["kind"], charge["amount"], charge["balance_after"], charge["render_id"]) == (
            "charge",
            -1,
            9,
            "<id>",
        )
        assert (grant["kind"], grant["amount"], grant["balance_after"], grant["render_id"]) == ("grant", 10, 10, None)


class TestOnDemand:
    """Section 6."""

    def test_life(self, api):
        template_id = api.template()
        address = f"{API}/templates/{template_id}/url_base"
        body = {"template_id": template_id, "data": {"name": "Ada"}}
        sentence = "template_id: This template has no url_base. Make one with POST /api/v1/templates/{id}/url_base."
        assert told(api.post(f"{API}/sign", body)) == (422, error(sentence), {})
        answer = api.send("POST", address, content_type="")
        token = answer.json()["url_base"]
        assert told(answer) == (200, {"url_base": token}, {})
        assert re.fullmatch("[A-Za-z0-9]{16}", token)
        assert told(api.get(f"{API}/templates/{template_id}")) == (200, {**TEMPLATE, "url_base": token}, {})
        status, signed, headers = told(api.post(f"{API}/sign", body))
        assert (status, list(signed), headers) == (200, ["url", "template_name", "format", "url_base"], {})
        assert re.fullmatch(
            rf"{BASE}/ondemand/{token}/image\.pdf\?data=eyJuYW1lIjoiQWRhIn0&s=[\w-]{{43}}", signed.pop("url")
        )
        assert signed == {"template_name": "Hello", "format": "pdf", "url_base": token}
        assert told(api.send("DELETE", address, content_type="")) == (200, {"url_base": None}, {})

    def test_refused(self, api):
        template_id = api.template()
        api.post(f"{API}/templates/{template_id}/url_base")
        asked = {"template_id": template_id, "data": {"price": 1}}
        assert told(api.post(f"{API}/sign", asked)) == (422, error("data.price: Must be a string."), {})
        assert told(api.post(f"{API}/sign", {})) == (400, error("template_id: This field is required."), {})
        assert told(api.post(f"{API}/sign", {"template_id": UNKNOWN})) == (404, error("Not found."), {})
        assert told(api.post(f"{API}/templates/{UNKNOWN}/url_base")) == (404, error("Not found."), {})


class TestWebhooks:
    """Section 7."""

    URL, EVENTS = "https://shop.example/hooks", ["render.completed", "form.submitted"]

    def create(self, api, **more):
        return api.post(f"{API}/webhooks", {"url": self.URL, "events": self.EVENTS, **more})

    def test_life(self, api):
        assert told(api.get(f"{API}/webhooks")) == (200, [], {})
        answer = self.create(api)
        status, created, headers = told(answer)
        assert (status, headers) == (201, {})
        assert list(created) == ["id", "url", "events", "secret", "enabled", "created_at"]
        assert re.fullmatch(r"wh_[A-Za-z0-9]{32}", created.pop("secret"))
        named = {"id": "<id>", "url": self.URL, "events": self.EVENTS, "enabled": True, "created_at": "<time>"}
        assert created == named
        one = {**named, "failure_count": 0, "updated_at": "<time>", "signature_key": "base64"}
        one |= {"self": f"{BASE}{API}/webhooks/<id>", "disabled_reason": None}
        address = f"{API}/webhooks/{answer.json()['id']}"
        assert told(api.get(f"{API}/webhooks")) == (200, [one], {})
        assert told(api.get(address)) == (200, one, {})
        changed = api.send("PATCH", address, b'{"events": ["render.failed"], "enabled": true}')
        assert told(changed) == (200, {**one, "events": ["render.failed"]}, {})
        assert told(api.send("DELETE", address, content_type="")) == (200, {"id": "<id>", "deleted": True}, {})
        assert told(api.get(address)) == (404, error("Not found."), {})
        assert told(api.get(f"{API}/webhooks/{UNKNOWN}")) == (404, error("Not found."), {})

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"url": "http://a.example"}, "url: The URL must start with https://; http is not allowed here."),
            ({"events": []}, "events: This list may not be empty."),
            (
                {"events": ["render.begun"]},
                "events.0: Must be one of: render.completed, render.failed, form.submitted.",
            ),
        ],
    )
    def test_values_that_are_not_allowed(self, api, wrong, sentence):
        assert told(self.create(api, **wrong)) == (422, error(sentence), {})
        assert api.get(f"{API}/webhooks").json() == []

    def test_rotation(self, api):
        created = self.create(api).json()
        status, rotated, _ = told(api.send("POST", f"{API}/webhooks/{created['id']}/rotate_secret", content_type=""))
        assert (status, list(rotated)) == (200, ["id", "secret", "previous_secret_until"])
        assert rotated["secret"] != created["secret"]

    def test_delivery(self, api):
        address = f"{API}/webhooks/{self.create(api, url='https://127.0.0.1:1').json()['id']}"
        answer = api.send("POST", f"{address}/test", content_type="")
        status, tested, _ = told(answer)
        assert (status, tested["status"], tested["event"]) == (202, "pending", "render.completed")
        assert told(api.get(f"{address}/deliveries")) == (200, {"deliveries": [tested], "next_cursor": None}, {})
        delivery = f"{API}/webhook_deliveries/{answer.json()['id']}"
        assert told(api.get(delivery))[1].keys() == tested.keys() | {"body", "attempts"}
        assert told(api.send("POST", f"{delivery}/redeliver", content_type=""))[0] == 202
        disabled = api.send("PATCH", address, b'{"enabled": false}')
        assert (disabled.status_code, disabled.json()["enabled"]) == (200, False)
        status, refused, _ = told(api.send("POST", f"{delivery}/redeliver", content_type=""))
        assert (status, list(refused)) == (409, ["error"])
        api.send("DELETE", address)
