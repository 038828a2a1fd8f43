"""What a child remembers from one render to the next: prepared pictures and shadows.

In a bulk job the photograph and the shadows are the same a thousand times. A child has one team for life, so nobody
learns from the time a render takes what another team has drawn.
"""

from collections import OrderedDict
from collections.abc import Hashable


class PictureCache:
    """SVG files by what they were made from; those least recently used go first. Sizes are bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        """The picture of this key, or None."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, picture: bytes) -> None:
        """Remember a picture; a key always means the same one."""
        if key in self._kept:
            return
        self._kept[key] = picture
        self._bytes += len(picture)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.popitem(last=False)[1])
