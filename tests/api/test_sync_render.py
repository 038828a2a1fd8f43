"""`async: false` against a real worker."""

import re
import time

import pytest
import requests

from credits.models import LedgerEntry
from renders.models import Render

pytestmark = pytest.mark.usefixtures("server")

MEDIA = {"pdf": ("application/pdf", b"%PDF-"), "png": ("image/png", b"\x89PNG"), "svg": ("image/svg+xml", b"<svg")}


@pytest.mark.parametrize("wanted", ["pdf", "png", "svg"])
def test_answer_is_200_with_an_address_that_needs_no_key(api, server, wanted):
    template_id = api.template(name="Letter")
    status, body = api.render(template_id, format=wanted, data={"name": "Zoë"})
    assert status == 200
    assert body == {
        "id": body["id"],
        "self": f"http://localhost:8000/api/v1/renders/{body['id']}",
        "status": "completed",
        "url": f"http://localhost:8000/renders/{body['id']}.{wanted}",
        "format": wanted,
        "template_id": template_id,
        "template_name": "Letter",
        "data": {"name": "Zoë"},
        "created_at": body["created_at"],
        "job_id": body["job_id"],
        "expires_at": None,
        "expired_at": None,
    }
    file = requests.get(f"{server}/renders/{body['id']}.{wanted}", timeout=60)
    media_type, magic = MEDIA[wanted]
    assert (file.status_code, file.headers["Content-Type"]) == (200, media_type)
    assert file.content.startswith(magic)


def test_over_the_network_the_address_is_the_servers_own(api, server):
    answer = requests.post(
        f"{server}/api/v1/renders",
        json={"template_id": api.template(), "async": False},
        headers={"Authorization": f"Bearer {api.key}"},
        timeout=40,
    )
    assert answer.status_code == 200
    assert requests.get(answer.json()["url"], timeout=60).content.startswith(b"%PDF-")


def test_get_tells_the_rest(api):
    _, created = api.render(api.template(source='#set text(font: "Nowhere")\nHi #pagebreak() there'))
    assert api.get(f"/api/v1/renders/{created['id']}").json() == {
        **created,
        "webhook_url": None,
        "webhook_deliveries": None,
        "error": None,
        "pages": 2,
        "report": {
            "fonts_asked": ["Nowhere"],
            "fonts_used": ["Libertinus Serif"],
            "pdf_standards": ["1.7"],
            "warnings": ["line 1, column 17: unknown font family: nowhere"],
        },
    }


def test_standards_of_the_pdf_are_reported(api):
    template = api.template(source='#set document(title: "T")\nHi')
    _, created = api.render(template, options={"pdf_standard": "a-2b", "ua_compliant": True})
    report = api.get(f"/api/v1/renders/{created['id']}").json()["report"]
    assert report["pdf_standards"] == ["1.7", "a-2b", "ua-1"]


ERRORS = [
    ("= Title\n\n  #foo", "line 3, column 4: unknown variable: foo"),
    ("#data.items", 'line 1, column 7: dictionary does not contain key "items"'),
    ("\u00e4\u00f6\u00fc #let x = (1,", "line 1, column 14: unclosed delimiter"),
    ('#panic("' + "long " * 200 + '")', None),
]


@pytest.mark.parametrize(("source", "message"), ERRORS, ids=["variable", "data", "syntax", "long"])
def test_failed_render_is_422_with_the_engines_words_and_the_credit_back(api, source, message):
    status, body = api.render(api.template(source=source))
    assert status == 422
    assert body == {
        "error": message or body["error"],
        "id": body["id"],
        "self": f"http://localhost:8000/api/v1/renders/{body['id']}",
        "status": "failed",
    }
    assert len(body["error"]) <= 500
    kinds = LedgerEntry.objects.filter(render_id=body["id"]).order_by("id").values_list("kind", "balance_after")
    assert (list(kinds), api.credits()) == ([("charge", 99), ("refund", 100)], 100)
    got = api.get(f"/api/v1/renders/{body['id']}").json()
    assert (got["status"], got["error"], got["url"], got["pages"]) == ("failed", body["error"], None, None)


def test_failed_async_render_tells_the_same_later(api, wait):
    source, message = ERRORS[0]
    created = api.post("/api/v1/renders", {"template_id": api.template(source=source)}).json()
    ended = wait(api, created["id"])
    assert (ended["status"], ended["error"], api.credits()) == ("failed", message, 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ppi": 2400}, 'option "ppi" must be between 36 and 600'),
        ({"ppi": "144"}, 'option "ppi" must be a number'),
        (
            {"pdf_standard": "a-2b"},
            'option "pdf_standard" is not known for png; known options are page, ppi, strict_fonts, timestamp',
        ),
        ({"page": 7}, 'option "page" is 7, but the document has one page'),
        (
            {"nonsense": 1},
            'option "nonsense" is not known for png; known options are page, ppi, strict_fonts, timestamp',
        ),
    ],
)
def test_bad_option_fails_the_render_with_a_sentence(api, options, message):
    status, body = api.render(api.template(), format="png", options=options)
    assert (status, body["error"], api.credits()) == (422, message, 100)


def test_good_options_reach_the_engine(api, server):
    source = "#set page(width: 72pt, height: 36pt)\n"
    _, body = api.render(api.template(source=source), format="png", options={"ppi": 200})
    png = requests.get(f"{server}/renders/{body['id']}.png", timeout=60).content
    assert png[16:24] == (200).to_bytes(4) + (100).to_bytes(4)


def test_pdf_carries_the_time_of_the_request(api, server):
    _, body = api.render(api.template())
    pdf = requests.get(f"{server}/renders/{body['id']}.pdf", timeout=60).content
    asked = re.sub(r"\D", "", body["created_at"])[:14]
    assert re.search(rb"/CreationDate\(D:(\d{14})", pdf)[1].decode() == asked


def test_data_reaches_the_template_with_its_types(api):
    source = (
        '#assert.eq(data, (n: 1, x: 1.0, t: true, l: (1, "ö"), z: none))\n#assert.eq(sys.inputs.l, "[1,\\"ö\\"]")'
    )
    status, _ = api.render(api.template(source=source), data={"n": 1, "x": 1.0, "t": True, "l": [1, "ö"], "z": None})
    assert status == 200


def test_unfinished_render_is_202_after_the_wait_and_goes_on(without_a_worker, new_api, wait):
    impatient = without_a_worker(SYNC_WAIT_SECONDS="0.5")
    api = new_api()
    started = time.monotonic()
    answer = requests.post(
        f"{impatient.base}/api/v1/renders",
        json={"template_id": api.template(), "async": False},
        headers={"Authorization": f"Bearer {api.key}"},
        timeout=60,
    )
    assert time.monotonic() - started >= 0.5
    body = answer.json()
    assert (answer.status_code, body["status"], body["url"]) == (202, "pending", None)
    impatient.worker()
    assert wait(api, body["id"])["status"] == "completed"
    assert api.credits() == 99


def test_sync_and_async_renders_wait_in_queues_of_their_own(api):
    template_id = api.template()
    _, sync = api.render(template_id)
    later = api.post("/api/v1/renders", {"template_id": template_id}).json()
    queues = dict(Render.objects.filter(pk__in=[sync["id"], later["id"]]).values_list("id", "queue"))
    assert queues == {sync["id"]: "interactive", later["id"]: "async"}
