import datetime as dt
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from renders.filenames import content_disposition, make_filename

NOW = dt.datetime(2026, 4, 22, 9, 5, 7, tzinfo=dt.UTC)
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³")}
NASTY = (
    st.text(st.sampled_from('../\\:*?"<>|%; \x00\x1f\u202e\u200b\ufeff\n\r\tCONaux1.é証🎓{}template\u0301'))
    | st.text()
)


def name(pattern="", template_name="Letter", data=None, extension="pdf") -> str:
    return make_filename(pattern=pattern, template_name=template_name, data=data or {}, extension=extension, now=NOW)


@pytest.mark.parametrize(
    ("pattern", "data", "expected"),
    [
        ("{template}", {}, "Letter.pdf"),
        ("{date}", {}, "2026-04-22.pdf"),
        ("{time}", {}, "09-05-07.pdf"),
        ("{datetime}", {}, "2026-04-22-09-05-07.pdf"),
        ("{template} {name}", {"name": "Zoë 証"}, "Letter Zoë 証.pdf"),
        ("{n}-{x}", {"n": 7, "x": 1.5}, "7-1.5.pdf"),
        ("a{unknown}b", {}, "ab.pdf"),
        ("{unknown}", {}, "document.pdf"),
        ("{list}{object}{flag}{null}x", {"list": [1], "object": {}, "flag": True, "null": None}, "x.pdf"),
        ("{template}", {"template": "mine"}, "Letter.pdf"),
        ("{{name}}", {"name": "x"}, "{x}.pdf"),
        ("../../etc/passwd", {}, "etc-passwd.pdf"),
        ("{name}", {"name": "..\\..\\boot.ini"}, "boot.ini.pdf"),
        (".hidden", {}, "hidden.pdf"),
        ("con", {}, "_con.pdf"),
        ("LPT1", {}, "_LPT1.pdf"),
        ("nul.txt", {}, "_nul.txt.pdf"),
        ("a\r\nSet-Cookie: x=1", {}, "a Set-Cookie- x=1.pdf"),
        ("photo\u202egpj", {}, "photogpj.pdf"),
        ("e\u0301", {}, "é.pdf"),
        ('a"b<c>d|e*f?g', {}, "a-b-c-d-e-f-g.pdf"),
        ("invoice.pdf", {}, "invoice.pdf.pdf"),
    ],
)
def test_pattern_becomes_a_name(pattern, data, expected):
    assert name(pattern, data=data) == expected


def test_default_pattern_is_template_time_and_something_random():
    first, second = name(), name()
    assert re.fullmatch(r"Letter-2026-04-22-09-05-07-[0-9a-f]{8}\.pdf", first)
    assert first != second


@given(pattern=NASTY, template_name=NASTY, value=NASTY, extension=st.sampled_from(["pdf", "docx", "svg"]))
@example("a" * 300, "", "", "pdf")
@example("é" * 300, "", "", "docx")
@example("con", "", "", "pdf")
@example("nul ." + "x" * 300, "", "", "pdf")
def test_every_name_is_safe_on_every_system(pattern, template_name, value, extension):
    made = make_filename(
        pattern=pattern + "{value}",
        template_name=template_name,
        data={"value": value, "template": value},
        extension=extension,
        now=NOW,
    )
    assert len(made.encode()) <= 200
    assert made.endswith(f".{extension}")
    stem = made.removesuffix(f".{extension}")
    assert stem
    assert not stem.startswith((".", " ", "-"))
    assert not stem.endswith((".", " "))
    assert not set(made) & set('<>:"/\\|?*%;')
    assert {unicodedata.category(letter) for letter in made}.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    assert stem.partition(".")[0].rstrip().lower() not in RESERVED
    assert ".." not in made.split("/")


@given(stem=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_header_is_ascii_on_one_line_with_both_names(stem):
    header = content_disposition(filename=f"{stem}.pdf", as_attachment=False)
    assert re.fullmatch(
        r"inline; filename=\"[\x20-\x21\x23-\x5b\x5d-\x7e]+\.pdf\"; filename\*=UTF-8''[\w.~%-]+", header, re.ASCII
    )


@pytest.mark.parametrize(
    ("filename", "attachment", "header"),
    [
        ("a.pdf", False, "inline; filename=\"a.pdf\"; filename*=UTF-8''a.pdf"),
        ("Zoë 1.svg", True, "attachment; filename=\"Zoe 1.svg\"; filename*=UTF-8''Zo%C3%AB%201.svg"),
        ("証.pdf", False, "inline; filename=\"document.pdf\"; filename*=UTF-8''%E8%A8%BC.pdf"),
    ],
)
def test_header_of_known_names(filename, attachment, header):
    assert content_disposition(filename=filename, as_attachment=attachment) == header
