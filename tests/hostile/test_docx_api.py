"""Hostile Word files through the API: refused with a sentence, or kept and harmless; no credit is lost."""

import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest

from tests.docx.test_hostile_jinja import LEAKS as INNER_VALUES
from tests.docx.test_hostile_jinja import PAYLOADS, PLACES, document_with
from tests.docx.word_files import parts_of, word_file
from tests.hostile.application import Application, Caller, running
from tests.hostile.docx_files import CLEANED, HOSTILE, JINJA_BOMBS, REFUSED, SECRET, Bait, hostile_docx, jinja_bomb
from tests.hostile.images import chart, encoded
from tests.hostile.listening import Listener, listening
from tests.hostile.office import IS_INSTALLED, images_of, text_of

SECONDS, MEGABYTES = 10, 1024
TOO_MUCH = re.compile(rf"timed out after {SECONDS} s|memory limit of {MEGABYTES} MB exceeded|calls itself too deeply")
OWN_REDIS_DATABASE = 8
KEPT = [name for name, case in HOSTILE.items() if case.outcome != REFUSED]
RENDERED = (
    "linked image of this machine", "INCLUDETEXT", "INCLUDEPICTURE", "DDEAUTO", "attached template", "sub-document",
    "old drawing with an address", "picture in SVG with addresses", "XInclude", "PostScript called PNG",
    "PNG that says 4 gigapixels", "EMF of nothing",
)  # fmt: skip
ATTACKS = (
    "cycler globals", "lipsum subscript", "self", "subclasses of object", "attr filter, name put together",
    "map by attribute", "format", "code of a macro", "include a file", "do statement",
)  # fmt: skip


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def bait(listener) -> Iterator[Bait]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "bait.docx").write_bytes(word_file(SECRET))
    (folder / "bait.png").write_bytes(encoded(chart(), "PNG"))
    yield Bait(listener.port, folder / "bait.docx", folder / "bait.png")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def application(test_environment, tmp_path_factory) -> Iterator[Application]:
    limits = {"DOCX_SECONDS": str(SECONDS), "DOCX_MEMORY_MB": str(MEGABYTES)}
    with running(tmp_path_factory.mktemp("hostile-docx"), OWN_REDIS_DATABASE, **limits) as found:
        yield found


@pytest.fixture(scope="module")
def caller(application) -> Caller:
    return application.caller()


@pytest.fixture
def unharmed(application, listener, caller):
    yield
    assert application.worker.poll() is None
    assert caller.paid_for_what_was_completed()
    assert listener.heard == []


@pytest.mark.parametrize("name", [name for name, case in HOSTILE.items() if case.outcome == REFUSED])
@pytest.mark.usefixtures("unharmed")
def test_file_is_refused_with_a_sentence_and_nothing_is_kept(caller, bait, nothing_changes, name):
    with nothing_changes(caller):
        answer = caller.upload_word(hostile_docx(name, bait))
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"].startswith("file: ")
    assert HOSTILE[name].said in answer.json()["error"]


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.usefixtures("unharmed")
def test_file_is_kept_without_what_reaches_out(caller, bait, name):
    answer = caller.upload_word(hostile_docx(name, bait))
    body = answer.json()
    assert answer.status_code == 201, body
    assert any(HOSTILE[name].said in warning for warning in body["warnings"]) is (HOSTILE[name].outcome == CLEANED)
    if name not in RENDERED:
        return
    document = caller.completes(body["id"], data={"name": "Ada"})
    if document is None:
        assert not IS_INSTALLED
    else:
        read = pypdf.PdfReader(io.BytesIO(document))
        assert "Dear Ada" in text_of(read)
        assert SECRET not in text_of(read)
        assert name != "linked image of this machine" or images_of(read) == 0


def refused(caller: Caller, content: bytes) -> str:
    """The sentence of the upload, or of the render of what could be kept."""
    answer = caller.upload_word(content)
    if answer.status_code == 201:
        return caller.refused(answer.json()["id"], formats=["docx"], data={"data": {"a": 1}})
    assert answer.status_code == 422, answer.text
    return answer.json()["error"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.usefixtures("unharmed")
def test_payload_against_the_template_language_fails_and_costs_nothing(caller, tmp_path, name, place):
    canary = tmp_path / "canary"
    said = refused(caller, document_with(PAYLOADS[name].replace("CANARY", str(canary)), place))
    seen = said.partition("): ")[2]  # what comes before quotes the payload
    assert [leak for leak in INNER_VALUES if leak in seen] == []
    assert not canary.exists()


@pytest.mark.parametrize("name", JINJA_BOMBS)
@pytest.mark.usefixtures("unharmed")
def test_payload_that_no_sandbox_stops_meets_a_limit_and_costs_nothing(caller, name):
    assert TOO_MUCH.search(refused(caller, jinja_bomb(name)))


def test_honest_marks_are_filled_in_every_place(caller):
    """The control: it is the payload that is refused, and not its place."""
    for place in PLACES:
        template_id = caller.word(document_with("Dear {{ name }}", place))
        document = caller.completes(template_id, formats=["docx"], data={"name": "Ada"})
        assert "Dear Ada" in b"".join(parts_of(document).values()).decode(errors="replace")


def test_afterwards_the_same_worker_renders(application, caller, listener):
    application.assert_unharmed()
    assert caller.paid_for_what_was_completed()
    assert listener.heard == []
    assert listener.hears()
