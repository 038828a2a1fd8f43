"""The Word templates that a new team begins with."""

import json
from pathlib import Path

import pytest
from word_files import parts_of, texts

from tests.docx.word_files import fill
from workers.docx.fields import extract_docx_fields
from workers.docx.sanitise import sanitise

STARTERS = Path(__file__).resolve().parents[2] / "templates_app/starters"
SLUGS = ("offer-letter", "quote")


def template_of(slug: str) -> bytes:
    return (STARTERS / slug / "template.docx").read_bytes()


@pytest.mark.parametrize("slug", SLUGS)
def test_starter_is_clean(slug):
    assert sanitise(template_of(slug)) == (template_of(slug), ())


@pytest.mark.parametrize("slug", SLUGS)
def test_starter_asks_for_what_its_sample_data_gives(slug):
    data = json.loads((STARTERS / slug / "data.json").read_text())
    fields, warnings = extract_docx_fields(template_of(slug))
    assert {field.key for field in fields} == data.keys()
    assert warnings == ()


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("has_data", [True, False])
def test_starter_is_filled_with_its_data_and_without_any(slug, has_data):
    data = (STARTERS / slug / "data.json").read_bytes() if has_data else b"{}"
    filled, warnings = fill(template_of(slug), data, lambda _: None, "en_GB")
    assert warnings == []
    assert not any(b"{{" in part or b"{%" in part for name, part in parts_of(filled).items() if name.endswith(".xml"))


def test_quote_adds_up():
    data = (STARTERS / "quote" / "data.json").read_bytes()
    printed = texts(fill(template_of("quote"), data, lambda _: None, "en_GB")[0])
    assert [printed[printed.index(name) + 1] for name in ("Net", "VAT 19.0%", "Total")] == [
        "€20,284.00",
        "€3,853.96",
        "€24,137.96",
    ]
