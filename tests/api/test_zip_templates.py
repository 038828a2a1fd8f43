"""Typst templates of several files, sent as a zip."""

import io
import random
import stat
import zipfile

import pytest
import requests
from django.conf import settings

from templates_app.models import Template
from templates_app.zip_templates import read_zip
from tests.api.asset_calls import picture
from tests.api.uploading import send_form
from workers.archives import ArchiveRules, read_entries
from workers.errors import TemplateError

THEME = '#let title(body) = text(fill: red, body)\n#let logo = image("/images/logo.png", width: 5pt)\n'
MAIN = '#import "lib/theme.typ": title, logo\n#import "/lib/more.typ": greet\n#title[Hi] #logo #greet(sys.inputs)\n'
MORE = '#let greet(data) = [Dear #data.at("name", default: "Alice"), #sys.inputs.at("due", default: "soon")]\n'
FILES = {"main.typ": MAIN, "lib/theme.typ": THEME, "lib/more.typ": MORE, "images/logo.png": picture()}


def packed(files, **entries: zipfile.ZipInfo) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(entries.get(name, name), content)
    return target.getvalue()


def send(api, content: bytes, engine="typst", filename="t.zip", **more):
    file = (filename, content, "application/zip")
    return send_form(api, "/api/v1/templates", name="Report", engine=engine, file=file, **more)


def created(api, files, **more) -> dict:
    answer = send(api, packed(files), **more)
    assert answer.status_code == 201, answer.content
    return answer.json()


def refused(api, nothing_changes, content, status=422, **more) -> str:
    with nothing_changes(api):
        answer = send(api, content, **more)
    assert answer.status_code == status, answer.content
    return answer.json()["error"]


def names(template_id) -> list[str]:
    return sorted(Template.objects.get(pk=template_id).current_version.files)


def test_modules_and_pictures_come_along_and_it_renders(server, api):
    body = created(api, FILES)
    assert [(field["key"], field["example"]) for field in body["available_fields"]] == [
        ("name", "Alice"),
        ("due", "soon"),
    ]
    version = Template.objects.get(pk=body["id"]).current_version
    assert (version.source, sorted(version.files)) == (MAIN, ["images/logo.png", "lib/more.typ", "lib/theme.typ"])
    status, render = api.render(body["id"], data={"name": "Zoë"})
    assert (status, render["status"]) == (200, "completed"), render
    content = requests.get(f"{server}/renders/{render['id']}.pdf", timeout=60).content
    assert content.startswith(b"%PDF")


def test_every_file_can_be_fetched(server, api):
    body = created(api, FILES)
    version = api.get(f"/api/v1/templates/{body['id']}/versions/1").json()
    assert [file["name"] for file in version["files"]] == ["images/logo.png", "lib/more.typ", "lib/theme.typ"]
    for file in version["files"]:
        answer = api.get(file["url"].removeprefix("http://localhost:8000"))
        content = requests.get(answer.headers["Location"], timeout=60).content
        assert content == (FILES[file["name"]] if file["name"].endswith(".png") else FILES[file["name"]].encode())


def test_same_zip_again_makes_no_version_and_a_changed_module_does(server, api):
    template_id = created(api, FILES)["id"]
    path = f"/api/v1/templates/{template_id}"

    def replace(files):
        answer = send_form(api, path, "PATCH", file=("t.zip", packed(files), "application/zip"))
        assert answer.status_code == 200, answer.content
        return answer.json()["published_version"]

    assert replace(dict(reversed(FILES.items()))) == 1
    assert replace({**FILES, "lib/theme.typ": THEME + "\n"}) == 2
    answer = send_form(api, path, "PATCH", file=("t.zip", packed({"main.typ": "#fooo"}), "application/zip"))
    assert (answer.status_code, Template.objects.get(pk=template_id).versions.count()) == (422, 2)


def test_text_in_json_takes_the_place_of_a_zip(server, api):
    template_id = created(api, FILES)["id"]
    answer = api._client.patch(
        f"/api/v1/templates/{template_id}",
        {"source": "Hi"},
        content_type="application/json",
        headers=api._headers(None),
    )
    assert (answer.json()["published_version"], names(template_id)) == (2, [])


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({"report.typ": "Hi", "a.txt": "x"}, ["a.txt"]),
        ({"report/main.typ": "Hi", "report/lib/a.typ": ""}, ["lib/a.typ"]),
        ({"report/report.typ": "Hi", "report/a.txt": ""}, ["a.txt"]),
        ({"main.typ": "Hi", "other.typ": ""}, ["other.typ"]),
        ({"main.typ": "Hi", "__MACOSX/._main.typ": "", ".DS_Store": "", "a/.DS_Store": ""}, []),
        ({"r/main.typ": "Hi", "__MACOSX/r/._main.typ": ""}, []),
        ({"main.typ": "Hi", "e\u0301.txt": "decomposed"}, ["\u00e9.txt"]),
    ],
)
def test_main_file_and_names(server, api, files, kept):
    assert names(created(api, files)["id"]) == kept


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({}, "file: the archive has no main.typ at its top"),
        ({"a.txt": ""}, "file: the archive has no main.typ at its top"),
        ({"a/b/main.typ": "", "c.txt": ""}, "file: the archive has no main.typ at its top"),
        (
            {"a.typ": "", "b.typ": ""},
            "file: the archive has no main.typ at its top, but a.typ, b.typ; call one of them main.typ",
        ),
        ({"main.typ": b"\xff"}, "file: main.typ is not UTF-8 text"),
        ({"main.typ": "a\0b"}, "file: main.typ contains a NUL character"),
        ({"main.typ": "", "../a.typ": ""}, "file: the file holds an entry with an unsafe name"),
        ({"main.typ": "", "/etc/passwd": ""}, "file: the file holds an entry with an unsafe name"),
        ({"main.typ": "", "a//b": ""}, "file: the file holds an entry with an unsafe name"),
        ({"main.typ": "", "C:/a": ""}, "file: the file holds an entry with an unsafe name"),
        ({"main.typ": "", "a/b\u202ex": ""}, "file: file name"),
        ({"main.typ": "", ".automette/data.json": "{}"}, "file: file name"),
        ({"main.typ": "", "a": "", "a/b": ""}, "file: 'a' cannot be a file and a folder"),
        ({"main.typ": "", "A.txt": "", "a.txt": ""}, "file: the file holds two entries named"),
        ({"main.typ": "", **{f"{number}.txt": "" for number in range(1000)}}, "file: the file holds more than 1000"),
    ],
)
def test_doubtful_archive_is_refused(api, nothing_changes, files, error):
    assert refused(api, nothing_changes, packed(files)).startswith(error)


def test_link_and_encrypted_entry_are_refused(api, nothing_changes):
    link = zipfile.ZipInfo("a.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    content = packed({"main.typ": "", "a.txt": "/etc/passwd"}, **{"a.txt": link})
    assert "is a link" in refused(api, nothing_changes, content)
    content = bytearray(packed({"main.typ": ""}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refused(api, nothing_changes, bytes(content))


def test_damaged_archive_is_refused(api, nothing_changes):
    whole = packed(FILES)
    for content in (whole[:-30], whole[:100], b"PK\x03\x04", whole.replace(b"main.typ", b"Main.typ", 1)):
        assert "the file is damaged" in refused(api, nothing_changes, content)


def test_archive_that_unpacks_to_too_much_is_refused_while_it_inflates(api, nothing_changes):
    bomb = packed({"main.typ": "", "zeros": b"\0" * (30 << 20)})
    assert len(bomb) < 100_000
    assert refused(api, nothing_changes, bomb).startswith("file: the ")
    lying = bytearray(bomb)  # the sizes that the archive tells of itself
    at = lying.index(b"PK\x01\x02", lying.index(b"PK\x01\x02") + 4)
    lying[at + 24 : at + 28] = (10).to_bytes(4, "little")
    assert refused(api, nothing_changes, bytes(lying)).startswith("file: the ")


def test_archive_above_the_limit_is_413(api, nothing_changes):
    content = packed({"main.typ": ""}) + b"\0" * settings.MAX_ZIP_BYTES
    error = refused(api, nothing_changes, content, status=413)
    assert error == "file: larger than 10,000,000 bytes. Make its pictures smaller."
    long = packed({"main.typ": "x" * (settings.MAX_SOURCE_BYTES + 1)})
    assert refused(api, nothing_changes, long, status=413).startswith("source: longer than")


def test_mistake_in_a_module_is_told_with_its_file(server, api, nothing_changes):
    with nothing_changes(api):
        answer = send(api, packed({**FILES, "lib/theme.typ": THEME + "#fooo\n"}))
    assert answer.json() == {
        "error": "source: lib/theme.typ, line 3, column 2: unknown variable: fooo",
        "diagnostics": [
            {"file": "lib/theme.typ", "line": 3, "column": 2, "message": "unknown variable: fooo", "hint": None}
        ],
    }


def test_example_data_is_json_text_in_a_form(server, api, nothing_changes):
    files = {"main.typ": "#data.lines.map(line => line.price).sum()"}
    assert created(api, files, example_data='{"lines": [{"price": 1}]}')["warnings"] == []
    assert "not compiled to its end" in created(api, files)["warnings"][0]
    for wrong in ("[]", "{", "1"):
        assert refused(api, nothing_changes, packed(files), example_data=wrong).startswith("example_data: ")


def test_text_is_taken_as_a_file_too(server, api, nothing_changes):
    answer = send(api, b'\xef\xbb\xbfHi #data.at("a", default: "b")', filename="main.typ")
    assert (answer.status_code, answer.json()["available_fields"][0]["key"]) == (201, "a")
    answer = send(api, b'{"width": 10, "height": 10, "layers": []}', engine="canvas", filename="card.json")
    assert answer.status_code == 201, answer.content
    assert refused(api, nothing_changes, b"\xff\xfe", filename="main.typ") == (
        "file: Of a typst template it must be a zip, or UTF-8 text."
    )


def test_authored_fields_are_for_word_files(api, nothing_changes):
    error = refused(api, nothing_changes, packed(FILES), fields='[{"key": "a"}]')
    assert error.startswith("fields: Only Word files")


def test_without_the_check_of_names_a_file_would_leave_the_folder():
    content = packed({"main.typ": "", "../outside.txt": "x"})
    with pytest.raises(TemplateError, match="unsafe name"):
        read_zip(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "../outside.txt" in archive.namelist()  # what the standard library hands on by itself


def test_with_wider_rules_the_same_archives_are_unpacked():
    wide = ArchiveRules(max_entries=2000, max_inflated_bytes=100 << 20, remedy="", links_are_files=True)
    link = zipfile.ZipInfo("a.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    large = {"main.typ": "", "noise": random.Random(1).randbytes(1 << 20) * 26}
    many = {"main.typ": "", **{f"{number}.txt": "" for number in range(1000)}}
    for content, count in (
        (packed(large), 2),
        (packed(many), 1001),
        (packed({"main.typ": "", "a.txt": "/etc/passwd"}, **{"a.txt": link}), 2),
    ):
        assert len(read_entries(content, wide)) == count
        with pytest.raises(TemplateError):
            read_zip(content)
