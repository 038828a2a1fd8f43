"""What a receiver reads: one flat object of JSON, whatever names and data say, with the addresses the API shows."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts.services import create_api_key, create_team
from automette.lib.json_text import write_json
from automette.lib.timestamps import iso
from credits.services import open_account
from renders.models import Render
from tests.conftest import Api, wait_until
from tests.webhooks.ended import body_of, claim, complete, fail, subscribe
from webhooks.models import EventName
from webhooks.samples import sample_body

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)
NASTY = '"\\\b\f\n\r\t\x01\x1f\x7f\u0085\u2028\u2029\ufeff\U0001f600</script>{{ x }}%s%(url)s%'


@pytest.fixture
def told(api):
    subscribe(api, "render.completed", "render.failed")
    return api


def expected(render: Render, url: str | None, files: str = "") -> str:
    """The whole body, written out."""
    quoted = {name: json.dumps(getattr(render, name), ensure_ascii=False) for name in ("template_name", "error")}
    return (
        f'{{"event_id":"evt_render_{render.id}","event":"render.{render.status}","render_id":"{render.id}",'
        f'"job_id":"{render.job_id}","template_id":"{render.template_id}","template_name":{quoted["template_name"]},'
        f'"status":"{render.status}","url":{json.dumps(url)},"format":"{render.format}",{files}'
        f'"data":{render.data},"error":{quoted["error"]},"created_at":"{iso(render.created_at)}",'
        f'"completed_at":"{iso(render.finished_at)}"}}'
    )


def shown(api, render: Render) -> dict:
    return api.get(f"/api/v1/renders/{render.id}").json()


@pytest.mark.parametrize(
    ("visibility", "url"),
    [
        ("public", "http://localhost:8000/renders/{id}.pdf"),
        ("secure", "http://localhost:8000/api/v1/renders/{id}?download=true"),
    ],
)
def test_completed(told, accept, visibility, url):
    render = accept(told, told.template(), data='{"name":"Zoë"}', visibility=visibility, formats=["pdf"])
    complete(claim(render))
    render.refresh_from_db()
    assert body_of(render) == expected(render, url.format(id=render.id))
    body = json.loads(body_of(render))
    api_says = shown(told, render)
    assert {key: api_says[key] for key in body if key in api_says} == {
        key: value for key, value in body.items() if key in api_says
    }
    assert (body["data"], body["error"], "files" in body) == ({"name": "Zoë"}, None, False)


def test_failed(told, accept):
    render = accept(told, told.template(), data="{}", visibility="secure")
    fail(claim(render), error="line 1: no such field")
    render.refresh_from_db()
    assert body_of(render) == expected(render, None)
    body = json.loads(body_of(render))
    assert (body["error"], body["url"], body["status"]) == ("line 1: no such field", None, "failed")
    assert body["error"] == shown(told, render)["error"]


def test_a_long_error_is_cut_as_it_is_stored(told, accept):
    render = accept(told, told.template())
    fail(claim(render), error='ü"' * 400)
    assert json.loads(body_of(render))["error"] == shown(told, render)["error"] == 'ü"' * 250


@pytest.mark.parametrize("visibility", ["public", "secure"])
@pytest.mark.parametrize("formats", [["pdf"], ["docx"], ["pdf", "docx"], ["docx", "pdf"], []])
def test_word_templates_have_their_files(told, accept, visibility, formats):
    main = formats[0] if formats else "pdf"
    render = accept(told, told.template(), visibility=visibility, formats=formats, format=main)
    Render.objects.filter(pk=render.pk).update(engine="docx")
    complete(claim(render))
    render.refresh_from_db()
    files = json.dumps(render.format_files, separators=(",", ":"))
    assert body_of(render) == expected(render, render.url, f'"files":{files},')
    body, api_says = json.loads(body_of(render)), shown(told, render)
    assert (body["files"], body["url"]) == (api_says["files"], api_says["url"])
    assert [each["format"] for each in body["files"]] == (formats or ["pdf"])
    assert None not in {each["url"] for each in body["files"]}


@pytest.mark.parametrize("formats", [["docx", "pdf"], ["docx"], []])
def test_files_of_a_word_template_that_failed_have_no_address(told, accept, formats):
    render = accept(told, told.template(), formats=formats, format="docx")
    Render.objects.filter(pk=render.pk).update(engine="docx")
    fail(claim(render))
    render.refresh_from_db()
    files = json.dumps([{"format": each, "url": None} for each in formats or ["docx"]], separators=(",", ":"))
    assert body_of(render) == expected(render, None, f'"files":{files},')
    assert json.loads(body_of(render))["files"] == shown(told, render)["files"]


@pytest.mark.parametrize("base", ["https://cdn.example", "https://cdn.example/a%20b"])
def test_the_address_is_that_of_the_cdn(told, accept, settings, base):
    settings.CDN_BASE_URL = base
    render = accept(told, told.template())
    complete(claim(render))
    assert json.loads(body_of(render))["url"] == f"{base}/renders/{render.id}.pdf" == shown(told, render)["url"]


@pytest.mark.parametrize(
    "data",
    [
        '{"b":1,"a":1.0,"n":1e400,"big":123456789012345678901234567890.10,"z":-0}',
        '{ "kept" :\t[ 1 , 2 ]\n}',
        '{"a":"\\u00fc\\ud83d\\ude00\\/","ü":"ü😀"}',
        '{"a":1,"a":2}',
        '{"' + "x" * 1_000_000 + '":"%s%(url)s"}',
    ],
    ids=["numbers", "spaces", "escapes", "twice", "long"],
)
def test_data_is_the_callers_text_byte_for_byte(told, accept, data):
    render = accept(told, told.template(), data=data)
    complete(claim(render))
    assert f'"format":"pdf","data":{data},"error":null' in body_of(render)
    json.loads(body_of(render))


def test_data_through_the_api_arrives_as_the_api_shows_it(server, told):
    sent = {"b": [1, 1.0, 10**30, 1e-7], "a": NASTY, "ключ": {"": None}}
    created = told.post("/api/v1/renders", {"template_id": told.template(name='A "new" one\\'), "data": sent})
    render = Render.objects.get(pk=created.json()["id"])
    wait_until(lambda: shown(told, render)["status"] == "completed")
    body = json.loads(body_of(render))
    assert list(body["data"].items()) == list(sent.items())
    assert body["template_name"] == 'A "new" one\\'
    assert isinstance(body["data"]["b"][1], float)


def test_what_a_test_sends_has_the_keys_of_what_is_real(told, accept):
    """In the order of the contract; a test says in addition that it is one."""
    keys = ["event_id", "event", "render_id", "job_id", "template_id", "template_name", "status", "url", "format"]
    keys += ["data", "error", "created_at", "completed_at"]
    for end, name in ((complete, EventName.RENDER_COMPLETED), (fail, EventName.RENDER_FAILED)):
        render = accept(told, told.template())
        end(claim(render))
        assert list(json.loads(body_of(render))) == keys
        assert [key for key in json.loads(sample_body(name, event_id="evt_test_x")) if key != "test"] == keys


@pytest.fixture(scope="module")
def teller(database) -> Api:
    """A team that the examples of a property share."""
    team = create_team(name="A team", actor="test")
    open_account(team=team, monthly_credits=10_000, overage_limit=0, actor="test")
    api = Api(team, create_api_key(team=team, actor="test")[1])
    api.template()
    subscribe(api, "render.completed", "render.failed")
    return api


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(name=TEXT.filter(lambda name: len(name) <= 200), data=st.dictionaries(TEXT, VALUES), error=TEXT)
@example(name=NASTY, data={NASTY: [NASTY, 10**400, -0.0, 5e-324]}, error=NASTY)
@example(name="", data={}, error="")
def test_whatever_names_data_and_errors_say_the_body_is_json(teller, accept, name, data, error):
    template_id = teller.team.templates.get().id
    for end in (complete, lambda taken: fail(taken, error=error)):
        render = accept(teller, template_id, data=write_json(data, field="data"))
        Render.objects.filter(pk=render.pk).update(template_name=name)
        end(claim(render))
        render.refresh_from_db()
        url = None if render.status == "failed" else f"http://localhost:8000/renders/{render.id}.pdf"
        assert body_of(render) == expected(render, url)
        body = json.loads(body_of(render))
        assert (body["template_name"], body["data"]) == (name, data)
        assert body["error"] == (error[:500] if render.status == "failed" else None)
