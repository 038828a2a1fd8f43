"""`POST /api/v1/renders` as far as a worker has no part in it: what is accepted, refused and kept."""

import datetime as dt
import json

import pytest

from credits.models import LedgerEntry
from renders.models import Render


def test_async_answer_is_202_and_pending(api):
    template_id = api.template(name="Letter")
    answer = api.post("/api/v1/renders", {"template_id": template_id, "data": {"name": "Zoë"}})
    body = answer.json()
    assert answer.status_code == 202
    assert body == {
        "id": body["id"],
        "self": f"http://localhost:8000/api/v1/renders/{body['id']}",
        "status": "pending",
        "url": None,
        "format": "pdf",
        "template_id": template_id,
        "template_name": "Letter",
        "data": {"name": "Zoë"},
        "created_at": body["created_at"],
        "job_id": body["job_id"],
        "expires_at": None,
        "expired_at": None,
    }


def test_render_belongs_to_a_job_of_its_own_and_keeps_its_version(api):
    template_id = api.template()
    ids = [api.post("/api/v1/renders", {"template_id": template_id}).json()["id"] for _ in range(2)]
    first, second = Render.objects.select_related("job", "template_version").filter(pk__in=ids).order_by("id")
    assert first.job_id != second.job_id
    assert (first.job.source, first.job.team_id, first.template_version.number) == ("api", api.team.id, 1)


def test_one_credit_is_charged_with_a_ledger_row(api):
    render_id = api.post("/api/v1/renders", {"template_id": api.template()}).json()["id"]
    row = LedgerEntry.objects.get(render_id=render_id, kind="charge")
    assert (row.amount, row.balance_after, row.actor) == (-1, 99, str(api.team.api_keys.get()))
    assert api.credits() == 99


def test_the_same_request_twice_makes_two_renders(api):
    body = {"template_id": api.template()}
    assert api.post("/api/v1/renders", body).json()["id"] != api.post("/api/v1/renders", body).json()["id"]
    assert api.credits() == 98


def test_defaults_are_public_and_the_engines_first_format(api):
    render = Render.objects.get(pk=api.post("/api/v1/renders", {"template_id": api.template()}).json()["id"])
    assert (render.visibility, render.format, render.data, render.queue) == ("public", "pdf", "{}", "async")


@pytest.mark.parametrize("wanted", ["pdf", "png", "svg"])
def test_format_can_be_chosen(api, wanted):
    answer = api.post("/api/v1/renders", {"template_id": api.template(), "format": wanted})
    assert (answer.status_code, answer.json()["format"]) == (202, wanted)


@pytest.mark.parametrize("wanted", ["jpg", "webp", "docx"])
def test_format_that_the_engine_cannot_make_is_422(api, nothing_changes, wanted):
    body = {"template_id": api.template(), "format": wanted}
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "format: typst templates can be rendered as pdf, png, svg."},
    )


@pytest.mark.parametrize("wanted", ["gif", "PDF", "", ".pdf", "../pdf"])
def test_unknown_format_is_422(api, nothing_changes, wanted):
    body = {"template_id": api.template(), "format": wanted}
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "format: Must be one of: pdf, png, svg, jpg, webp, docx."},
    )


@pytest.mark.parametrize("visibility", ["private", "PUBLIC", ""])
def test_unknown_visibility_is_422(api, nothing_changes, visibility):
    body = {"template_id": api.template(), "visibility": visibility}
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert (answer.status_code, answer.json()) == (422, {"error": "visibility: Must be one of: public, secure."})


@pytest.mark.parametrize(
    "url",
    ["http://a.example/", "ftp://a.example/", "a.example", "//a.example", "javascript:alert(1)", "https:/a", " "],
)
def test_webhook_url_that_is_not_https_is_422(api, nothing_changes, url):
    body = {"template_id": api.template(), "webhook_url": url}
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (422, "webhook_url")


def test_webhook_url_is_kept(api):
    url = "https://hooks.example/a?b=c#d"
    created = api.post("/api/v1/renders", {"template_id": api.template(), "webhook_url": url}).json()
    assert api.get(f"/api/v1/renders/{created['id']}").json()["webhook_url"] == url


@pytest.mark.parametrize("body", [{}, {"template_id": None}, {"template_id": ""}, {"template_id": "  "}])
def test_missing_template_id_is_400(api, nothing_changes, body):
    with nothing_changes(api):
        answer = api.post("/api/v1/renders", body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("template_id: This field ")


KEPT = [
    '{"b":1,"a":2,"B":3}',
    '{"one":1,"one point nought":1.0,"exponent":1e+16,"minus nought":-0.0}',
    '{"big":123456789012345678901234567890123456789,"small":5e-324,"large":1.7976931348623157e+308}',
    '{"text":"Zoë 证书 🎓 \\u200e \\" \\\\ / \\\\u0000 \\u0001 \\ufffe","":""}',
    '{"list":[null,true,false,[],{},[[[]]],{"a":{"b":[1,"1"]}}]}',
    '{"__proto__":{"x":1},"constructor":null,"sys":1,"data":2}',
    "{}",
    '{"decomposed":"e\\u0301","composed":"\\u00e9"}',
]


@pytest.mark.parametrize("text", KEPT, ids=range(len(KEPT)))
def test_data_comes_back_unchanged(api, text):
    sent = f'{{"template_id": "{api.template()}", "data": {text}}}'.encode()
    created = api.send("POST", "/api/v1/renders", sent)
    got = api.get(created.json()["self"].removeprefix("http://localhost:8000"))
    wanted = canonical(text)
    assert (created.status_code, canonical(created.content), canonical(got.content)) == (202, wanted, wanted)


def canonical(body) -> str:
    """The text of `data`, in which 1 and 1.0, other orders of keys and other integers are told apart."""
    value = json.loads(body)
    return json.dumps(value.get("data", value) if isinstance(body, bytes) else value)


def test_integer_of_4300_digits_is_kept(api):
    sent = f'{{"template_id": "{api.template()}", "data": {{"n": {"7" * 4300}}}}}'.encode()
    assert api.send("POST", "/api/v1/renders", sent).json()["data"] == {"n": int("7" * 4300)}


def test_fifty_levels_of_nesting_are_kept(api):
    nested = "[" * 48 + "]" * 48
    sent = f'{{"template_id": "{api.template()}", "data": {{"n": {nested}}}}}'.encode()
    assert api.send("POST", "/api/v1/renders", sent).json()["data"] == {"n": json.loads(nested)}


def test_options_are_kept_for_the_engine(api):
    body = {"template_id": api.template(), "format": "png", "options": {"ppi": 100, "page": 1}}
    render = Render.objects.get(pk=api.post("/api/v1/renders", body).json()["id"])
    assert render.options == {"ppi": 100, "page": 1}


@pytest.mark.parametrize(
    ("of_request", "of_template", "filename"),
    [
        ("{name}", "", "Zoë.pdf"),
        (None, "from-{name}", "from-Zoë.pdf"),
        ("mine", "theirs", "mine.pdf"),
        ("{unknown}x{template}", "", "xLetter A.pdf"),
    ],
)
def test_filename_pattern_of_the_request_goes_before_the_templates(api, of_request, of_template, filename):
    template_id = api.template(name="Letter A", filename_pattern=of_template)
    body = {"template_id": template_id, "data": {"name": "Zoë"}, "filename_pattern": of_request}
    assert Render.objects.get(pk=api.post("/api/v1/renders", body).json()["id"]).filename == filename


def test_default_filename_is_template_time_and_something_random(api):
    body = {"template_id": api.template(name="Letter")}
    render = Render.objects.get(pk=api.post("/api/v1/renders", body).json()["id"])
    name, moment, rest = render.filename[:6], render.filename[7:26], render.filename[27:]
    assert name == "Letter"
    assert len(rest) == len("0123abcd.pdf")
    made = dt.datetime.strptime(moment, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=dt.UTC)
    assert abs(made - render.created_at) < dt.timedelta(minutes=1)
