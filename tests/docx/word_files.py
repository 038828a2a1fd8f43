"""Word files made in code: small honest ones with python-docx, and changed ones part by part."""

import io
import zipfile
from collections.abc import Callable, Mapping

from docx import Document
from PIL import Image

from workers.docx import render
from workers.docx.package import write_parts

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_FOOTNOTES_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
_TARGET = io.BytesIO()
Image.new("RGBA", (1, 1)).save(_TARGET, "PNG")
PNG = _TARGET.getvalue()


def word_file(*paragraphs: str, header: str = "", footer: str = "", title: str = "", footnote: str = "") -> bytes:
    """A document with a paragraph for each text, saved as python-docx saves it."""
    document = Document()
    for text in paragraphs:
        document.add_paragraph(text)
    section = document.sections[0]
    if header:
        section.header.paragraphs[0].text = header
    if footer:
        section.footer.paragraphs[0].text = footer
    if title:
        document.core_properties.title = title
    content = saved(document)
    return with_footnote(content, footnote) if footnote else content


def fill(*arguments, **more) -> tuple[bytes, list[str]]:
    """The filled document as a file, and the warnings; arguments as for `render.fill`."""
    parts, warnings = render.fill(*arguments, **more)
    return write_parts(parts), warnings


def saved(document) -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def parts_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def changed(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    parts = parts_of(content)
    change(parts)
    return packed(parts)


def with_part(content: bytes, name: str, part: bytes, content_type: str) -> bytes:
    """The document with one more part that nothing points to."""

    def add(parts: dict[str, bytes]) -> None:
        parts[name] = part
        override = f'<Override PartName="/{name}" ContentType="{content_type}"/></Types>'.encode()
        parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", override)

    return changed(content, add)


def with_relationship(
    content: bytes,
    kind: str,
    target: str,
    *,
    external: bool = False,
    source: str = "word/document.xml",
    name: str = "rIdX",
) -> bytes:
    """The document with one more relationship from `source`; `kind` is a word of ours or a whole type."""
    folder, _, file = source.rpartition("/")
    rels = f"{folder}/_rels/{file}.rels".lstrip("/")
    whole = kind if "//" in kind else f"{RELATIONSHIPS}/{kind}"
    mode = ' TargetMode="External"' if external else ""
    line = f'<Relationship Id="{name}" Type="{whole}" Target="{target}"{mode}/></Relationships>'.encode()

    def add(parts: dict[str, bytes]) -> None:
        empty = (
            b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'
        )
        parts[rels] = parts.get(rels, empty).replace(b"</Relationships>", line)

    return changed(content, add)


def with_body(content: bytes, xml: str) -> bytes:
    """The document with raw WordprocessingML at the beginning of its body."""

    def add(parts: dict[str, bytes]) -> None:
        parts["word/document.xml"] = parts["word/document.xml"].replace(b"<w:body>", b"<w:body>" + xml.encode(), 1)

    return changed(content, add)


def with_footnote(content: bytes, text: str) -> bytes:
    xml = (
        f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:id="2"><w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>'
        "</w:footnote></w:footnotes>"
    )
    content = with_part(content, "word/footnotes.xml", xml.encode(), _FOOTNOTES_TYPE)
    content = with_relationship(content, "footnotes", "footnotes.xml", name="rIdNotes")
    return with_body(content, '<w:p><w:r><w:t>note</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>')


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def complex_field(instruction: str, shown: str = "shown before") -> str:
    return (
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f'<w:r><w:instrText xml:space="preserve">{escape(instruction)}</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
        f"<w:r><w:t>{shown}</w:t></w:r>"
        '<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    )


def texts(content: bytes) -> list[str]:
    """The paragraphs of the body and of its tables, in that order, as Word shows them."""
    document = Document(io.BytesIO(content))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return [paragraph.text for paragraph in document.paragraphs] + cells
