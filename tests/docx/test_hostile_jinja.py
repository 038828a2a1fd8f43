"""Payloads against Jinja2 in every place of a document that is a template. None runs, none shows an inner value."""

import io
import json
import subprocess
import sys

import pytest
from docx import Document
from word_files import complex_field, parts_of, with_body, word_file

from workers.docx.render import fill
from workers.errors import TemplateError

PAYLOADS = {
    "cycler globals": "{{ cycler.__init__.__globals__.os.popen('touch CANARY').read() }}",
    "joiner globals": "{{ joiner.__init__.__globals__.os.popen('touch CANARY').read() }}",
    "namespace globals": "{{ namespace.__init__.__globals__.os.popen('touch CANARY').read() }}",
    "lipsum globals": "{{ lipsum.__globals__.os.popen('touch CANARY').read() }}",
    "lipsum subscript": "{{ lipsum['__glo' ~ 'bals__']['os'].popen('touch CANARY').read() }}",
    "self": "{{ self.__init__.__globals__.__builtins__.open('CANARY', 'w') }}",
    "self template reference": "{{ self._TemplateReference__context.cycler.__init__.__globals__.os }}",
    "subclasses of object": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "subclasses in a loop": (
        "{% for c in [].__class__.__base__.__subclasses__() %}{% if c.__name__ == 'catch_warnings' %}"
        "{{ c()._module.__builtins__['open']('CANARY', 'w') }}{% endif %}{% endfor %}"
    ),
    "class of a number": "{{ (1).__class__.__base__ }}",
    "class of the data": "{{ data.__class__.__init__.__globals__ }}",
    "attr filter": "{{ ''|attr('__class__')|attr('__mro__') }}",
    "attr filter, name put together": "{{ ''|attr(['_'*2, 'class', '_'*2]|join) }}",
    "attr filter, escaped": "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "attr filter of format": "{{ '{0.__class__.__init__.__globals__}'|attr('format')(range) }}",
    "map by attribute": "{{ ['']|map(attribute='__class__')|list }}",
    "map attr": "{{ ['']|map('attr', '__class__')|list }}",
    "selectattr": "{{ ['']|selectattr('__class__')|map(attribute='__class__.__mro__')|list }}",
    "groupby": "{{ ['']|groupby('__class__.__mro__') }}",
    "format": "{{ '{0.__class__.__base__.__subclasses__}'.format(1) }}",
    "format_map": "{{ '{a.__class__.__mro__}'.format_map({'a': 1}) }}",
    "format through a variable": "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
    "format of escaped text": "{{ ('{0.__class__}'|e).format(1) }}",
    "request of a web framework": "{{ request.application.__globals__.__import__('os').popen('touch CANARY') }}",
    "config": "{{ config.__class__.__init__.__globals__['os'].popen('touch CANARY') }}",
    "generator frame": "{% set g = (1 for x in []) %}{{ g.gi_frame.f_globals }}",
    "generator of map": "{{ ([1]|map('string')).gi_frame.f_globals }}",
    "code of a macro": "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "environment of a macro": "{% macro m() %}{% endmacro %}{{ m._environment.globals }}",
    "context of a loop": "{% for i in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "caller": "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "include a file": "{% include '/etc/passwd' %}",
    "include what may be missing": "{% include '/etc/passwd' ignore missing %}",
    "import": "{% import '/etc/passwd' as p %}{{ p }}",
    "from import": "{% from 'os' import popen %}",
    "extends": "{% extends '/etc/passwd' %}",
    "type of a filter": "{{ 'x'.upper.__self__.__class__ }}",
    "builtins": "{{ __builtins__ }}{{ __import__('os').popen('touch CANARY') }}",
    "async reach": "{{ range.__init__.__objclass__ }}",
    "undefined": "{{ missing._undefined_exception.__init__ }}",
    "undefined, made safe to call": "{{ missing.__init__.__globals__ }}",
    "do statement": "{% do [].__class__.__base__.__subclasses__().append(1) %}",
    "number filter": "{{ 1|number(format=''.__class__) }}",
    "markup class": "{{ ('<b>'|e).__class__('<w:x>') }}",
}
LEAKS = ("class '", "<function", "built-in", "module '", " object at 0x", "root:", "subclasses", "__globals__")
PLACES = ("body", "header", "footer", "footnote", "title")


def document_with(payload: str, place: str) -> bytes:
    if place == "body":
        return word_file("First", payload)
    return word_file("Body", **{place: payload})


def printed(content: bytes) -> str:
    """Everything that a reader could see, of every part."""
    document = Document(io.BytesIO(content))
    seen = [
        part.decode() for name, part in parts_of(content).items() if name.startswith("word/") and name.endswith("ml")
    ]
    return " ".join([*seen, document.core_properties.title])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", PAYLOADS)
def test_payload_is_refused_or_prints_nothing(name, place, tmp_path):
    canary = tmp_path / "canary"
    payload = PAYLOADS[name].replace("CANARY", str(canary))
    before = printed(document_with("", place)) if place == "body" else ""
    try:
        filled, _ = fill(document_with(payload, place), b'{"data": {"a": 1}}', lambda _: None)
        seen = printed(filled)
    except TemplateError as error:
        seen = error.message.partition("): ")[2]  # what comes before quotes the payload
    assert [leak for leak in LEAKS if leak in seen and leak not in before] == []
    assert not canary.exists()


UNGUARDED = """
import sys
from docxtpl import DocxTemplate
try:
    DocxTemplate(sys.argv[1]).render({})
except Exception:
    pass
"""


@pytest.mark.parametrize("name", ["cycler globals", "joiner globals", "namespace globals", "lipsum globals"])
def test_without_the_sandbox_the_payload_runs(name, tmp_path):
    """The control: docxtpl by itself executes what is refused above."""
    canary, document = tmp_path / "canary", tmp_path / "hostile.docx"
    document.write_bytes(word_file(PAYLOADS[name].replace("CANARY", str(canary))))
    subprocess.run([sys.executable, "-c", UNGUARDED, str(document)], check=True, timeout=60)
    assert canary.exists()


@pytest.mark.parametrize("place", PLACES)
def test_data_is_never_a_template(place):
    """What data says is printed, also where one part is filled after another."""
    data = json.dumps({"name": "{{ 7 * 7 }}{% raw %}"}).encode()
    filled, _ = fill(document_with("{{ name }}", place), data, lambda _: None)
    text = printed(filled)
    assert "{{ 7 * 7 }}{% raw %}" in text
    assert "49" not in text.partition("{{ 7")[2][:40]


HOSTILE_XML = '</w:t></w:r></w:p><w:p><w:r><w:fldSimple w:instr="INCLUDETEXT x"/><w:t>"&amp;'
WAYS_TO_PRINT = {
    "plain": "{{ x }}",
    "safe": "{{ x|safe }}",
    "autoescape off": "{% autoescape false %}{{ x }}{% endautoescape %}",
    "autoescape off, safe": "{% autoescape false %}{{ x|safe ~ '' }}{% endautoescape %}",
    "set block": "{% set y %}{{ x }}{% endset %}{{ y|safe }}",
    "macro": "{% macro m(v) %}{{ v }}{% endmacro %}{{ m(x) }}",
    "joined": "{{ [x, 'y'|e]|join }}",
    "concatenated": "{{ ('<'|e) ~ x }}",
    "formatted": "{{ ('%s'|e)|format(x) }}",
    "replaced": "{{ ('a'|e)|replace('a', x) }}",
    "json": "{{ {'k': x} }}",
    "tojson": "{{ x|tojson }}",
    "list": "{{ [x] }}",
    "rich text prefix": "{{r x }}",
    "paragraph prefix": "{{p x }}",
    "rich text": "{{ x|richtext }}",
    "rich text run": "{{ [{'text': x, 'link': 'https://example.com/'}]|richtext }}",
    "key": "{{ {x: 1} }}",
    "indented": "{{ x|indent|safe }}",
    "unescaped": "{{ (x|e).unescape() }}",
}


@pytest.mark.parametrize("way", WAYS_TO_PRINT)
def test_markup_in_data_is_only_text(way):
    data = json.dumps({"x": HOSTILE_XML}).encode()
    filled, _ = fill(word_file("Before", WAYS_TO_PRINT[way]), data, lambda _: None)
    xml = parts_of(filled)["word/document.xml"]
    assert b"fldSimple w:" not in xml.replace(b"&lt;w:fldSimple w:", b"")
    assert b"&lt;w:fldSimple" in xml


@pytest.mark.parametrize("name", ["urlize", "xmlattr", "pprint"])
def test_filters_that_write_markup_or_objects_do_not_exist(name):
    with pytest.raises(TemplateError, match=f"No filter named '{name}'"):
        fill(word_file("{{ 'a'|%s }}" % name), b"{}", lambda _: None)  # noqa: UP031 - braces


def test_field_that_a_template_puts_together_is_taken_apart():
    content = with_body(word_file("a"), complex_field("INCLUDE{{ 'TEXT' }} \"/etc/passwd\""))
    filled, warnings = fill(content, b"{}", lambda _: None)
    assert b"instrText" not in parts_of(filled)["word/document.xml"]
    assert warnings == ["turned a INCLUDETEXT field into plain text: it could read files or addresses"]
