"""A small Word document in one font, to see whether LibreOffice can set text in it."""

import io
import zipfile
from typing import Final
from xml.sax.saxutils import quoteattr

_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORD: Final = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_TEXT: Final = "ABCDEFGHIJKLM nopqrstuvwxyz 0123456789 .,;:!? fi AV \u00e4\u00f6\u00fc\u00df\u00e9 \u20ac"


def sample_document(family: str) -> bytes:
    """Return the document. Its text has no tags, and the font's name stands where none are looked for."""
    name = quoteattr(family)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{_TYPE}.document.main+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
        "_rels/.rels": _relationship("officeDocument", "word/document.xml"),
        "word/_rels/document.xml.rels": _relationship("styles", "styles.xml"),
        "word/styles.xml": f'<w:styles xmlns:w="{_WORD}"><w:docDefaults><w:rPrDefault><w:rPr>'
        f"<w:rFonts w:ascii={name} w:hAnsi={name} w:eastAsia={name} w:cs={name}/>"
        "</w:rPr></w:rPrDefault></w:docDefaults></w:styles>",
        "word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body><w:p>'
        f"<w:r><w:t>{_TEXT}</w:t></w:r><w:r><w:rPr><w:b/><w:i/></w:rPr><w:t>{_TEXT}</w:t></w:r>"
        "</w:p></w:body></w:document>",
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, f'<?xml version="1.0" encoding="UTF-8"?>{content}'.encode())
    return target.getvalue()


def _relationship(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )
