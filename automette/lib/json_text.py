"""Reading and keeping JSON exactly: what a caller sent is stored and given back unchanged.

PostgreSQL's `jsonb` sorts keys and refuses NUL; so values are kept as JSON text, written once here. Key order,
integers of any size and the difference between `1` and `1.0` survive.
"""

import json
import re
from typing import Any, Final

from automette.lib.errors import InvalidValueError, MalformedRequestError

_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
MAX_DEPTH: Final = 50


def _refuse_constant(name: str) -> float:
    raise MalformedRequestError(f"The body is not valid JSON: {name} is not a JSON number.")


def read_json(raw: bytes) -> Any:
    """Parse a request body; raise MalformedRequestError with the place of the mistake."""
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise MalformedRequestError("The body is not valid JSON: it is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        raise MalformedRequestError(
            f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from error
    except (RecursionError, ValueError) as error:  # nesting too deep, or an integer of more than 4,300 digits
        raise MalformedRequestError("The body is not valid JSON: too deeply nested or a number too long.") from error


def write_json(value: Any, *, field: str) -> str:
    """Return the JSON text to store; raise InvalidValueError for what neither a database nor a page can hold."""
    if _depth_exceeds(value, MAX_DEPTH):
        raise InvalidValueError(f"{field}: nested more than {MAX_DEPTH} levels deep.")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except ValueError as error:  # includes UnicodeEncodeError
        reason = "half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else "a number out of range"
        raise InvalidValueError(f"{field}: contains {reason}.") from error
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidValueError(f"{field}: contains a NUL character (\\u0000), which no document can hold.")
    return text


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
