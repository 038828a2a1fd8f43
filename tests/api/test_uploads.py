"""Bodies with files: what is taken as multipart/form-data and what is not."""

import io

import pytest
import requests
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http.multipartparser import MultiPartParser

from automette.lib import store
from templates_app import blobs
from tests.api.asset_calls import BOUNDARY, END, FILE, FORM, PATH, NoAssetChanges, part, raw, send, upload


@pytest.mark.parametrize(
    "body",
    [
        FILE + END,
        FILE + END.removesuffix("\r\n"),
        "\r\n" + FILE + END,
        FILE + part("name", "b.txt") + END,
        part("name", "b.txt", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
        + FILE
        + END,
        f"--{BOUNDARY}\r\ncontent-disposition: form-data; filename=a.txt; name=file\r\n\r\nx\r\n{END}",
        FILE.replace('filename="a.txt"', "filename=a.txt; filename*=utf-8''b%C3%A4.txt") + END,
        FILE + "".join(part(f"unknown{number}", "") for number in range(19)) + END,
    ],
)
def test_well_formed_bodies_of_all_kinds_of_clients_are_taken(api, body):
    assert raw(api, body).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "\0" * 100,
        '{"file": "x"}',
        END,
        "preamble\r\n" + FILE + END,
        FILE,
        FILE + END[:-5],
        FILE + END + "epilogue",
        FILE[:-10] + END,
        FILE.replace("\r\n", "\n") + END,
        FILE.replace("form-data", "attachment") + END,
        FILE.replace("Content-Disposition", "Content-Position") + END,
        FILE.replace('name="file"', 'name=""') + END,
        FILE.replace("a.txt", "a" * 256) + END,
        FILE.replace("a.txt", "a" * 5000) + END,
        FILE.replace('filename="a.txt"', "filename*=nonsense''a.txt") + END,
        FILE.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n") + END,
        FILE + FILE + END,
        FILE + part("name", "a") + part("name", "b") + END,
        FILE.encode() + part("name", "b").replace("b", "\xff").encode("latin-1") + END.encode(),
        FILE.replace("a.txt", "\xff").encode("latin-1") + END.encode(),
        FILE + "".join(part(f"unknown{number}", "") for number in range(20)) + END,
        part("name", "a.txt") + END,
    ],
    ids=lambda body: repr(body[-60:]),
)
def test_body_that_is_no_upload_is_400(api, nothing_changes, body):
    with nothing_changes(api), NoAssetChanges(api):
        answer = raw(api, body)
    assert answer.status_code == 400, answer.content
    assert list(answer.json()) == ["error"]
    assert len(answer.content) < 500


def test_control_djangos_own_parser_takes_a_body_that_was_cut_off():
    """What `UploadParser` is for: here the last part, a name, has lost its end, and nobody is told."""
    body = (FILE + part("name", "images/logo.png"))[:-6].encode()
    meta = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": len(body)}
    values, _ = MultiPartParser(meta, io.BytesIO(body), [MemoryFileUploadHandler()]).parse()
    assert values["name"] == "images/logo"


def test_missing_file_says_so(api):
    assert raw(api, part("name", "a.txt") + END).json() == {"error": "file: This field is required."}


def test_file_that_is_no_file_is_422(api):
    with NoAssetChanges(api):
        answer = raw(api, part("file", "content") + END)
    assert (answer.status_code, answer.json()) == (422, {"error": "file: Must be a file: a part with a file name."})


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", f"{FORM[:30]}=", f"{FORM}{'x' * 70}", "multipart/form-data; boundary=ä"]
)
def test_content_type_without_a_proper_boundary_is_400(api, content_type):
    with NoAssetChanges(api):
        assert raw(api, FILE + END, content_type).status_code == 400


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/png"]
)
def test_other_types_are_415(api, content_type):
    with NoAssetChanges(api):
        assert raw(api, FILE + END, content_type).status_code == 415


def test_body_above_the_limit_is_413(server, api, settings):
    settings.MAX_UPLOAD_BYTES = 10_000
    with NoAssetChanges(api):
        answer = send(api, b"x" * 10_000)
    assert (answer.status_code, answer.json()) == (413, {"error": "The body is larger than 10,000 bytes."})


def test_long_text_is_413(api):
    answer = raw(api, FILE + part("name", "x" * 100_001) + END)
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("name: longer than 100,000 bytes")


def test_boundary_inside_the_content_ends_nothing(api):
    content = f"a\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY[:-1]}--\r\n{BOUNDARY}\r\n\r\n".encode()
    body = upload(api, content)
    assert store.get(blobs.key_of(api.team.id, body["sha256"])) == content


def test_real_client_can_upload_through_the_server(server, api):
    headers = {"Authorization": f"Bearer {api.key}"}
    files = {"file": ("große Tabelle.csv", b"a;b\r\n\r\n", "text/csv")}
    answer = requests.post(f"{server}{PATH}", files=files, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["name"]) == (201, "große Tabelle.csv")
    too_large = requests.post(
        f"{server}{PATH}", files={"file": ("a", b"x" * 10_000_001)}, headers=headers, timeout=20
    )
    assert (too_large.status_code, too_large.json()) == (413, {"error": "file: larger than 10,000,000 bytes."})
