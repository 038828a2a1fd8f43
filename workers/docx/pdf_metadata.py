"""What LibreOffice (7.4) writes about a PDF, put right where it stands, so that nothing in the file moves.

- Dates. It asks the clock and takes none, so those of the job replace them; a date is as long as any other. Bytes
  still differ from render to render: in the file's identifier and in the date inside every embedded font.
- The level of PDF/A-1. It says `A` whatever it was asked for, and then leaves the tags out of many documents,
  without which there is no level A.
- PDF/UA inside PDF/A. Every property that PDF/A does not know has to be described (ISO 19005-2, 6.6.2.3), and
  `pdfuaid:part` is not. The description goes into the padding that metadata has for being changed in place.
"""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final

from workers.engines.option_checks import MAX_TIMESTAMP
from workers.engines.pdf import UnreadablePdfError
from workers.engines.pdf_objects import PdfObjects

_INFO_DATE = re.compile(rb"/(?:CreationDate|ModDate)\s*\(D:(\d{14})(Z|[+-]\d\d'\d\d)")
_METADATA_DATE = re.compile(
    rb"<xmp:(?:Create|Modify|Metadata)Date>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(Z|[+-]\d\d:\d\d)</xmp:"
)
_INFO_FORMAT: Final = "%Y%m%d%H%M%S"
_METADATA_FORMAT: Final = "%Y-%m-%dT%H:%M:%S"
_DAY: Final = 86_400
_LEVEL_A = re.compile(rb"(?<=<pdfaid:part>1</pdfaid:part>)(\s*<pdfaid:conformance>)A(?=</pdfaid:conformance>)")
_PADDING = re.compile(rb"\s*(?=<\?xpacket end=)")
_ACCESSIBLE: Final = b"http://www.aiim.org/pdfua/ns/id/"
_DESCRIPTION: Final = (
    b'<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"'
    b' xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#"'
    b' xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#"><pdfaExtension:schemas><rdf:Bag>'
    b'<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>PDF/UA identification</pdfaSchema:schema>'
    b"<pdfaSchema:namespaceURI>" + _ACCESSIBLE + b"</pdfaSchema:namespaceURI>"
    b"<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix><pdfaSchema:property><rdf:Seq>"
    b'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>part</pdfaProperty:name>'
    b"<pdfaProperty:valueType>Integer</pdfaProperty:valueType><pdfaProperty:category>internal</pdfaProperty:category>"
    b"<pdfaProperty:description>Part of ISO 14289 that the file follows</pdfaProperty:description></rdf:li>"
    b"</rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>"
)
_END: Final = b"</rdf:RDF>"


def correct_metadata(pdf: bytes, standards: Sequence[str], timestamp: int) -> bytes:
    """The PDF, dated `timestamp` (UNIX seconds), with metadata that suit the `standards` that were asked for.

    A PDF that cannot be read is given back as it is; whether it says what it should is for `confirm_standards`.
    """
    try:
        objects = PdfObjects(pdf)
        info = objects.place(objects.trailer["Info"]) if "Info" in objects.trailer else (0, 0)
        stream = objects.stream(objects.catalogue["Metadata"]) if "Metadata" in objects.catalogue else (0, 0)
    except UnreadablePdfError:
        return pdf
    corrected = bytearray(pdf)
    corrected[slice(*info)] = _dated(pdf[slice(*info)], _INFO_DATE, _INFO_FORMAT, timestamp)
    metadata = _dated(pdf[slice(*stream)], _METADATA_DATE, _METADATA_FORMAT, timestamp)
    if "a-1b" in standards:
        metadata = _LEVEL_A.sub(rb"\1B", metadata)
    if "ua-1" in standards and any(name.startswith("a-") for name in standards):
        metadata = _with_description(metadata)
    corrected[slice(*stream)] = metadata
    return bytes(corrected)


def _dated(text: bytes, pattern: re.Pattern[bytes], form: str, timestamp: int) -> bytes:
    dated = bytearray(text)
    for found in pattern.finditer(text):
        dated[slice(*found.span(1))] = _local(timestamp, found[2]).strftime(form).encode()
    return bytes(dated)


def _local(timestamp: int, zone: bytes) -> dt.datetime:
    """The time in the zone that LibreOffice took for its own: `Z`, `+01'00` or `+01:00`."""
    ahead = 0 if zone == b"Z" else int(zone[:1] + b"1") * (60 * int(zone[1:3]) + int(zone[4:6]))
    held = max(_DAY, min(timestamp, MAX_TIMESTAMP - _DAY)) if ahead else timestamp  # or it would leave the calendar
    return dt.datetime.fromtimestamp(held, dt.UTC) + dt.timedelta(minutes=ahead)


def _with_description(metadata: bytes) -> bytes:
    """The metadata, as long as before. Where there is no room for the description they stay as they are."""
    padding = _PADDING.search(metadata)
    if b"<pdfaSchema:namespaceURI>" + _ACCESSIBLE in metadata or _END not in metadata or padding is None:
        return metadata
    if len(padding[0]) < len(_DESCRIPTION):
        return metadata
    head, _, rest = metadata[: padding.start()].partition(_END)
    left = padding[0][len(_DESCRIPTION) :]
    return b"".join((head, _DESCRIPTION, _END, rest, left, metadata[padding.end() :]))
