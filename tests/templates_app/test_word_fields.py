import pytest

from automette.lib.errors import InvalidValueError
from templates_app.word_fields import MAX_FIELDS, merge_fields, read_found

FIELD = {"key": "due_date", "label": "Due date", "type": "date", "required": False, "example": "2026-04-22"}


def test_what_the_author_leaves_out_comes_from_the_document():
    assert merge_fields([FIELD], [{"key": "due_date", "required": True}]) == [{**FIELD, "required": True}]
    assert merge_fields([FIELD], [{"key": "due_date", "type": "text", "example": ""}]) == [
        {**FIELD, "type": "text", "example": ""}
    ]


def test_authored_key_that_the_document_lacks_is_a_text():
    assert merge_fields([FIELD], [{"key": "file_name"}]) == [
        {"key": "file_name", "label": "File name", "type": "text", "required": False, "example": ""},
        FIELD,
    ]


@pytest.mark.parametrize("key", ["_", "__", "ü", "9"])
def test_every_key_has_a_label(key):
    assert merge_fields([], [{"key": key}])[0]["label"]


def test_key_given_twice_and_too_many_fields_are_refused():
    with pytest.raises(InvalidValueError, match="the key a is given twice"):
        merge_fields([], [{"key": "a"}, {"key": "a"}])
    many = [{**FIELD, "key": str(number)} for number in range(MAX_FIELDS)]
    assert len(merge_fields(many, [{"key": "0"}])) == MAX_FIELDS
    with pytest.raises(InvalidValueError, match=r"at most 1,000 fields"):
        merge_fields(many, [{"key": "one more"}])


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        "text",
        [1],
        [{}],
        [{**FIELD, "type": "image"}],
        [{**FIELD, "required": "no"}],
        [{**FIELD, "key": 5}],
        [FIELD, {**FIELD, "example": None}],
    ],
)
def test_findings_of_another_shape_are_not_believed(value):
    with pytest.raises(ValueError, match="not a list of fields"):
        read_found(value)


def test_findings_are_made_storable_and_bounded():
    found = read_found([{**FIELD, "key": "a\0b", "example": "\ud800" * 2000, "more": object()}] * 5000)
    assert len(found) == MAX_FIELDS + 1
    assert found[0] == {**FIELD, "key": "ab", "example": "?" * 1000}
