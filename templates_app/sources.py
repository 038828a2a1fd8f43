"""What a template's source may be, by engine: Typst is text, a Canvas document is a JSON object, DOCX is a file."""

from typing import Any, Final

from automette.lib.errors import InvalidValueError, MalformedRequestError
from automette.lib.json_text import read_json, write_json
from templates_app.canvas_fields import extract_canvas_fields
from templates_app.fields import extract_typst_fields
from templates_app.models import Engine
from workers.engines.canvas.schema import check_document
from workers.errors import TemplateError

READY_ENGINES: Final = (Engine.TYPST, Engine.CANVAS, Engine.DOCX)
NO_WORD_IN_JSON: Final = (
    "A docx template is a Word file: send it as multipart/form-data with `name`, `engine` and `file`."
)


def source_text(engine: str, source: str | dict[str, Any]) -> str:
    """Return the source as it is kept. A Canvas document is checked, and may come as an object or as its text.

    Raises InvalidValueError for a source of the wrong kind, a Word file among them, and a Canvas document that
    could not be drawn.
    """
    if engine == Engine.DOCX:
        raise InvalidValueError(f"engine: {NO_WORD_IN_JSON}")
    if engine == Engine.TYPST:
        if not isinstance(source, str):
            raise InvalidValueError("source: Must be a string of Typst.")
        return source
    document = _parsed(source) if isinstance(source, str) else source
    text = write_json(document, field="source")
    try:
        check_document(document)
    except TemplateError as error:
        diagnostic = {"file": None, "line": None, "column": None, "message": error.message, "hint": None}
        raise InvalidValueError(f"source: {error.message}", extra={"diagnostics": [diagnostic]}) from error
    return text


def _parsed(text: str) -> Any:
    try:
        return read_json(text.encode())
    except MalformedRequestError as error:
        raise InvalidValueError(error.message.replace("The body", "source:", 1)) from error


def source_fields(engine: str, text: str) -> list[dict[str, str]]:
    """Return the fields that a kept source declares, each with its example, in order of appearance."""
    if engine == Engine.CANVAS:
        return [{"key": key, "example": example} for key, example in extract_canvas_fields(read_json(text.encode()))]
    return [{"key": field.key, "example": field.example} for field in extract_typst_fields(text)]
