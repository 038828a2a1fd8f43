"""The options about PDFs, which the three engines check by the same rules."""

import pytest

from workers.docx.options import check_options as check_word
from workers.docx.options import pdf_filter
from workers.engines.canvas.options import check_options as check_canvas
from workers.engines.option_checks import DEFAULT_TIMESTAMP, MAX_TIMESTAMP
from workers.engines.typst_options import check_options as check_typst
from workers.errors import TemplateError

ENGINES = {"typst": check_typst, "canvas": check_canvas, "docx": check_word}


@pytest.fixture(params=ENGINES)
def check(request):
    return ENGINES[request.param]


@pytest.mark.parametrize(
    ("options", "standards"),
    [
        ({"pdf_standard": "a-2b"}, ["a-2b"]),
        ({"pdf_standard": ["a-2b"]}, ["a-2b"]),
        ({"pdf_standard": ("a-2b", "a-2b")}, ["a-2b"]),
        ({"ua_compliant": True}, ["ua-1"]),
        ({"pdf_standard": "a-3b", "ua_compliant": True}, ["a-3b", "ua-1"]),
        ({"pdf_standard": ["ua-1"], "ua_compliant": True}, ["ua-1"]),
        ({"pdf_standard": ["ua-1", "a-2b"], "ua_compliant": False}, ["ua-1", "a-2b"]),
        ({"pdf_standard": ["1.6", "ua-1"]}, ["1.6", "ua-1"]),
    ],
)
def test_standards_are_put_together(check, options, standards):
    checked = check("pdf", options)
    assert checked["pdf_standard"] == standards
    assert "ua_compliant" not in checked


@pytest.mark.parametrize("options", [{}, {"ua_compliant": False}])
def test_without_a_standard_there_is_none(check, options):
    assert "pdf_standard" not in check("pdf", options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pdf_standard": "a-9"}, 'option "pdf_standard" must be one of 1.'),
        ({"pdf_standard": "A-2B"}, 'option "pdf_standard" must be one of 1.'),
        ({"pdf_standard": []}, 'option "pdf_standard" must be a name or a list of names'),
        ({"pdf_standard": None}, 'option "pdf_standard" must be a name or a list of names'),
        ({"pdf_standard": 2}, 'option "pdf_standard" must be a name or a list of names'),
        ({"pdf_standard": [["a-2b"]]}, 'option "pdf_standard" must be a name or a list of names'),
        ({"pdf_standard": {"a-2b": 1}}, 'option "pdf_standard" must be a name or a list of names'),
        ({"pdf_standard": ["a-2b", "a-3b"]}, "a PDF can follow one PDF/A standard, not a-2b and a-3b"),
        ({"pdf_standard": ["1.5", "1.6"]}, "a PDF has one version, not 1.5 and 1.6"),
        ({"pdf_standard": ["a-1b", "1.6"]}, "a PDF cannot be a-1b and 1.6: a-1b is for PDF 1.4"),
        ({"ua_compliant": "yes"}, 'option "ua_compliant" must be true or false'),
        ({"ua_compliant": 1}, 'option "ua_compliant" must be true or false'),
        ({"timestamp": -1}, 'option "timestamp" must be a whole number of seconds since 1970'),
        ({"timestamp": 1.5}, 'option "timestamp" must be a whole number of seconds since 1970'),
        ({"timestamp": True}, 'option "timestamp" must be a whole number of seconds since 1970'),
        ({"timestamp": MAX_TIMESTAMP + 1}, 'option "timestamp" must be a whole number of seconds since 1970'),
    ],
)
def test_wrong_option_is_refused_with_a_sentence(check, options, message):
    with pytest.raises(TemplateError) as refused:
        check("pdf", options)
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("typst", {"pdf_standard": ["a-2b", "2.0"]}, "a PDF cannot be a-2b and 2.0: a-2b is for PDF 1.4 to 1.7"),
        ("typst", {"pdf_standard": ["a-4", "1.7"]}, "a PDF cannot be a-4 and 1.7: a-4 is for PDF 2.0"),
        ("typst", {"pdf_standard": "a-4", "ua_compliant": True}, "a PDF cannot be ua-1 and a-4: PDF/UA-1 is for"),
        ("typst", {"pdf_standard": "2.0", "ua_compliant": True}, "a PDF cannot be ua-1 and 2.0: PDF/UA-1 is for"),
        ("canvas", {"pdf_standard": "a-4f"}, "a-4f is for documents with attached files, and a picture has none"),
        ("docx", {"pdf_standard": "1.7"}, "one of 1.5, 1.6, a-1b, a-2b, a-3b, ua-1; LibreOffice takes 1.7 and"),
        ("docx", {"pdf_standard": "1.4"}, "LibreOffice writes PDF 1.4 only as a-1b"),
        ("docx", {"pdf_standard": "2.0"}, "one of 1.5, 1.6, a-1b, a-2b, a-3b, ua-1"),
        ("docx", {"pdf_standard": "a-4"}, "one of 1.5, 1.6, a-1b, a-2b, a-3b, ua-1"),
        (
            "docx",
            {"pdf_standard": "a-2u"},
            "whether the demands of level u are met: take a-2b",
        ),
        (
            "docx",
            {"pdf_standard": "a-1a"},
            "whether the demands of level a are met: take a-1b",
        ),
        ("docx", {"pdf_standard": "a-1b", "ua_compliant": True}, "cannot become a-1b and ua-1"),
        ("docx", {"tagged": True}, 'option "tagged" does not exist for pdf'),
    ],
)
def test_what_an_engine_cannot_do_is_refused_with_its_reason(engine, options, message):
    with pytest.raises(TemplateError) as refused:
        ENGINES[engine]("pdf", options)
    assert message in refused.value.message


@pytest.mark.parametrize("name", ["pdf_standard", "ua_compliant"])
@pytest.mark.parametrize(("engine", "format_name"), [("typst", "png"), ("canvas", "svg"), ("docx", "docx")])
def test_other_formats_know_no_standards(engine, format_name, name):
    with pytest.raises(TemplateError, match=name):
        ENGINES[engine](format_name, {name: True})


@pytest.mark.parametrize(
    ("engine", "format_name"),
    [("typst", "svg"), ("canvas", "png"), ("docx", "pdf"), ("docx", "docx"), ("docx", "both"), ("docx", "template")],
)
def test_every_format_takes_a_timestamp(engine, format_name):
    check = ENGINES[engine]
    assert check(format_name, {})["timestamp"] == DEFAULT_TIMESTAMP
    assert check(format_name, {"timestamp": 0})["timestamp"] == 0


def test_both_files_of_a_word_render_take_standards():
    assert check_word("both", {"ua_compliant": True})["pdf_standard"] == ["ua-1"]


def test_filter_of_libreoffice_gets_every_standard():
    assert pdf_filter([]) == {}
    assert pdf_filter(["a-2b", "ua-1"]) == {
        "SelectPdfVersion": {"type": "long", "value": "2"},
        "PDFUACompliance": {"type": "boolean", "value": "true"},
        "UseTaggedPDF": {"type": "boolean", "value": "true"},
    }
