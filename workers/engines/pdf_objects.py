"""The objects of a PDF by their numbers, as far as asking it about itself needs them: dictionaries and metadata.

For PDFs that Typst or LibreOffice wrote: a classic cross-reference table, dictionaries uncompressed. Strings are read
as strings, so that a file name or a title in a dictionary is never taken for one of its entries.
"""

import re
from collections.abc import Mapping

from workers.engines.pdf import UnreadablePdfError

_TAIL_BYTES = 2048
_START = re.compile(rb"startxref\s+(\d{1,12})\s+%%EOF\s*$")
_SECTION = re.compile(rb"xref\s+0 (\d{1,8})\s*\n")
_ENTRY = re.compile(rb"(\d{10}) \d{5} n")
_ENTRY_BYTES = 20
_OBJECT = re.compile(rb"\s*(\d+) 0 obj\s*(?=<<)")
_STREAM = re.compile(rb"\s*stream\r?\n")
_REFERENCE = re.compile(rb"(\d{1,8}) 0 R")
_TOKEN = re.compile(rb"\s*(<<|>>|\[|\]|<[0-9A-Fa-f\s]*>|\(|/[^\s()<>\[\]{}/%]*|[^\s()<>\[\]{}/%]+)")
_IN_STRING = re.compile(rb"\\.|[()]", re.DOTALL)
_NESTING = {b"<<": 1, b"[": 1, b">>": -1, b"]": -1, b"(": 1, b")": -1}
_MAX_DICTIONARY_BYTES = 1 << 20


class PdfObjects:
    """A PDF opened at its trailer. Everything here raises UnreadablePdfError where the file is laid out otherwise."""

    def __init__(self, pdf: bytes) -> None:
        self._pdf = pdf
        tail = max(0, len(pdf) - _TAIL_BYTES)
        start = _START.search(pdf, tail)
        section = _SECTION.match(pdf, int(start[1])) if start else None
        trailer = pdf.rfind(b"trailer", tail)
        if section is None or trailer < 0:
            raise UnreadablePdfError("there is no cross-reference table")
        self._table, self._count = section.end(), int(section[1])
        self.trailer = _parse(pdf, trailer + len(b"trailer"))[0]
        self.catalogue = self.entries(self.trailer.get("Root", b""))

    def entries(self, reference: bytes) -> dict[str, bytes]:
        """The entries of the dictionary that `12 0 R` names, each value as it is written in the file."""
        return self._open(reference)[0]

    def stream(self, reference: bytes) -> tuple[int, int]:
        """Where the content of an uncompressed stream begins and ends."""
        entries, end = self._open(reference)
        begin, length = _STREAM.match(self._pdf, end), entries.get("Length", b"")
        if begin is None or "Filter" in entries or not length.isdigit():
            raise UnreadablePdfError("there is no uncompressed stream")
        return begin.end(), min(begin.end() + int(length), len(self._pdf))

    def place(self, reference: bytes) -> tuple[int, int]:
        """Where a dictionary begins and ends."""
        begin = self._offset(reference)
        return begin, _parse(self._pdf, begin)[1]

    def value(self, entries: Mapping[str, bytes], key: str) -> dict[str, bytes]:
        """An entry that is a dictionary, written in place or elsewhere; empty when there is none."""
        written = entries.get(key, b"<<>>")
        return _parse(written, 0)[0] if written.startswith(b"<<") else self.entries(written)

    def _open(self, reference: bytes) -> tuple[dict[str, bytes], int]:
        return _parse(self._pdf, self._offset(reference))

    def _offset(self, reference: bytes) -> int:
        number = _REFERENCE.fullmatch(reference)
        if number is None or int(number[1]) >= self._count:
            raise UnreadablePdfError("a reference leads nowhere")
        entry = _ENTRY.match(self._pdf, self._table + int(number[1]) * _ENTRY_BYTES)
        begin = _OBJECT.match(self._pdf, int(entry[1])) if entry else None
        if begin is None or int(begin[1]) != int(number[1]):
            raise UnreadablePdfError("the cross-reference table is damaged")
        return begin.end()


def parse_dictionary(pdf: bytes, start: int) -> dict[str, bytes]:
    """The entries of the dictionary that is written at `start`. Raises UnreadablePdfError."""
    return _parse(pdf, start)[0]


def _parse(pdf: bytes, start: int) -> tuple[dict[str, bytes], int]:
    """The entries of a dictionary and where it ends."""
    entries: dict[str, bytes] = {}
    key, value_start, depth, position = None, start, 0, start
    while token := _TOKEN.match(pdf, position):
        text, begin, end = token[1], token.start(1), token.end()
        if depth == 1 and (text == b">>" or (text.startswith(b"/") and (key is None or begin > value_start))):
            if key is not None:
                entries.setdefault(key, pdf[value_start:begin].strip())
            key = text[1:].decode("latin-1")
            if text == b">>":
                return entries, end
            value_start = _next(pdf, end)
        elif text == b"(":
            end = _end_of_string(pdf, end)
        else:
            depth += _NESTING.get(text, 0)
        position = end
        if depth < 1 or position - start > _MAX_DICTIONARY_BYTES:
            break
    raise UnreadablePdfError("there is no dictionary")


def _next(pdf: bytes, position: int) -> int:
    token = _TOKEN.match(pdf, position)
    return token.start(1) if token else position


def _end_of_string(pdf: bytes, position: int) -> int:
    depth = 1
    while depth:
        mark = _IN_STRING.search(pdf, position)
        if mark is None:
            raise UnreadablePdfError("a string does not end")
        depth += _NESTING.get(mark[0], 0)
        position = mark.end()
    return position
