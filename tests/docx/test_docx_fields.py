"""The fields of a Word template, read from its tags."""

import pytest
from word_files import word_file

from workers.docx.fields import DocxField, extract_docx_fields
from workers.errors import TemplateError


def types(*paragraphs: str, **places: str) -> dict[str, str]:
    fields, _ = extract_docx_fields(word_file(*paragraphs, **places))
    return {field.key: field.type for field in fields}


def test_field_has_a_label_and_the_example_of_its_default():
    fields, warnings = extract_docx_fields(word_file("Dear {{ customer_name|default('Alice') }}, {{ n|d(3) }}"))
    assert fields == (
        DocxField(key="customer_name", label="Customer name", type="text", required=False, example="Alice"),
        DocxField(key="n", label="N", type="text", required=False, example="3"),
    )
    assert warnings == ()


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ a }}{{ b.c }}{{ d['e'] }}", {"a": "text", "b": "text", "d": "text"}),
        ("{% for i in items %}{{ i.name }}{{ loop.index }}{% endfor %}", {"items": "array"}),
        ("{% for i in items|sort(attribute='x') if i.ok %}{% endfor %}", {"items": "array"}),
        ("{% for i in invoice.items %}{{ i }}{% endfor %}", {"invoice": "text"}),
        ("{{ total|currency(code) }}", {"total": "number", "code": "text"}),
        ("{{ due|date }}{{ share|percent }}{{ at|time }}", {"due": "date", "share": "number", "at": "date"}),
        ("{{ price * amount }}{{ a + 'x' }}", {"price": "number", "amount": "number", "a": "text"}),
        ("{{ lines|map(attribute='n')|join(', ') }}", {"lines": "array"}),
        ("{{ total|default(0)|number }}", {"total": "number"}),
        ("{% if vip %}{% endif %}", {"vip": "text"}),
        ("{% set a = 1 %}{{ a }}{% macro m(b) %}{{ b }}{{ c }}{% endmacro %}{{ m(d) }}", {"c": "text", "d": "text"}),
        ("{{ x }}{% for i in x %}{% endfor %}", {"x": "array"}),
        ("{{ range(3) }}{{ namespace(a=1) }}", {}),
        ("{# {{ a }} #}{% raw %}{{ b }}{% endraw %}text", {}),
    ],
)
def test_type_follows_from_use(template, found):
    assert types(template) == found


def test_fields_of_every_part_are_found_in_order():
    found = types("{{ body }}", header="{{ head }}", footer="{{ foot }}", footnote="{{ note }}", title="{{ title }}")
    assert list(found) == ["body", "head", "foot", "note", "title"]


def test_template_that_cannot_be_understood_is_refused_with_the_paragraph():
    with pytest.raises(TemplateError, match="body, paragraph 2"):
        extract_docx_fields(word_file("a", "{% for i in %}"))
