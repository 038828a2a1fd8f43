import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automette.lib.errors import InvalidValueError, MalformedRequestError
from automette.lib.json_text import MAX_DEPTH, read_json, write_json

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_what_is_written_is_what_was_read(value):
    sent = json.dumps(value).encode()
    read = read_json(sent)
    assert json.dumps(json.loads(write_json(read, field="data"))) == json.dumps(value)


@pytest.mark.parametrize("text", ['"\\u0000"', '{"\\u0000":1}', '["a",{"b":["\\u0000"]}]', '"\\\\\\u0000"'])
def test_nul_is_refused(text):
    with pytest.raises(InvalidValueError, match="contains a NUL character"):
        write_json(read_json(text.encode()), field="data")


@pytest.mark.parametrize("text", ['"\\\\u0000"', '"\\\\\\\\u0000"', '"u0000"', '"\\u0001"'])
def test_what_only_looks_like_nul_is_kept(text):
    assert json.loads(write_json(read_json(text.encode()), field="data")) == json.loads(text)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_depth_is_counted_to_the_level():
    assert write_json(json.loads(nested(MAX_DEPTH)), field="data") == nested(MAX_DEPTH)
    with pytest.raises(InvalidValueError, match=f"data: nested more than {MAX_DEPTH} levels deep"):
        write_json(json.loads(nested(MAX_DEPTH + 1)), field="data")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", r"\(line 1, column 2\)"),
        (b'{\n "a": nope}', r"\(line 2, column 7\)"),
        (b"\xff", "not UTF-8"),
        (b"NaN", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"9" * 4301, "too deeply nested or a number too long"),
        (b"[" * 100_000, "too deeply nested or a number too long"),
    ],
    ids=range(7),
)
def test_text_that_is_not_json_is_refused_with_the_place(raw, message):
    with pytest.raises(MalformedRequestError, match=message):
        read_json(raw)


def test_byte_order_mark_is_no_mistake():
    assert read_json(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise_anything_else(raw):
    with contextlib.suppress(MalformedRequestError, InvalidValueError):
        write_json(read_json(raw), field="data")
