"""How data becomes a signature, to the byte."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automette.lib.errors import InvalidValueError
from ondemand.signatures import SignedQuery, canonical_data, data_parameter, is_signed, read_query, sign

KEY = bytes(range(32))
TOKEN = "Yx4kPz8qWm2nRv6t"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
DATA = st.dictionaries(TEXT, TEXT, max_size=8)


def unpadded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_known_answer():
    data = data_parameter(canonical_data({"name": "Ada", "b": "ü", "a": ""}))
    assert data == unpadded('{"a":"","b":"ü","name":"Ada"}'.encode())
    assert data == "eyJhIjoiIiwiYiI6IsO8IiwibmFtZSI6IkFkYSJ9"
    signature = sign(key=KEY, token=TOKEN, format="png", data=data)
    said = f"Yx4kPz8qWm2nRv6t\npng\n{data}".encode()
    assert signature == unpadded(hmac.new(KEY, said, hashlib.sha256).digest())
    assert len(signature) == 43


@given(DATA, st.randoms(use_true_random=False))
def test_order_of_keys_does_not_matter(data, random):
    items = list(data.items())
    random.shuffle(items)
    assert data_parameter(canonical_data(dict(items))) == data_parameter(canonical_data(data))


@given(DATA, DATA)
def test_other_data_is_another_parameter(one, other):
    same = data_parameter(canonical_data(one)) == data_parameter(canonical_data(other))
    assert same == (one == other)


@given(DATA)
def test_parameter_holds_the_data_and_fits_the_query(data):
    parameter = data_parameter(canonical_data(data))
    padded = parameter + "=" * (-len(parameter) % 4)
    assert json.loads(base64.urlsafe_b64decode(padded)) == data
    signature = sign(key=KEY, token=TOKEN, format="pdf", data=parameter)
    query = read_query(f"data={parameter}&s={signature}")
    assert query == SignedQuery(parameter, signature)
    assert is_signed(query, key=KEY, token=TOKEN, format="pdf")


@pytest.mark.parametrize(
    "changed",
    [{"key": bytes(32)}, {"token": TOKEN[::-1]}, {"format": "png"}, {"data": "e31"}],
    ids=["key", "token", "format", "data"],
)
def test_signature_covers_everything(changed):
    signed = {"key": KEY, "token": TOKEN, "format": "pdf", "data": "e30"}
    asked = {**signed, **changed}
    query = SignedQuery(asked.pop("data"), sign(**signed))
    assert not is_signed(query, **asked)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1, "data.price: Must be a string."),
        (None, "data.price: Must be a string."),
        (True, "data.price: Must be a string."),
        ([], "data.price: Must be a string."),
        ({}, "data.price: Must be a string."),
        ("\0", "data: contains a NUL character (\\u0000), which no document can hold."),
        ("\ud800", "data: contains half of a surrogate pair."),
    ],
)
def test_only_strings_can_be_signed(value, sentence):
    with pytest.raises(InvalidValueError) as refused:
        canonical_data({"name": "Ada", "price": value})
    assert refused.value.message == sentence


def test_long_key_is_named_by_its_beginning():
    with pytest.raises(InvalidValueError) as refused:
        canonical_data({"k" * 5000: 1})
    assert refused.value.message == f"data.{'k' * 100}: Must be a string."


S = "A" * 43


@pytest.mark.parametrize(
    "query",
    [
        "",
        "data=e30",
        f"s={S}",
        f"s={S}&data=e30",
        f"data=&s={S}",
        f"data=e30&s={S}&",
        f"&data=e30&s={S}",
        f"data=e30&s={S}A",
        f"data=e30&s={S[1:]}",
        f"data=e30&s={S}=",
        f"data=e30==&s={S}",
        f"data=e30&data=e30&s={S}",
        f"data=e30&s={S}&s={S}",
        f"data=e30&s={S}&utm_source=x",
        f"utm_source=x&data=e30&s={S}",
        f"data=e%330&s={S}",
        f"%64ata=e30&s={S}",
        f"data=e30;s={S}",
        f"data=e30&s={S}\n",
        f"data=e30\n&s={S}",
        f"data=e3ü&s={S}",
        f"data=e30&s={chr(0xFF11) * 43}",
        f"data=e/0&s={S}",
        f"data=e+0&s={S}",
        f"DATA=e30&s={S}",
    ],
)
def test_any_other_form_of_a_query_is_none(query):
    assert read_query(query) is None
