"""Payloads against Jinja2 in every place of a document that is a template. None runs, none shows an inner value."""

import io
import json
import subprocess
import sys

import pytest
from docx import Document

from tests.docx.word_files import complex_field, escape, fill, parts_of, saved, with_body, word_file
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
INNER = (
    "<slot wrapper",
    "<method",
    "<bound method",
    "<generator",
    "<class",
    "&#39;",
    "<code",
    "{'",
    "jinja2.",
    "<TemplateModule",
)
"""Signs of the inside of a process that ordinary text may hold as well."""
LEAKS = ("class '", "<function", "built-in", "module '", " object at 0x", "root:", "subclasses", "__globals__")
PLACES = ("body", "header", "footer", "footnote", "title")
PROPERTIES = ("author", "category", "comments", "keywords", "subject")
MORE_PLACES = ("cell", "text box", "first header", *PROPERTIES)
"""For a part of the table: they go the way of the body, of a header and of the title."""


def document_with(payload: str, place: str) -> bytes:
    match place:
        case "body":
            return word_file("First", payload)
        case "text box":
            return with_body(word_file("Body"), TEXT_BOX % escape(payload))
        case "cell" | "first header":
            return made(payload, place)
        case property_ if property_ in PROPERTIES:
            return made(payload, property_)
    return word_file("Body", **{place: payload})


def made(payload: str, place: str) -> bytes:
    document = Document()
    document.add_paragraph("Body")
    if place == "cell":
        document.add_table(1, 1).cell(0, 0).text = payload
    elif place == "first header":
        document.sections[0].different_first_page_header_footer = True
        document.sections[0].first_page_header.paragraphs[0].text = payload
    else:
        setattr(document.core_properties, place, payload)
    return saved(document)


TEXT_BOX = (
    '<w:p><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox><w:txbxContent><w:p><w:r><w:t>%s'
    "</w:t></w:r></w:p></w:txbxContent></v:textbox></v:shape></w:pict></w:r></w:p>"
)


def printed(content: bytes) -> str:
    """Everything that a reader could see, of every part."""
    document = Document(io.BytesIO(content))
    seen = [
        part.decode() for name, part in parts_of(content).items() if name.startswith("word/") and name.endswith("ml")
    ]
    properties = (getattr(document.core_properties, name) for name in ("title", *PROPERTIES))
    return " ".join([*seen, *properties])


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


@pytest.mark.parametrize("place", MORE_PLACES)
@pytest.mark.parametrize("name", ["cycler globals", "subclasses of object", "format", "attr filter"])
def test_payload_elsewhere_is_refused_or_prints_nothing(name, place, tmp_path):
    test_payload_is_refused_or_prints_nothing(name, place, tmp_path)


UNGUARDED = """
import sys
from docxtpl import DocxTemplate
for document in sys.argv[1:]:
    try:
        DocxTemplate(document).render({})
    except Exception:
        pass
"""
RUNS = ("cycler globals", "joiner globals", "namespace globals", "lipsum globals", "lipsum subscript")
LEFT_ALONE = {"category", "keywords"}
"""Properties that docxtpl does not fill in."""


def test_without_the_sandbox_the_payload_runs_in_every_place(tmp_path):
    """The control: docxtpl by itself executes what is refused above."""
    canaries = {}
    for name in RUNS:
        for place in {*PLACES, *MORE_PLACES} - LEFT_ALONE:
            canary = tmp_path / f"{name} {place}".replace(" ", "-")
            canaries[canary] = canary.with_suffix(".docx")
            # a property holds 255 characters, so the name is short
            canaries[canary].write_bytes(document_with(PAYLOADS[name].replace("CANARY", canary.name), place))
    command = [sys.executable, "-c", UNGUARDED, *map(str, canaries.values())]
    subprocess.run(command, check=True, timeout=110, cwd=tmp_path)
    assert [canary.name for canary in canaries if not canary.exists()] == []


PLAIN = """
import json, sys
from jinja2 import Environment, FileSystemLoader
from jinja2.ext import do, loopcontrols
found = {}
environment = Environment(extensions=[do, loopcontrols], loader=FileSystemLoader('/'))
for name, payload in json.load(sys.stdin).items():
    try:
        found[name] = environment.from_string(payload).render(data={"a": 1})
    except Exception as error:
        found[name] = ""
print(json.dumps(found))
"""
HARMLESS_ANYWHERE = {
    "attr filter of format", "builtins", "caller", "class of the data", "config", "do statement", "from import",
    "generator frame", "markup class", "number filter", "request of a web framework",
}  # fmt: skip
"""What plain Jinja refuses or lacks: in the table because others recommend trying it."""


def test_without_the_sandbox_the_payload_reaches_what_it_wants(tmp_path):
    """The control of the whole table: plain Jinja shows an inner value, or the canary appears."""
    payloads = {name: payload.replace("CANARY", name.replace(" ", "-")) for name, payload in PAYLOADS.items()}
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], input=json.dumps(payloads), capture_output=True, text=True, check=True,
        timeout=110, cwd=tmp_path,
    )  # fmt: skip
    shown = json.loads(done.stdout)
    ran = {path.name for path in tmp_path.iterdir()}
    works = {
        name for name in PAYLOADS
        if name.replace(" ", "-") in ran or any(leak in shown[name] for leak in (*LEAKS, *INNER))
    }  # fmt: skip
    assert PAYLOADS.keys() - works == HARMLESS_ANYWHERE
    assert len(works) >= 25


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
