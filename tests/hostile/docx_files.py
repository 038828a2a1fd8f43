"""Hostile Word files, and what becomes of each: refused with a sentence, or cleaned with a warning.

Made for a `Bait`: what a document that had its way would fetch or show. Used at the level of `workers.docx` and, one
by one, through the API.
"""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docx.word_files import (
    RELATIONSHIPS,
    WORD,
    changed,
    complex_field,
    packed,
    parts_of,
    with_body,
    with_part,
    with_relationship,
    word_file,
)
from tests.hostile.images import DISGUISES, TOO_LARGE
from tests.hostile.typst_files import zeros

REFUSED, CLEANED, KEPT = "refused", "cleaned", "kept"
HONEST: Final = word_file("Dear {{ name }}", header="Ours", footer="Page", title="Letter")
MACRO_TYPE: Final = "application/vnd.ms-word.document.macroEnabled.main+xml"
MAIN_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
BOMB_BYTES: Final = 90 << 20
SECRET: Final = "the bait of this test"
_DRAWING: Final = "http://schemas.openxmlformats.org/drawingml/2006"


@dataclass(frozen=True, slots=True)
class Bait:
    """`port` is listened on; `path` is a file that holds SECRET, `picture` one that holds a picture."""

    port: int
    path: Path
    picture: Path

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class HostileDocx:
    """`said` is in the message of what is refused, or in a warning of what is cleaned."""

    make: Callable[[Bait], bytes]
    outcome: str
    said: str = ""


def with_picture(target: str, *, linked: bool = True, content: bytes = HONEST) -> bytes:
    """A picture in the text, by its address or by the name of its part."""
    attribute = "link" if linked else "embed"
    drawing = (
        f'<w:p><w:r><w:drawing><wp:inline xmlns:wp="{_DRAWING}/wordprocessingDrawing">'
        '<wp:extent cx="914400" cy="914400"/><wp:docPr id="7" name="x"/>'
        f'<a:graphic xmlns:a="{_DRAWING}/main"><a:graphicData uri="{_DRAWING}/picture">'
        f'<pic:pic xmlns:pic="{_DRAWING}/picture"><pic:nvPicPr><pic:cNvPr id="7" name="x"/>'
        "<pic:cNvPicPr/></pic:nvPicPr><pic:blipFill>"
        f'<a:blip xmlns:r="{RELATIONSHIPS}" r:{attribute}="rIdX"/><a:stretch><a:fillRect/></a:stretch>'
        '</pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="914400" cy="914400"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic>'
        "</wp:inline></w:drawing></w:r></w:p>"
    )
    return with_relationship(with_body(content, drawing), "image", target, external=linked)


def with_media(name: str, picture: bytes, content_type: str) -> bytes:
    """A picture that the file holds itself."""
    content = with_part(HONEST, f"word/media/{name}", picture, content_type)
    return with_picture(f"media/{name}", linked=False, content=content)


def with_alt_chunk(part: bytes, name: str, content_type: str) -> bytes:
    content = with_relationship(with_part(HONEST, f"word/{name}", part, content_type), "aFChunk", f"/word/{name}")
    return with_body(content, f'<w:altChunk xmlns:r="{RELATIONSHIPS}" r:id="rIdX"/>')


def with_field(instruction: str) -> bytes:
    return with_body(HONEST, complex_field(instruction))


def with_xml(part: str, text: str) -> bytes:
    """The honest file with another content for one part."""
    return changed(HONEST, lambda parts: parts.update({part: text.encode()}))


def with_doctype(part: str, doctype: str, shown: str = "&e;") -> bytes:
    """The honest file with a document type in front of a part, and its first text replaced."""

    def change(parts: dict[str, bytes]) -> None:
        declaration, _, rest = parts[part].decode().rpartition("?>")
        rest = rest.replace("Dear {{ name }}", shown)
        parts[part] = f"{declaration}?>{doctype}{rest}".encode()

    return changed(HONEST, change)


def with_processing(instruction: str) -> bytes:
    """The honest file with an instruction before the root of its main part."""

    def change(parts: dict[str, bytes]) -> None:
        main = parts["word/document.xml"]
        parts["word/document.xml"] = main.replace(b"<w:document", instruction.encode() + b"<w:document", 1)

    return changed(HONEST, change)


def with_entry(name: str, content: bytes, mode: int = 0) -> bytes:
    """The honest file with one more entry, under a name that no library would give it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, honest in parts_of(HONEST).items():
            archive.writestr(part, honest)
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return target.getvalue()


def overlapping_bomb() -> bytes:
    """Many entries that are all the same bytes of the file, after David Fifield's bomb."""
    kernel = zeros(8 << 20)[2:-4]  # deflated, without zlib's head and checksum
    target = io.BytesIO(with_entry("word/media/0", b"x"))
    with zipfile.ZipFile(target) as archive:
        end, count = archive.start_dir, len(archive.infolist())
    whole = target.getvalue()
    directory = whole[end : whole.rindex(b"PK\x05\x06")]
    name = b"word/media/a000"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(kernel), 8 << 20, len(name), 0) + name + kernel
    extra = b"".join(
        struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(kernel), 8 << 20, len(name), 0, 0, 0, 0, 0, end
        )
        + b"word/media/a%03d" % number
        for number in range(500)
    )
    directory += extra
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count + 500, count + 500, len(directory), end + len(local), 0)
    return whole[:end] + local + directory + tail


_ENTITY_FILE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file://{path}">]>'
_LAUGHS = '<!DOCTYPE x [<!ENTITY e0 "ha">' + "".join(
    f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(8)
) + "]>"  # fmt: skip
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How files of Word 97, macros and embedded objects begin."""
_OLE = "application/vnd.openxmlformats-officedocument.oleObject"
_HTML = "<html><body>{secret}<img src='{web}/page.png'></body></html>"


def _html(bait: Bait) -> bytes:
    return _HTML.format(secret=SECRET, web=bait.web).encode()


def _ole(part: str, kind: str, content_type: str = _OLE) -> bytes:
    content = with_part(HONEST, f"word/embeddings/{part}", _COMPOUND + bytes(512), content_type)
    return with_relationship(content, kind, f"embeddings/{part}")


def _docm(_: Bait) -> bytes:
    return changed(
        with_part(HONEST, "word/vbaProject.bin", _COMPOUND, "application/vnd.ms-office.vbaProject"),
        lambda parts: parts.update(
            {"[Content_Types].xml": parts["[Content_Types].xml"].replace(MAIN_TYPE.encode(), MACRO_TYPE.encode())}
        ),
    )


NETWORK: Final = {
    "linked image over http": HostileDocx(
        lambda bait: with_picture(f"{bait.web}/image.png"), CLEANED, "removed the linked image to 'http://127.0.0.1"),
    "linked image of this machine": HostileDocx(
        lambda bait: with_picture(f"file://{bait.picture}"), CLEANED, "removed the linked image to 'file://"),
    "linked image on a share": HostileDocx(
        lambda _: with_picture("\\\\127.0.0.1\\share\\x.png"), CLEANED, "removed the linked image"),
    "INCLUDETEXT": HostileDocx(
        lambda bait: with_field(f' INCLUDETEXT "file://{bait.path}" '), CLEANED, "turned a INCLUDETEXT field"),
    "INCLUDETEXT over http": HostileDocx(
        lambda bait: with_field(f' INCLUDETEXT "{bait.web}/text.docx" '), CLEANED, "turned a INCLUDETEXT field"),
    "INCLUDEPICTURE": HostileDocx(
        lambda bait: with_field(f' INCLUDEPICTURE "{bait.web}/field.png" \\d '), CLEANED,
        "turned a INCLUDEPICTURE field"),
    "DDEAUTO": HostileDocx(
        lambda _: with_field(' DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc" '), CLEANED,
        "turned a DDEAUTO field"),
    "attached template": HostileDocx(
        lambda bait: with_relationship(HONEST, "attachedTemplate", f"{bait.web}/t.dotm", external=True,
                                       source="word/settings.xml"), CLEANED, "removed the link to the template"),
    "sub-document": HostileDocx(
        lambda bait: with_relationship(with_body(HONEST, f'<w:subDoc xmlns:r="{RELATIONSHIPS}" r:id="rIdX"/>'),
                                       "subDocument", f"file://{bait.path}", external=True),
        CLEANED, "removed the linked subDocument"),
    "linked frame": HostileDocx(
        lambda bait: with_relationship(HONEST, "frame", f"{bait.web}/frame.html", external=True), CLEANED,
        "removed the linked frame"),
    "data source of a mail merge": HostileDocx(
        lambda bait: with_relationship(HONEST, "mailMergeSource", f"file://{bait.path}", external=True,
                                       source="word/settings.xml"), CLEANED, "the data source of a mail merge"),
    "old drawing with an address": HostileDocx(
        lambda bait: with_body(HONEST, '<w:p><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml">'
                                       '<v:imagedata '
                                       f'src="{bait.web}/old.png"/></v:shape></w:pict></w:r></w:p>'), KEPT),
    "link to a file": HostileDocx(
        lambda bait: with_relationship(HONEST, "hyperlink", f"file://{bait.path}", external=True), CLEANED,
        "removed the link to 'file://"),
    "picture in SVG with addresses": HostileDocx(
        lambda bait: with_media("x.svg", f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
                                         f'<image href="{bait.web}/svg.png" width="9" height="9"/></svg>'.encode(),
                                "image/svg+xml"), KEPT),
}  # fmt: skip
"""Documents that reach out. Cleaned, they hold no address any more; KEPT ones must be held by the child."""

OBJECTS: Final = {
    "OLE object": HostileDocx(lambda _: _ole("oleObject1.bin", "oleObject"), REFUSED, "(OLE)"),
    "OLE object by another name": HostileDocx(
        lambda _: _ole("picture.png", "oleObject", "image/png"), REFUSED, "(OLE); paste it as a picture"),
    "linked OLE object": HostileDocx(
        lambda bait: with_relationship(HONEST, "oleObject", f"file://{bait.path}", external=True), REFUSED, "(OLE)"),
    "package with a program": HostileDocx(
        lambda _: _ole("setup.exe", "package", "application/octet-stream"), REFUSED, "(OLE package)"),
    "docm": HostileDocx(_docm, REFUSED, "macros"),
    "macros in a docx": HostileDocx(
        lambda _: with_relationship(with_part(HONEST, "word/macros.bin", b"Sub AutoOpen", "image/png"),
                                    "http://schemas.microsoft.com/office/2006/relationships/vbaProject",
                                    "macros.bin"),
        REFUSED, "macros"),
    "altChunk of HTML": HostileDocx(
        lambda bait: with_alt_chunk(_html(bait), "chunk.html", "text/html"), REFUSED, "(altChunk)"),
    "altChunk of a document": HostileDocx(
        lambda _: with_alt_chunk(word_file(SECRET), "chunk.docx", MAIN_TYPE), REFUSED, "(altChunk)"),
    "altChunk of MHTML": HostileDocx(
        lambda bait: with_alt_chunk(b"MIME-Version: 1.0\nContent-Type: text/html\n\n" + _html(bait), "c.mht",
                                    "message/rfc822"), REFUSED, "(altChunk)"),
    "ActiveX": HostileDocx(
        lambda _: with_part(HONEST, "word/activeX/activeX1.xml", b"<x/>", "application/vnd.ms-office.activeX+xml"),
        REFUSED, "ActiveX"),
}  # fmt: skip

FOREIGN: Final = {
    "HTML renamed": HostileDocx(_html, REFUSED, "a web page (HTML)"),
    "HTML behind a byte order mark": HostileDocx(lambda bait: b"\xef\xbb\xbf\n" + _html(bait), REFUSED, "(HTML)"),
    "MHTML renamed": HostileDocx(
        lambda bait: b"MIME-Version: 1.0\nContent-Type: text/html\n\n" + _html(bait), REFUSED, "not a Word document"),
    "RTF renamed": HostileDocx(
        lambda bait: b'{\\rtf1{\\field{\\*\\fldinst INCLUDEPICTURE "%s/r.png"}}}' % bait.web.encode(), REFUSED,
        "RTF"),
    "flat ODF renamed": HostileDocx(
        lambda _: b'<?xml version="1.0"?><office:document xmlns:office="x"/>', REFUSED, "an XML file"),
    "database renamed": HostileDocx(
        lambda _: packed({"mimetype": b"application/vnd.oasis.opendocument.base"}), REFUSED, "OpenDocument"),
    "CSV renamed": HostileDocx(lambda _: b'=WEBSERVICE("http://127.0.0.1:9/"),1\n', REFUSED, "not a Word document"),
    "PostScript renamed": HostileDocx(lambda _: b"%!PS\n(/etc/passwd) (r) file\n", REFUSED, "not a Word document"),
}  # fmt: skip

ARCHIVES: Final = {
    "zip bomb": HostileDocx(
        lambda _: with_entry("word/media/a.bin", bytes(BOMB_BYTES)), REFUSED, "more than 100 times its size"),
    "zip bomb of many entries": HostileDocx(
        lambda _: packed({**parts_of(HONEST), **{f"word/media/{n}": bytes(19 << 20) for n in range(6)}}), REFUSED,
        "unpacks to more than 100 MB"),
    "zip bomb of overlapping entries": HostileDocx(lambda _: overlapping_bomb(), REFUSED, ""),
    "zip bomb in the main part": HostileDocx(
        lambda _: changed(HONEST, lambda parts: parts.update({"word/document.xml": b"<a>" + bytes(50 << 20)})),
        REFUSED, "more than 100 times its size"),
    "20 000 entries": HostileDocx(
        lambda _: packed({**parts_of(HONEST), **{f"x/{n}": b"" for n in range(20_000)}}), REFUSED, "2000 entries"),
    "zip slip": HostileDocx(lambda _: with_entry("../../slipped.txt", b"x"), REFUSED, "unsafe name"),
    "zip slip inside": HostileDocx(lambda _: with_entry("word/../../slipped.txt", b"x"), REFUSED, "unsafe name"),
    "zip slip with backslashes": HostileDocx(lambda _: with_entry("..\\slipped.txt", b"x"), REFUSED, "unsafe name"),
    "zip slip to the root": HostileDocx(lambda _: with_entry("/tmp/slipped.txt", b"x"), REFUSED, "unsafe name"),
    "entry that is a link": HostileDocx(
        lambda bait: with_entry("word/media/link.png", str(bait.path).encode(), stat.S_IFLNK | 0o777), KEPT),
    "half a file": HostileDocx(lambda _: HONEST[: len(HONEST) // 2], REFUSED, "damaged"),
}  # fmt: skip

XML: Final = {
    "external entity": HostileDocx(
        lambda bait: with_doctype("word/document.xml", _ENTITY_FILE.format(path=bait.path)), REFUSED,
        "document type"),
    "external entity in the properties": HostileDocx(
        lambda bait: with_doctype("docProps/core.xml", _ENTITY_FILE.format(path=bait.path)), REFUSED,
        "document type"),
    "external entity in the content types": HostileDocx(
        lambda bait: with_doctype("[Content_Types].xml", _ENTITY_FILE.format(path=bait.path)), REFUSED,
        "document type"),
    "external entity in a parameter": HostileDocx(
        lambda bait: with_doctype("word/document.xml", f'<!DOCTYPE x [<!ENTITY % p SYSTEM "{bait.web}/x.dtd"> %p;]>'),
        REFUSED, "document type"),
    "document type of the network": HostileDocx(
        lambda bait: with_doctype("word/styles.xml", f'<!DOCTYPE x SYSTEM "{bait.web}/x.dtd">'), REFUSED,
        "document type"),
    "billion laughs": HostileDocx(
        lambda _: with_doctype("word/document.xml", _LAUGHS, "&e8;"), REFUSED, "document type"),
    "elements 100 000 deep": HostileDocx(
        lambda _: with_xml("word/document.xml", "<a>" * 100_000 + "</a>" * 100_000), REFUSED, "damaged"),
    "XInclude": HostileDocx(
        lambda bait: with_body(HONEST, '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" '
                                       f'href="file://{bait.path}"/>'), KEPT),
    "style sheet": HostileDocx(
        lambda bait: with_processing(f'<?xml-stylesheet type="text/xsl" href="{bait.web}/x.xsl"?>'), KEPT),
}  # fmt: skip

_POSTSCRIPT: Final = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nnewpath 0 0 moveto 100 100 lineto stroke\n"
    b"showpage\n%%EOF\n"
)
MEDIA: Final = {
    "PostScript": HostileDocx(lambda _: with_media("x.eps", _POSTSCRIPT, "image/x-eps"), CLEANED, "PostScript"),
    "PostScript called PNG": HostileDocx(
        lambda _: with_media("x.png", _POSTSCRIPT, "image/png"), CLEANED, "PostScript"),
    "PNG of 64 megapixels": HostileDocx(
        lambda _: with_media("x.png", TOO_LARGE["bomb of 64 megapixels"](), "image/png"), KEPT),
    "PNG that says 4 gigapixels": HostileDocx(
        lambda _: with_media("x.png", TOO_LARGE["says it is of 4 gigapixels"](), "image/png"), KEPT),
    "JPEG that says 4 gigapixels": HostileDocx(
        lambda _: with_media("x.jpeg", TOO_LARGE["jpeg that says 65 500 x 65 500"](), "image/jpeg"), KEPT),
    "EMF of nothing": HostileDocx(
        lambda _: with_media("x.emf", DISGUISES["EMF called PNG"](), "image/x-emf"), KEPT),
    "WMF of nothing": HostileDocx(
        lambda _: with_media("x.wmf", DISGUISES["WMF called PNG"](), "image/x-wmf"), KEPT),
}  # fmt: skip
"""Pictures inside the file, which only LibreOffice decodes: the child must hold what comes of it."""

HOSTILE: Final = {**NETWORK, **OBJECTS, **FOREIGN, **ARCHIVES, **XML, **MEDIA}
"""All of them, by a name that says what they try."""

JINJA_BOMBS: Final = {
    "string of 4 GB": "{{ 'x' * 4000000000 }}",
    "centred in 10 GB": "{{ 'x'|center(10000000000) }}",
    "list of 10^9": "{% set l = [0] * 1000000000 %}{{ l|length }}",
    "nested loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "string that doubles": (
        "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}"
    ),
    "macro that calls itself": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "number of a billion digits": "{{ 9 ** (9 ** 9) }}",
}
"""Payloads that no sandbox stops: the limits of the child must. To be filled in as the text of a document."""


def jinja_bomb(name: str) -> bytes:
    return word_file(JINJA_BOMBS[name])


def hostile_docx(name: str, bait: Bait) -> bytes:
    return HOSTILE[name].make(bait)


def is_word(content: bytes) -> bool:
    """Whether Python's own zip library finds a main part in it, which says nothing about its being harmless."""
    try:
        return WORD.encode() in parts_of(content).get("word/document.xml", b"")
    except zipfile.BadZipFile:
        return False
