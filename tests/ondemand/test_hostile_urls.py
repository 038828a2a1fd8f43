"""A URL that differs from the signed one in anything shows nothing, and is no fault of the server."""

import base64
import http.client
import string
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from ondemand import signatures
from ondemand.signatures import SignedQuery
from tests.ondemand.conftest import Signer, end
from tests.ondemand.refusals import is_refusal

ODD = "Az09-_=+/%&?#.;\0\n\x7f é"


@pytest.fixture
def path(signer: Signer, no_worker) -> str:
    """Of a signed document that is there: only HEAD is asked, for nothing was stored."""
    signed = signer.sign(signer.template(), {"name": "Ada", "a": "1"})
    end(signed.render)
    return signed.path


def refused(answer) -> bool:
    """403 or 404, in the bytes that these always have."""
    assert answer.status_code in {403, 404}, (answer.status_code, answer.content)
    return is_refusal(answer, answer.status_code)


def test_control_the_url_itself_is_found(path, fetch):
    assert fetch(path, "HEAD").status_code == 200


def test_another_character_at_any_place_is_refused(path, fetch):
    """Base, extension, data and signature: each place gets another letter, and one that does not belong there."""
    start = len("/ondemand/")
    tried = 0
    for place in range(start, len(path)):
        others = {"A" if path[place] != "A" else "B", ODD[place % len(ODD)]} - {path[place]}
        if path[place].isalpha():
            others.add(path[place].swapcase())
        for other in others:
            changed = quote(path[:place], safe="/?&=") + quote(other) + path[place + 1 :]
            raw = path[:place] + other + path[place + 1 :]
            for each in {changed, raw if other.isascii() and other.isprintable() and other not in "#% " else changed}:
                assert refused(fetch(each)), each
                tried += 1
    assert tried > 2 * (len(path) - start)


def test_last_characters_that_decode_to_the_same_bytes_are_refused(path, fetch):
    """43 characters hold 258 bits, two more than the signature has: a lenient decoder takes four of them for one."""
    signature = path[-43:]
    same = [
        signature[:-1] + last
        for last in string.ascii_letters + string.digits + "-_"
        if base64.urlsafe_b64decode(signature[:-1] + last + "=") == base64.urlsafe_b64decode(signature + "=")
    ]
    assert len(same) == 4
    assert [fetch(path[:-43] + each, "HEAD").status_code for each in same].count(200) == 1
    assert fetch(path, "HEAD").status_code == 200


def variants(path: str) -> dict[str, str]:
    place, _, query = path.partition("?")
    data, _, signature = query.partition("&")
    return {
        "no query": place,
        "empty query": f"{place}?",
        "no data": f"{place}?{signature}",
        "no signature": f"{place}?{data}",
        "empty data": f"{place}?data=&{signature}",
        "empty signature": f"{place}?{data}&s=",
        "other order": f"{place}?{signature}&{data}",
        "data twice": f"{place}?{data}&{query}",
        "signature twice": f"{place}?{query}&{signature}",
        "wrong one first": f"{place}?data=e30&{query}",
        "wrong one last": f"{place}?{query}&data=e30",
        "appended": f"{place}?{query}&utm_source=newsletter",
        "prepended": f"{place}?fbclid=x&{query}",
        "trailing ampersand": f"{place}?{query}&",
        "trailing equals": f"{place}?{query}=",
        "trailing space": f"{place}?{query}%20",
        "trailing NUL": f"{place}?{query}%00",
        "trailing newline": f"{place}?{query}%0A",
        "padding": f"{place}?{data}=&{signature}",
        "escaped letter": f"{place}?data=%65{data[6:]}&{signature}",
        "escaped ampersand": f"{place}?{data}%26{signature}",
        "escaped name": f"{place}?d%61ta={data[5:]}&{signature}",
        "semicolon": f"{place}?{data};{signature}",
        "upper case": f"{place}?{query.upper()}",
        "other extension": path.replace(".pdf?", ".png?"),
        "upper extension": path.replace(".pdf?", ".PDF?"),
        "no extension": path.replace(".pdf?", "?"),
        "two extensions": path.replace(".pdf?", ".pdf.pdf?"),
        "slash after": path.replace(".pdf?", ".pdf/?"),
        "slash twice": path.replace("/image", "//image"),
        "folders": path.replace("/image", "/x/../image"),
        "other name": path.replace("/image", "/picture"),
        "NUL in the path": path.replace(".pdf?", ".pdf%00?"),
        "newline in the path": path.replace(".pdf?", ".pdf%0A?"),
        "unicode in the path": path.replace("image", "\u0131mage"),
        "unicode in the data": f"{place}?data=é&{signature}",
        "full width": f"{place}?{data}&s={chr(0xFF11) * 43}",
        "emoji": f"{place}?data=😀&s=😀",
        "8,001 characters": f"{place}?data={'A' * (8001 - len(place) - len(signature) - 7)}&{signature}",
        "a megabyte": f"{place}?data={'A' * 1_000_000}&{signature}",
        "nothing but the base": place.rpartition("/")[0],
        "only ondemand": "/ondemand/x",
    }


def test_any_other_form_is_refused(path, fetch):
    for name, each in variants(path).items():
        assert refused(fetch(each)), name
        assert fetch(each, "HEAD").status_code in {403, 404}, name


def test_a_lenient_reader_would_let_such_forms_pass(path, fetch, monkeypatch):
    """The control: with the usual parser some of them are found, and each is a copy of its own in a cache."""

    def lenient(text):
        values = {name: found[-1] for name, found in parse_qs(text).items()}
        return SignedQuery(values["data"], values["s"]) if {"data", "s"} <= values.keys() else None

    monkeypatch.setattr(signatures, "read_query", lenient)
    found = {name for name, each in variants(path).items() if fetch(each, "HEAD").status_code == 200}
    assert {"other order", "appended", "prepended", "wrong one first", "escaped letter", "escaped name"} <= found


def test_without_the_comparison_any_signature_would_do(path, fetch, monkeypatch):
    """The control of the places."""
    monkeypatch.setattr(signatures, "is_signed", lambda *_, **__: True)
    assert fetch(path[:-43] + "A" * 43, "HEAD").status_code == 200


def test_every_error_has_the_same_bytes(path, fetch):
    seen: dict[int, set[bytes]] = {}
    for each in variants(path).values():
        answer = fetch(each)
        seen.setdefault(answer.status_code, set()).add(answer.content)
    assert {status: len(bodies) for status, bodies in seen.items()} == {403: 1, 404: 1}


def test_signature_of_one_base_opens_no_other(signer, fetch, no_worker):
    """The same data under two templates of a team."""
    first, second = (signer.sign(signer.template(), {"name": "Ada"}) for _ in range(2))
    for signed in (first, second):
        end(signed.render)
        assert fetch(signed.path, "HEAD").status_code == 200
    swapped = first.path.partition("&s=")[0] + "&s=" + second.path[-43:]
    assert is_refusal(fetch(swapped), 403)


def test_pending_and_failed_tell_nothing_without_the_signature(signer, fetch, no_worker):
    pending, failed = (signer.sign(signer.template()) for _ in range(2))
    end(failed.render, error="No.")
    for signed in (pending, failed):
        wrong = signed.path[:-43] + "A" * 43
        assert is_refusal(fetch(wrong), 403)


def test_data_that_means_nothing_is_refused_like_any_other(path, fetch):
    """No base64, no UTF-8, no JSON, no object: nothing is decoded before the signature is right."""
    place, _, _ = path.partition("?")
    for data in ("A", "____", "W10", "Wzw", "e30"):
        assert is_refusal(fetch(f"{place}?data={data}&s={'A' * 43}"), 403)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda path: path, 200),
        (lambda path: path.replace("/image.pdf", "/%69mage.pdf"), 403),
        (lambda path: path.replace("/image.pdf", "/image%2Epdf"), 403),
        (lambda path: path.replace("/ondemand/", "/%6Fndemand/"), 403),
        (lambda path: path + "#x", 403),
        (lambda path: "/" + path, 404),
        (lambda path: path + "&utm_source=x", 403),
    ],
    ids=["itself", "escaped name", "escaped dot", "escaped prefix", "fragment", "two slashes", "appended"],
)
def test_request_line_itself_is_compared(path, server, change, status):
    """Over the network, since the test client decodes addresses itself: what caches take for another URL is none."""
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=60)
    connection.putrequest("HEAD", change(path), skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == status


def test_request_line_that_is_too_long_is_refused(path, server):
    place, _, _ = path.partition("?")
    answer = requests.get(f"{server}{place}?data={'A' * 20_000}&s={'A' * 43}", timeout=60)
    assert 400 <= answer.status_code < 500
