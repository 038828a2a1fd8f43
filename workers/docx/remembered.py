"""What was found out about parts of a document that are the same from render to render: styles, headers, numbering.

A child has one team for life, so nobody learns from the time a render takes what another team has rendered.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Remembered(Generic[Found]):
    """The last `size` findings by the content that they are about (and `about`, where that is not all)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: OrderedDict[tuple[bytes, object], Found] = OrderedDict()

    def get(self, content: bytes, find: Callable[[bytes], Found], *, about: object = None) -> Found:
        """What `find` says of this content, asked only where it is not remembered."""
        key = (hashlib.blake2b(content, digest_size=16).digest(), about)
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key]
        found = self._found[key] = find(content)
        if len(self._found) > self._size:
            self._found.popitem(last=False)
        return found
