"""Names and parsing of WordprocessingML."""

from typing import Any, Final

from lxml import etree

from workers.errors import TemplateError

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
PACKAGE_RELATIONSHIP: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
DEFAULT_TYPE: Final = _TYPES + "Default"
OVERRIDE_TYPE: Final = _TYPES + "Override"
XML_SPACE: Final = "{http://www.w3.org/XML/1998/namespace}space"

_DOCTYPE: Final = tuple("<!DOCTYPE".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))


def parse_part(content: bytes, name: str) -> Any:
    """The root element of a part. Raises TemplateError when it has a document type or is not well formed.

    Entities are not resolved and nothing is loaded; a document type, which no Office program writes, is refused
    before parsing and, for encodings that hide it, after.
    """
    if any(doctype in content for doctype in _DOCTYPE):
        raise TemplateError(_has_doctype(name))
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise TemplateError(
            f"the part {name} of the file is damaged; open the file in Word, save it again and upload it"
        ) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise TemplateError(_has_doctype(name))
    return root


def serialise(root: Any) -> bytes:
    content: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True, standalone=True)
    return content


def _has_doctype(name: str) -> str:
    return f"the part {name} of the file declares a document type, which is not allowed; save the file again in Word"
