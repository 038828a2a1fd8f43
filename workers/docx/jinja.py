"""The template language inside a .docx: Jinja2 in its sandbox, over plain JSON values, printing escaped text only.

Everything printed passes `_print`, which escapes by itself, so neither `{% autoescape false %}` nor a filter can
bring markup from data into the document. The sandbox has no limit of time or memory: those are the child's.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

# Loaded with the first mistake otherwise, when a confined child may no longer read files.
import jinja2.debug  # noqa: F401
from jinja2 import BaseLoader, ChainableUndefined, Environment, Template, TemplateRuntimeError, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from workers.docx.values import Placed, is_typed_value, keep_xml_characters

_KEPT_GLOBALS: Final = ("range", "namespace")
"""`namespace` is how a loop adds up a sum, and the sandbox closes its internals. Not kept: `lipsum` and `cycler`
lead to modules, `joiner` and `dict` are of no use here."""
_REMOVED_FILTERS: Final = ("urlize", "xmlattr", "pprint")
"""They write HTML, or the representation of Python objects."""
_MAX_COMPILED: Final = 50
"""Parts of templates; a child serves one team, which often renders one template many times."""
_NO_LOADER = "{% include %}, {% import %} and {% extends %} are not available: a template is one file"


class _NoLoader(BaseLoader):
    def get_source(self, environment: Environment, template: str) -> NoReturn:
        raise TemplateRuntimeError(_NO_LOADER)


class DocxEnvironment(SandboxedEnvironment):
    """A sandbox in which `invoice.items` is the key of that name and what is missing prints as nothing.

    One serves many renders, one after the other, and remembers the templates it has compiled: `begin` tells it
    whose values and filters are next.
    """

    def __init__(self) -> None:
        super().__init__(
            autoescape=True,
            undefined=ChainableUndefined,
            finalize=self._print,
            loader=_NoLoader(),
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
            keep_trailing_newline=True,
        )
        self._place: Callable[[Mapping[str, Any]], Placed] = _place_nothing
        self._compiled: dict[str, Template] = {}
        self.globals = {name: self.globals[name] for name in _KEPT_GLOBALS}
        for name in _REMOVED_FILTERS:
            del self.filters[name]
        self.filters["safe"] = _as_it_is
        self.filters["tojson"] = _to_json

    def begin(self, place: Callable[[Mapping[str, Any]], Placed], filters: Mapping[str, Callable[..., Any]]) -> None:
        """The next render. `place` gives the mark that stands for an image or rich text until it is in the tree."""
        self._place = place
        self.filters |= filters

    def compiled(self, source: str) -> Template:
        """The template of a source, compiled once. Raises TemplateSyntaxError."""
        if source not in self._compiled:
            if len(self._compiled) >= _MAX_COMPILED:
                self._compiled.clear()
            self._compiled[source] = self.from_string(source)
        return self._compiled[source]

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key before a method of that name: `items` is the commonest key of an invoice."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """Refuse at once; the default would print nothing, and only calling it would fail."""
        raise SecurityError(f"{attribute!r} is not available in templates")

    @pass_context  # without it Jinja would print constants itself while compiling
    def _print(self, _context: Context, value: Any) -> Markup:
        # what the template itself put together ({% set %} blocks, macros) consists of pieces that came through here
        return value if isinstance(value, Markup) else escape(self._text(value))

    def _text(self, value: Any) -> str:
        if isinstance(value, dict) and is_typed_value(value):
            value = self._place(value)
        match value:
            case bool() | dict():
                return _to_json(value)
            case str() | int() | float():
                return keep_xml_characters(str(value))
            case Placed():
                return value.mark
            case list() | tuple() | Iterator():
                return ", ".join(self._text(each) for each in value)
            case _:  # null, undefined, or a method, whose address is nobody's business
                return ""


def _place_nothing(_value: Mapping[str, Any]) -> Placed:
    return Placed("")


def _as_it_is(value: Any) -> Any:
    """`|safe` would let data write markup; text printed here needs no escaping by the author either."""
    return value


def _to_json(value: Any) -> str:
    return keep_xml_characters(json.dumps(value, ensure_ascii=False, default=lambda _: None))
