"""Hostile Word files: each is refused or cleaned, and each guard is taken away to see what it keeps out."""

import io
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.docx.word_files import PNG, fill, parts_of, word_file
from tests.hostile.corpus import LEAKS
from tests.hostile.docx_files import (
    BOMB_BYTES,
    CLEANED,
    HONEST,
    HOSTILE,
    REFUSED,
    SECRET,
    Bait,
    hostile_docx,
)
from tests.hostile.listening import Listener, listening
from tests.hostile.office import IS_INSTALLED, convert, images_of, text_of
from workers.docx.sanitise import sanitise
from workers.errors import TemplateError


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


@pytest.fixture
def bait(listener) -> Iterator[Bait]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "bait.docx").write_bytes(word_file(SECRET))
    (folder / "bait.png").write_bytes(PNG)
    yield Bait(listener.port, folder / "bait.docx", folder / "bait.png")
    shutil.rmtree(folder)


@pytest.fixture
def text_bait(bait) -> Bait:
    path = bait.path.with_name("bait.txt")
    path.write_text(SECRET)
    return Bait(bait.port, path, bait.picture)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_or_cleaned(name, bait, listener):
    case = HOSTILE[name]
    content = hostile_docx(name, bait)
    started = time.process_time()
    if case.outcome == REFUSED:
        with pytest.raises(TemplateError) as caught:
            sanitise(content)
        assert case.said in caught.value.message
        assert LEAKS.search(re.sub(r"'[^']*'", "", caught.value.message)) is None
    else:
        clean, warnings = sanitise(content)
        assert any(case.said in warning for warning in warnings) is (case.outcome == CLEANED), warnings
        if case.outcome == CLEANED:
            everything = b"".join(parts_of(clean).values())
            assert str(bait.path).encode() not in everything
            assert bait.web.encode() not in everything
    assert time.process_time() - started < 20  # no more than a net: speed is measured elsewhere
    assert listener.heard == []


@pytest.mark.parametrize("name", [name for name, case in HOSTILE.items() if case.outcome != REFUSED])
def test_what_was_cleaned_can_be_filled(name, bait):
    filled, _ = fill(sanitise(hostile_docx(name, bait))[0], b'{"name": "Ada"}', lambda _: None)
    assert "Dear Ada" in b"".join(parts_of(filled).values()).decode(errors="replace")
    assert SECRET.encode() not in b"".join(parts_of(filled).values())


# ---- The guards taken away --------------------------------------------------------------------------------


def test_without_the_limit_the_bomb_inflates(bait):
    content = hostile_docx("zip bomb", bait)
    assert len(content) < 200_000
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(archive.read("word/media/a.bin")) == BOMB_BYTES


@pytest.mark.parametrize("name", ["zip slip", "zip slip inside"])
def test_without_the_check_of_names_a_file_lands_outside(name, bait, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(hostile_docx(name, bait))) as archive:
        entry = archive.infolist()[-1].filename
        (folder / "word").mkdir()
        (folder / entry).write_bytes(archive.read(entry))
    assert list(tmp_path.rglob("slipped.txt"))
    assert not list(folder.rglob("slipped.txt"))


def test_without_the_check_of_doctypes_an_entity_reads_a_file(text_bait):
    part = parts_of(hostile_docx("external entity", text_bait))["word/document.xml"]
    careless = etree.XMLParser(resolve_entities=True, load_dtd=True)
    assert SECRET in "".join(etree.fromstring(part, careless).itertext())
    with pytest.raises(TemplateError):
        sanitise(hostile_docx("external entity", text_bait))


def test_without_the_check_of_doctypes_entities_multiply(bait):
    part = parts_of(hostile_docx("billion laughs", bait))["word/document.xml"].replace(b"&e8;", b"&e4;")
    careless = etree.XMLParser(resolve_entities=True)
    assert len("".join(etree.fromstring(part, careless).itertext())) >= 2 * 10**4


@pytest.mark.parametrize("name", ["OLE object", "macros in a docx", "package with a program"])
def test_without_cleaning_the_object_is_handed_on(name, bait):
    """Filling in by itself keeps what it does not know: whoever opens the result gets the object."""
    content = hostile_docx(name, bait)
    (part,) = {part for part in parts_of(content).keys() - parts_of(HONEST).keys() if not part.endswith(".rels")}
    assert part in parts_of(fill(content, b"{}", lambda _: None)[0])


def test_without_cleaning_a_field_that_reads_is_handed_on(bait):
    content = hostile_docx("INCLUDETEXT", bait)
    assert b"INCLUDETEXT" in parts_of(content)["word/document.xml"]
    assert b"INCLUDETEXT" not in parts_of(sanitise(content)[0])["word/document.xml"]


def test_libreoffice_by_itself_does_what_is_prevented(bait, listener, tmp_path):
    """One control for each of them; without LibreOffice there is nothing that could do it."""
    if not IS_INSTALLED:
        return
    chunk = convert(tmp_path / "chunk", hostile_docx("altChunk of a document", bait))
    assert SECRET in text_of(chunk)
    picture = convert(tmp_path / "picture", hostile_docx("linked image of this machine", bait))
    assert images_of(picture) == 1
    assert listener.heard == []
    with listening() as other:  # the other tests' own must hear nothing, also not late
        convert(tmp_path / "page", hostile_docx("HTML renamed", Bait(other.port, bait.path, bait.picture)))
        assert any(b"/page.png" in said for said in other.heard)
    clean = convert(tmp_path / "clean", sanitise(hostile_docx("linked image of this machine", bait))[0])
    assert images_of(clean) == 0
