"""Which fields a Canvas document asks for, and the value that each shows when nobody gives one.

A field is the `field` of a layer (its own text or image is the example), a placeholder `{{key|example}}` in a text, a
QR code or a barcode, or the key of a condition in `visible`.
"""

from collections.abc import Mapping
from typing import Any

from workers.engines.canvas.values import mentioned_fields


def extract_canvas_fields(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, example) in order of first appearance, each key once, with the first example that is not empty.

    Never raises, whatever the document: one that the engine would refuse gives the fields that can be recognised.
    """
    found: dict[str, str] = {}
    for key, example in mentioned_fields(document):
        found[key] = found.get(key) or example
    return list(found.items())
