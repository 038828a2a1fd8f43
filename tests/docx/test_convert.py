"""PDF by LibreOffice in a confined child. Without LibreOffice the same requests give the sentence that says so.

LibreOffice must not be in the process of the tests, so each test has a process of its own.
"""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from word_files import RELATIONSHIPS, complex_field, parts_of, texts, with_body, with_relationship, word_file

from workers.docx.office import INSTALL_HINT, find_program
from workers.docx.sanitise import sanitise

PROJECT = Path(__file__).resolve().parents[2]
IS_INSTALLED = shutil.which("soffice") is not None
LETTER = word_file("Dear {{ name }}", "{{ total|currency('EUR') }}", header="Ours", title="For {{ name }}")
NO_OFFICE = {"error": "engine_error", "message": INSTALL_HINT}

pytestmark = pytest.mark.timeout(400)


def run(*requests: tuple[str, bytes, dict], data=None, confined: bool = True) -> dict:
    with tempfile.TemporaryDirectory() as name:  # not pytest's, which other users may not pass through
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "slot").mkdir()
        job = {"requests": [], "data": data or {"name": "Ada", "total": 1234.5}, "confined": confined}
        job["folder"] = str(folder / "slot")
        for number, (kind, source, options) in enumerate(requests):
            path = folder / f"{number}.docx"
            path.write_bytes(source)
            job["requests"].append({"format": kind, "options": options, "source": str(path)})
        (folder / "job.json").write_text(json.dumps(job))
        program = Path(__file__).with_name("office_run.py")
        command = [sys.executable, "-I", str(program), str(PROJECT), str(folder / "job.json")]
        # LibreOffice writes into its first home once more when it ends: that lies in our folder, too
        environment = {**os.environ, "TMPDIR": name}
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["status"] == 0, done.stderr
    assert (told["program"] is not None) is IS_INSTALLED, "soffice is there, but LibreOffice cannot be loaded"
    return told


def content_of(result: dict) -> bytes:
    assert "error" not in result, result
    return base64.b64decode(result["content"])


def is_answered_without_office(results: list[dict]) -> bool:
    """Where there is no LibreOffice: every one of these results is the sentence."""
    if IS_INSTALLED:
        return False
    assert results == [NO_OFFICE] * len(results)
    return True


def test_letter_becomes_a_pdf_in_a_confined_child():
    told = run(*[("pdf", LETTER, {})] * 3)
    assert not told["reads_outside"]
    assert set(told["active"]) >= {"landlock", "seccomp"}
    if is_answered_without_office(told["results"]):
        return
    for result in told["results"]:
        assert content_of(result).startswith(b"%PDF-")
        assert result["pages"] == 1
        assert all("stands in for fonts" in warning for warning in result["warnings"])
        assert result["fonts_asked"]
        assert result["fonts_used"]


def test_docx_needs_no_office():
    (result,) = run(("docx", LETTER, {"locale": "de"}))["results"]
    assert texts(content_of(result)) == ["Dear Ada", "1.234,50\xa0€"]


def test_both_formats_come_from_one_render():
    (result,) = run(("both", LETTER, {}))["results"]
    if is_answered_without_office([result]):
        return
    content = content_of(result)
    pdf_bytes, docx_bytes = result["sizes"]
    assert len(content) == pdf_bytes + docx_bytes
    assert content.startswith(b"%PDF-")
    assert texts(content[pdf_bytes:])[0] == "Dear Ada"


def test_pages_are_counted_and_limited():
    pages = word_file(*["{{ '\\f' }}page"] * 3)
    breaks = with_body(word_file("end"), '<w:p><w:r><w:br w:type="page"/></w:r></w:p>' * 4)
    many = with_body(word_file(), '<w:p><w:r><w:br w:type="page"/></w:r></w:p>' * 40)
    results = run(("pdf", pages, {}), ("pdf", breaks, {}), ("pdf", many, {}))["results"]
    if is_answered_without_office(results):
        return
    assert [result.get("pages") for result in results] == [1, 5, None]
    assert results[2] == {"error": "resource_limit", "message": "document has more than 20 pages"}


@pytest.mark.parametrize(
    ("standard", "mark"),
    [
        ("a-1b", rb"pdfaid:part>1<"),
        ("a-2b", rb"pdfaid:part>2<"),
        ("a-3b", rb"pdfaid:part>3<"),
        ("ua-1", rb"pdfuaid:part>1<"),
    ],
)
def test_standard_is_named_in_the_pdf(standard, mark):
    (result,) = run(("pdf", LETTER, {"pdf_standard": [standard]}))["results"]
    if is_answered_without_office([result]):
        return
    assert re.search(mark, content_of(result))


def test_upload_is_cleaned_and_read_in_the_child():
    hostile = with_relationship(LETTER, "image", "http://127.0.0.1:9/x.png", external=True)
    good, bad = run(("template", hostile, {}), ("template", b"{\\rtf1}", {}))["results"]
    assert content_of(good) == sanitise(hostile)[0]
    assert [(field["key"], field["type"]) for field in good["fields"]] == [
        ("name", "text"), ("total", "number"),
    ]  # fmt: skip
    assert good["warnings"][0].startswith("removed the linked image")
    assert bad["error"] == "template_error"


def test_template_that_fails_leaves_the_child_well():
    hostile = word_file("{{ ''.__class__ }}")
    results = run(("pdf", hostile, {}), ("pdf", b"PK\x03\x04", {}), ("docx", LETTER, {}))["results"]
    if IS_INSTALLED:
        assert [result.get("error") for result in results] == ["template_error", "template_error", None]
    else:
        assert results[:2] == [NO_OFFICE] * 2
    assert texts(content_of(results[2]))[0] == "Dear Ada"


# ---- Documents that reach out, given to LibreOffice as they are ------------------------------------------


@contextmanager
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port on this machine and what was said to it."""
    hits: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # LibreOffice may have hung up
                connection.settimeout(60)
                hits.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], hits
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
LINKED_PICTURE = f"""
<w:p><w:r><w:drawing><wp:inline xmlns:wp="{DRAWING}/wordprocessingDrawing">
<wp:extent cx="914400" cy="914400"/><wp:docPr id="7" name="x"/>
<a:graphic xmlns:a="{DRAWING}/main"><a:graphicData uri="{DRAWING}/picture"><pic:pic xmlns:pic="{DRAWING}/picture">
<pic:nvPicPr><pic:cNvPr id="7" name="x"/><pic:cNvPicPr/></pic:nvPicPr>
<pic:blipFill><a:blip xmlns:r="{RELATIONSHIPS}" r:link="rIdX"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>
<pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="914400" cy="914400"/></a:xfrm>
<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr>
</pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>
"""


def with_linked_picture(target: str) -> bytes:
    return with_relationship(with_body(word_file("a"), LINKED_PICTURE), "image", target, external=True)


def reaching_out(port: int) -> dict[str, bytes]:
    address = f"http://127.0.0.1:{port}"
    return {
        "linked picture": with_linked_picture(f"{address}/picture.png"),
        "INCLUDEPICTURE": with_body(word_file("a"), complex_field(f' INCLUDEPICTURE "{address}/field.png" \\d ')),
        "INCLUDETEXT": with_body(word_file("a"), complex_field(f' INCLUDETEXT "{address}/text.docx" ')),
        "attached template": with_relationship(word_file("a"), "attachedTemplate", f"{address}/t.dotm", external=True,
                                               source="word/settings.xml"),
        "sub-document": with_relationship(
            with_body(word_file("a"), '<w:subDoc xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/'
                                      'relationships" r:id="rIdX"/>'),
            "subDocument", f"{address}/sub.docx", external=True),
    }  # fmt: skip


def test_nothing_reaches_the_network():
    """Not even documents that skipped the cleaning."""
    with listener() as (port, hits):
        documents = reaching_out(port)
        results = run(*[("pdf", content, {}) for content in documents.values()])["results"]
    assert hits == []
    if not is_answered_without_office(results):
        assert all(content_of(result).startswith(b"%PDF-") for result in results)


def test_without_confinement_the_security_settings_hold():
    with listener() as (port, hits):
        results = run(("pdf", reaching_out(port)["linked picture"], {}), confined=False)["results"]
    assert hits == []
    assert is_answered_without_office(results) or content_of(results[0]).startswith(b"%PDF-")


def test_libreoffice_by_itself_fetches_the_picture(tmp_path):
    """The control: the document does reach out, and cleaning it is enough."""
    if not IS_INSTALLED:
        assert find_program() is None
        return
    with listener() as (port, hits):
        soffice(tmp_path / "hostile", reaching_out(port)["linked picture"])
        assert any(b"/picture.png" in hit for hit in hits)
    with listener() as (port, hits):  # another: of the first one a hit may be late
        soffice(tmp_path / "clean", sanitise(reaching_out(port)["linked picture"])[0])
        assert hits == []


def soffice(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "in.docx").write_bytes(content)
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{folder}/profile", "--convert-to", "pdf"]
    subprocess.run(
        [*command, "--outdir", str(folder), str(folder / "in.docx")], check=True, capture_output=True, timeout=180
    )
    assert (folder / "in.pdf").read_bytes().startswith(b"%PDF-")


def test_file_of_this_machine_is_not_embedded(tmp_path):
    """A linked picture with a path: neither read in a confined child nor left in a cleaned template."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(parts_of(word_file())["docProps/thumbnail.jpeg"])
    secret.chmod(0o644)
    document = with_linked_picture(f"file://{secret}")
    (result,) = run(("pdf", document, {}))["results"]
    if not is_answered_without_office([result]):
        assert b"/Subtype/Image" not in content_of(result)
    assert str(secret).encode() not in b"".join(parts_of(sanitise(document)[0]).values())
