"""What the author of a template is told: the paragraph, the tag, and what to do."""

import pytest
from docx import Document
from word_files import saved, word_file

from tests.docx.word_files import fill
from workers.docx.fields import extract_docx_fields
from workers.errors import TemplateError


def message(content: bytes, data: bytes = b"{}") -> str:
    with pytest.raises(TemplateError) as caught:
        fill(content, data, lambda _: None)
    return caught.value.message


@pytest.mark.parametrize(
    ("paragraphs", "said"),
    [
        (("a", "Dear {{ name|shout }},"),
         "body, paragraph 2 (\"Dear {{ name|shout }},\"): No filter named 'shout'."),
        (("{{ a }}", "{{ b }}", "{{ 1/0 }} {{ c }}"), 'body, paragraph 3 ("{{ 1/0 }} {{ c }}"): division by zero'),
        (("{{ a }}", "{{ a b }}"),
         'body, paragraph 2 ("{{ a b }}"): expected token \'end of print statement\', got \'b\''),
        (("x", "{{ name"), 'body, paragraph 2 ("{{ name"): a tag that begins with {{ has no }}'),
        (("{% if x", "y %}"), 'body, paragraph 1 ("{% if x"): a tag that begins with {% has no %}'),
        (("{%p for i in x %}", "{%p for j in y|none %}", "{%p endfor %}", "{%p endfor %}"),
         "body, paragraph 2 (\"{%p for j in y|none %}\"): No filter named 'none'."),
        (("{{ x|date }}", "{{ y|date }}"),
         "body, paragraph 2 (\"{{ y|date }}\"): 'soon' is not a date; give one such as"),
        (("{{ 'a' + 1 }}",), "body, paragraph 1"),
        (("{% include 'x' %}",),
         "{% include %}, {% import %} and {% extends %} are not available: a template is one file"),
        (("{% endfor %}",), "body, paragraph 1 (\"{% endfor %}\"): Encountered unknown tag 'endfor'."),
        (("{% for i in x %}", "text"), "Jinja was looking for the following tags: 'endfor'"),
        (("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",), "the template calls itself too deeply"),
        (("{{ name() }}",), "body, paragraph 1"),
    ],
)  # fmt: skip
def test_message_names_paragraph_and_tag(paragraphs, said):
    assert said in message(word_file(*paragraphs), b'{"y": "soon", "name": "x"}')


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("header", 'header, paragraph 1 ("{{ 1/0 }}"): division by zero'),
        ("footer", 'footer, paragraph 1 ("{{ 1/0 }}"): division by zero'),
        ("footnote", 'footnotes, paragraph 1 ("{{ 1/0 }}"): division by zero'),
        ("title", 'document property "title", paragraph 1 ("{{ 1/0 }}"): division by zero'),
    ],
)
def test_message_names_the_part(place, said):
    assert message(word_file("Body", **{place: "{{ 1/0 }}"})) == said


def test_same_tag_twice_is_told_apart():
    assert message(word_file("{% if ok %}{{ x.y() }}{% endif %}", "{{ x.y() }}")).startswith("body, paragraph 2 ")


def test_long_paragraph_is_cut_around_the_tag():
    said = message(word_file("word " * 100 + "{{ 1/0 }}" + " word" * 100))
    assert "{{ 1/0 }}" in said
    assert len(said) < 160


def test_loop_that_begins_in_a_cell_and_ends_outside_is_explained():
    document = Document()
    document.add_table(1, 1).cell(0, 0).text = "{% for i in [1, 2] %}x"
    document.add_paragraph("{% endfor %}")
    assert message(saved(document)).startswith("body: a loop or a condition begins in one place")


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("{#items}{name}{/items}", '"{#items}" looks like a tag of docxtemplater'),
        ("Total {/}", "docxtemplater"),
        ("{^empty} nothing", "docxtemplater"),
        ("{@rawXml}", "docxtemplater"),
        ("{%logo}", "docxtemplater"),
        ("{{#each items}}{{name}}{{/each}}", '"{{#each items}}" looks like a tag of Handlebars or Mustache'),
        ("{{/if}}", "Handlebars"),
        ("{{else}}", "Handlebars"),
        ("{{> footer}}", "Handlebars"),
        ("{{{html}}}", "Handlebars"),
        ("{{^none}}", "Handlebars"),
        ("{d.name}", '"{d.name}" looks like a tag of Carbone'),
        ("{d.items[i].price:formatC()}", "Carbone"),
        ("{d.items[i+1]}", "Carbone"),
        ("{c.now:formatD(L)}", "Carbone"),
        ("{t(Invoice)}", "Carbone"),
    ],
)
def test_foreign_dialect_is_named_with_the_paragraph(text, dialect):
    said = message(word_file("fine", f"Dear {text},"))
    assert said.startswith("body, paragraph 2 (")
    assert dialect in said
    assert "here a value is written {{ name }}" in said


def test_foreign_dialect_in_a_header_is_named():
    assert message(word_file(header="{d.name}")).startswith('header, paragraph 1 ("{d.name}"): "{d.name}" looks')


@pytest.mark.parametrize(
    "text",
    ["{{ a }} {# note #} {% if a %}{% endif %}", "{% if a -%} x {%- endif %}", "{#- note -#}", "{{ {'a': 1}.a }}",
     "css { color: red }", "{} { } {1}", "set {a, b}", "{{-a-}}", "{{a}}{{b}}", "{{ a.d }}"],
)  # fmt: skip
def test_own_tags_and_plain_braces_are_not_foreign(text):
    fill(word_file(text), b"{}", lambda _: None)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("Dear {name}", "docxtemplater"),
        ("Dear ${name}", "XDocReport or PHPWord"),
        ("Dear «Name»", "Word's mail merge"),
    ],
)
def test_likely_placeholder_is_a_warning_when_there_is_no_tag_of_ours(text, dialect):
    _, (warning,) = extract_docx_fields(word_file("a", text))
    assert warning.startswith("body, paragraph 2: ")
    assert dialect in warning
    assert extract_docx_fields(word_file("a", text, "{{ x }}"))[1] == ()


def test_file_that_is_no_document_is_refused_in_words():
    with pytest.raises(TemplateError, match="the document cannot be opened"):
        fill(b"PK\x03\x04nothing", b"{}", lambda _: None)
