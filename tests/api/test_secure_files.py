"""Secure renders: the key opens the door, for minutes; the store itself lets nobody in."""

import time
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
from django.conf import settings

from renders.models import RenderFile
from tests.conftest import wait_until

REFUSED = {400, 403}  # stores differ in what they call a missing or late signature


@pytest.fixture
def secure(server, api):
    """A finished secure render: the body of its answer."""
    status, body = api.render(api.template(name="Büro"), visibility="secure", filename_pattern="{template} 1")
    assert status == 200, body
    return body


def ask(base, body, key=None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    path = urlsplit(body["url"])
    return requests.get(f"{base}{path.path}?{path.query}", headers=headers, timeout=60, allow_redirects=False)


def test_url_is_the_apis_and_needs_the_key(server, api, other_api, secure):
    assert secure["url"] == f"http://localhost:8000/api/v1/renders/{secure['id']}?download=true"
    assert ask(server, secure).status_code == 401
    assert ask(server, secure, other_api.key).status_code == 404
    assert ask(server, secure, api.key).status_code == 302


def test_it_leads_to_a_fresh_signed_address_that_needs_no_key(server, api, secure):
    location = ask(server, secure, api.key).headers["Location"]
    answer = requests.get(location, timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")
    assert "B%C3%BCro%201.pdf" in answer.headers["Content-Disposition"]
    assert f"X-Amz-Expires={settings.PRESIGNED_URL_SECONDS}" in location


def test_it_has_no_public_address(server, secure):
    assert requests.get(f"{server}/renders/{secure['id']}.pdf", timeout=60).status_code == 404


def test_signed_address_stops_working_after_its_lifetime(server, api, secure, start_web):
    base = start_web(PRESIGNED_URL_SECONDS="5")

    def address_that_worked():
        asked = time.monotonic()
        location = ask(base, secure, api.key).headers["Location"]
        answer = requests.get(location, timeout=60)
        if answer.status_code in REFUSED and time.monotonic() - asked > 3:
            return None  # it took so long that it may be over: once more
        assert answer.status_code == 200
        return location

    location = wait_until(address_that_worked)
    wait_until(lambda: requests.get(location, timeout=60).status_code in REFUSED)
    late = requests.get(location, timeout=60)
    assert late.status_code in REFUSED
    assert b"%PDF" not in late.content


@pytest.mark.parametrize("part", ["X-Amz-Signature", "X-Amz-Expires", "X-Amz-Date", "path"])
def test_changed_signed_address_is_refused(server, api, secure, part):
    location = ask(server, secure, api.key).headers["Location"]
    if part == "path":
        changed = location.replace(secure["id"], secure["id"][:-1] + ("a" if secure["id"][-1] != "a" else "b"))
    else:
        head, _, tail = location.partition(f"{part}=")
        changed = f"{head}{part}={'1' if tail[0] != '1' else '2'}{tail[1:]}"
    assert changed != location
    assert requests.get(changed, timeout=60).status_code in REFUSED


def test_object_is_not_readable_without_a_signature(secure, api):
    for body in (secure, api.render(api.template())[1]):
        key = RenderFile.objects.get(render_id=body["id"]).key
        answer = requests.get(f"{settings.S3_ENDPOINT_URL}/{settings.S3_BUCKET}/{key}", timeout=60)
        assert answer.status_code in REFUSED
        assert b"%PDF" not in answer.content


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_store_lets_nobody_list_write_or_delete(secure, method):
    for path in ("", "/", "/renders/x.pdf"):
        address = f"{settings.S3_ENDPOINT_URL}/{settings.S3_BUCKET}{path}"
        assert requests.request(method, address, data=b"x", timeout=60).status_code in REFUSED


def test_signature_for_reading_is_none_for_writing(server, api, secure):
    location = ask(server, secure, api.key).headers["Location"]
    assert requests.put(location, data=b"x", timeout=60).status_code in REFUSED
    assert requests.delete(location, timeout=60).status_code in REFUSED
    assert requests.get(location, timeout=60).content.startswith(b"%PDF-")


def test_signed_address_names_the_store_and_no_secret(server, api, secure):
    location = urlsplit(ask(server, secure, api.key).headers["Location"])
    assert urlunsplit((location.scheme, location.netloc, "", "", "")) == settings.S3_PUBLIC_ENDPOINT_URL.rstrip("/")
    assert settings.S3_SECRET_ACCESS_KEY not in location.query
    assert api.key not in location.query
