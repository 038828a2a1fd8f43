"""What a child says of a font is looked at before it is kept, and where the fonts of a server come from."""

from pathlib import Path

import pytest
import rendercv_fonts

from templates_app import engines
from templates_app.font_faces import families_of, read_faces

FACE = {"family": "Änne's Sans", "style": "italic", "weight": 250}


def test_faces_are_read_and_nothing_else_is_kept_of_them():
    assert read_faces({"faces": [{**FACE, "path": "/dev/shm/x"}], "families": ["Lie"]}) == [FACE]


def test_each_family_is_named_once_in_the_order_of_the_alphabet():
    assert families_of([{"family": name} for name in ("b", "C", "a", "b")]) == ["a", "b", "C"]


@pytest.mark.parametrize(
    "faces",
    [
        None,
        [],
        {},
        "Sans",
        [None],
        ["Sans"],
        [{}],
        [{**FACE, "family": ""}],
        [{**FACE, "family": "A" * 101}],
        [{**FACE, "family": "A\0"}],
        [{**FACE, "family": "A\ud800"}],
        [{**FACE, "family": "A\u202e"}],
        [{**FACE, "family": ["A"]}],
        [{**FACE, "style": "bold"}],
        [{**FACE, "style": None}],
        [{**FACE, "style": ["italic"]}],
        [{**FACE, "weight": 0}],
        [{**FACE, "weight": 1001}],
        [{**FACE, "weight": "400"}],
        [{**FACE, "weight": 4e2}],
        [FACE] * 10_001,
    ],
    ids=lambda faces: repr(faces)[:40],
)
def test_answer_of_another_shape_is_no_answer(faces):
    with pytest.raises(ValueError, match="not a"):
        read_faces({"faces": faces})


def test_fonts_of_the_installation_go_before_the_operators(settings, tmp_path):
    settings.FONT_PATHS = [tmp_path / "missing", tmp_path]
    assert engines.font_paths() == [Path(rendercv_fonts.__file__).parent, tmp_path]
