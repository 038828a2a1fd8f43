"""What an inspection found in a font file: the child has read a stranger's file, so its answer is looked at twice."""

from collections.abc import Mapping
from typing import Any, Final

STYLES: Final = ("normal", "italic", "oblique")
_MAX_NAME: Final = 100
_MAX_FACES: Final = 10_000  # of a server with every font there is; a file that is taken here has one
_MAX_WEIGHT: Final = 1000

Face = dict[str, Any]


def read_faces(found: Mapping[str, Any]) -> list[Face]:
    """Return family, style and weight of each face. Raises ValueError when that is not what was found."""
    faces = found.get("faces")
    if not isinstance(faces, list) or not 0 < len(faces) <= _MAX_FACES:
        raise ValueError("not a list of faces")
    return [_read_face(face) for face in faces]


def families_of(faces: list[Face]) -> list[str]:
    """Return each family once, in the order of the alphabet."""
    return sorted({face["family"] for face in faces}, key=str.casefold)


def _read_face(face: Any) -> Face:
    if not isinstance(face, dict):
        raise ValueError("not a face")  # noqa: TRY004 (an answer of the wrong shape, not a mistake of ours)
    family, style, weight = face.get("family"), face.get("style"), face.get("weight")
    if not isinstance(family, str) or not family.isprintable() or not 0 < len(family) <= _MAX_NAME:
        raise ValueError("not a name")
    if style not in STYLES or not isinstance(weight, int) or not 0 < weight <= _MAX_WEIGHT:
        raise ValueError("not a style or a weight")
    return {"family": family, "style": style, "weight": weight}
