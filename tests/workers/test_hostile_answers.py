"""What a child says is believed only as far as its shape goes: whoever took a child over may say anything."""

import pytest

from workers.docx.options import RULES as DOCX
from workers.engines.typst_options import RULES as TYPST
from workers.errors import EngineError, RemoteFilesNeededError, TemplateError
from workers.exchange import read_answer
from workers.job import RenderJob

JOB = RenderJob(source="")
BOTH = RenderJob(source=b"", format="both")


@pytest.mark.parametrize("message", ["a\0b", "half \ud800 pair", "x" * 10_000, 7, None, {"a": "\0"}])
def test_messages_are_texts_that_a_database_takes(message):
    with pytest.raises(TemplateError) as caught:
        read_answer({"error": "template_error", "message": message, "line": "1", "hints": 3}, b"", JOB, TYPST)
    caught.value.message.encode()
    assert "\0" not in caught.value.message
    assert len(caught.value.message) <= 2000
    assert (caught.value.line, caught.value.hints) == (None, ())


def test_addresses_are_texts_as_well():
    with pytest.raises(RemoteFilesNeededError) as caught:
        read_answer({"error": "remote_files_needed", "urls": ["https://x/\0", 7]}, b"", JOB, TYPST)
    assert caught.value.urls == ("https://x/\ufffd", "7")


@pytest.mark.parametrize(
    ("head", "content"),
    [
        ({}, b"%PDF-1.7"),
        ({"pages": 0}, b"%PDF-1.7"),
        ({"pages": "1"}, b"%PDF-1.7"),
        ({"pages": 10_000}, b"%PDF-1.7"),
        ({"pages": 1}, b"<html>"),
        ({"pages": 1}, b""),
        ({"pages": 1, "sizes": [4]}, b"%PDF-1.7"),
        ({"pages": 1, "sizes": []}, b"%PDF-1.7"),
        ({"pages": 1, "sizes": [True]}, b"%PDF-1.7"),
    ],
)
def test_what_is_no_document_is_refused(head, content):
    with pytest.raises(EngineError, match="something that is not a document"):
        read_answer(head, content, JOB, TYPST)


@pytest.mark.parametrize(
    "sizes",
    [
        None,
        [],
        [8],
        [8, 0],
        [8, -1],
        [-8, 16],
        [0, 12],
        [8, 5],
        [8, 3],
        [12, 0],
        ["8", 4],
        [8, 4, 1],
        [4, 8],
        {"a": 1},
        7,
    ],
)
def test_sizes_of_two_files_must_fit(sizes):
    head = {"pages": 1} if sizes is None else {"pages": 1, "sizes": sizes}
    with pytest.raises(EngineError, match="something that is not a document"):
        read_answer(head, b"%PDF-1.7PK\x03\x04", BOTH, DOCX)


def test_two_files_come_apart():
    document = read_answer({"pages": 1, "sizes": [8, 4], "fields": []}, b"%PDF-1.7PK\x03\x04", BOTH, DOCX)
    assert [(file.extension, file.content) for file in document.files] == [
        ("pdf", b"%PDF-1.7"),
        ("docx", b"PK\x03\x04"),
    ]
