"""What PDF/A and PDF/UA demand, looked up in a finished PDF with a parser that is not ours (qpdf, through pikepdf).

`problems` is no full validator: it holds the demands that a writer of PDFs gets wrong, clause by clause of ISO 19005
and ISO 14289. For PDF/A-1b there is one, Preflight of Apache PDFBox, asked where it is installed (on Debian
`libpdfbox2-java libactivation-java libjaxb-api-java` and a Java).
"""

import datetime as dt
import io
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pikepdf

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
XMP = "{http://ns.adobe.com/xap/1.0/}"
PDF = "{http://ns.adobe.com/pdf/1.3/}"
PDFA = "{http://www.aiim.org/pdfa/ns/id/}"
SCHEMA = "{http://www.aiim.org/pdfa/ns/schema#}"
KNOWN_TO_PDFA = {
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "http://purl.org/dc/elements/1.1/",
    "http://ns.adobe.com/xap/1.0/",
    "http://ns.adobe.com/xap/1.0/t/pg/",
    "http://www.aiim.org/pdfa/ns/id/",
    "http://www.aiim.org/pdfa/ns/extension/",
    "adobe:ns:meta/",
}
PDFUA = "{http://www.aiim.org/pdfua/ns/id/}"
FORBIDDEN_ACTIONS = {"/JavaScript", "/Launch", "/Sound", "/Movie", "/ResetForm", "/ImportData", "/Hide"}
PAINTING = {"Tj", "TJ", "'", '"', "f", "F", "f*", "B", "B*", "b", "b*", "S", "s", "sh", "Do", "INLINE IMAGE"}
OPENS, CLOSES = {"BDC", "BMC"}, {"EMC"}
PRINT, HIDDEN = 4, 2
JARS = ("preflight", "pdfbox2", "fontbox2", "xmpbox", "commons-logging", "javax.activation", "jaxb-api")
JAR_PATHS = [Path(f"/usr/share/java/{name}.jar") for name in JARS]


def problems(content: bytes, standard: str) -> list[str]:
    """Sentences about what keeps a PDF from being `standard` (`a-2b`, `ua-1` ...); none when all looks well."""
    with pikepdf.open(io.BytesIO(content)) as pdf:
        found = [f"syntax: {told}" for told in pdf.check_pdf_syntax()]
        metadata = _metadata(pdf)
        if metadata is None:
            return [*found, "there is no XMP metadata"]
        if standard.startswith("ua-"):
            return [*found, *_accessible_problems(pdf, metadata)]
        part, level = standard[2], standard[3:]
        found += _archival_problems(pdf, content, metadata, part, level)
        if level == "a":
            found += _structure_problems(pdf)
        return found


def preflight_problems(content: bytes) -> list[str]:
    """What Apache Preflight says against PDF/A-1b; nothing where it is not installed (`has_preflight`)."""
    if not has_preflight():
        return []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "document.pdf")
        file.write_bytes(content)
        program = ["java", "-Xshare:auto", f"-Djava.io.tmpdir={folder}", "-cp", ":".join(map(str, JAR_PATHS))]
        done = subprocess.run(
            [*program, "org.apache.pdfbox.preflight.Validator_A1b", str(file)],
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    if "is a valid PDF/A-1b file" in done.stdout:
        return []
    return [line for line in (done.stdout + done.stderr).splitlines()[1:] if line.strip()] or ["no answer"]


def has_preflight() -> bool:
    return shutil.which("java") is not None and all(path.is_file() for path in JAR_PATHS)


def everything(pdf: pikepdf.Pdf) -> Iterator[pikepdf.Object]:
    """Every dictionary, stream and array of a file, also those that stand inside others."""
    waiting = list(pdf.objects)
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
            yield thing
            waiting += [value for value in thing.values() if not _is_elsewhere(value)]
        elif isinstance(thing, pikepdf.Array):
            yield thing
            waiting += [value for value in thing if not _is_elsewhere(value)]


def _is_elsewhere(value) -> bool:
    return isinstance(value, pikepdf.Object) and value.is_indirect


def _dictionaries(pdf) -> Iterator[pikepdf.Object]:
    return (thing for thing in everything(pdf) if not isinstance(thing, pikepdf.Array))


def _metadata(pdf) -> ET.Element | None:
    stream = pdf.Root.get("/Metadata")
    if stream is None:
        return None
    text = stream.read_raw_bytes() if "/Filter" not in stream else stream.read_bytes()
    return ET.fromstring(text.decode().strip("\0 \n"))


def _said(metadata, tag: str) -> str:
    """A property of the metadata: an element with a text or a list, or an attribute."""
    for element in metadata.iter(tag):
        items = [item.text or "" for item in element.iter(f"{RDF}li")]
        return ", ".join(items) if items else (element.text or "").strip()
    for element in metadata.iter(f"{RDF}Description"):
        if tag in element.attrib:
            return element.attrib[tag]
    return ""


def _archival_problems(pdf, content: bytes, metadata, part: str, level: str) -> list[str]:
    found = []
    declared = (_said(metadata, f"{PDFA}part"), _said(metadata, f"{PDFA}conformance").lower())
    if declared != (part, level):
        found.append(f"the metadata says PDF/A {declared}")
    if pdf.is_encrypted:
        found.append("the file is encrypted")
    if "/ID" not in pdf.trailer:
        found.append("the file has no identifier")
    if "/Filter" in pdf.Root.Metadata and part == "1":
        found.append("the metadata is compressed")
    if (pdf.pdf_version == "2.0") != (part == "4"):
        found.append(f"version {pdf.pdf_version}")
    if part == "1" and re.search(rb"/Type\s*/(XRef|ObjStm)", content):
        found.append("PDF 1.5 cross-references or object streams")
    if part != "4":
        found += _schema_problems(metadata)
    found += _intent_problems(pdf, part)
    found += _info_problems(pdf, metadata, part)
    found += _font_problems(pdf, needs_unicode=level in {"a", "u"} or part == "4")
    found += _forbidden_problems(pdf)
    found += _attachment_problems(pdf, part, level)
    found += _annotation_problems(pdf)
    return [*found, *_transparency_problems(pdf)] if part == "1" else found


def _schema_problems(metadata) -> list[str]:
    """Properties that PDF/A does not know and that are not described; some of `pdf:` and `xmpMM:` it knows."""
    described = {(element.text or "").strip() for element in metadata.iter(f"{SCHEMA}namespaceURI")}
    used = {
        element.tag[1:].partition("}")[0]
        for description in metadata.iter(f"{RDF}Description")
        for element in description
    }
    partly = {"http://ns.adobe.com/pdf/1.3/", "http://ns.adobe.com/xap/1.0/mm/"}
    return [f"properties of {name} are not described" for name in sorted(used - described - KNOWN_TO_PDFA - partly)]


def _intent_problems(pdf, part: str) -> list[str]:
    intents = [intent for intent in pdf.Root.get("/OutputIntents", []) if intent.S == "/GTS_PDFA1"]
    if len(intents) != 1:
        return [f"{len(intents)} output intents for PDF/A"]
    if "/DestOutputProfile" not in intents[0]:
        return ["the output intent has no profile"]
    stream = intents[0].DestOutputProfile
    profile = stream.read_bytes()
    if profile[36:40] != b"acsp" or int.from_bytes(profile[:4]) != len(profile):
        return ["the profile of the output intent is not an ICC profile"]
    found = [] if profile[8] <= (2 if part == "1" else 4) else [f"the ICC profile has version {profile[8]}"]
    components = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}[profile[16:20]]
    if components != stream.N:
        found.append("the profile has another number of components")
    operators = {str(operator) for page in pdf.pages for _, operator in pikepdf.parse_content_stream(page)}
    if operators & ({"rg", "RG"} if components == 4 else {"k", "K"}):
        found.append("a device colour that the output intent does not describe")
    return found


def _info_problems(pdf, metadata, part: str) -> list[str]:
    info = pdf.trailer.get("/Info")
    if part == "4":
        return [] if info is None else ["PDF/A-4 has no document information"]
    if info is None:
        return []
    pairs = {
        "/Title": f"{DC}title",
        "/Author": f"{DC}creator",
        "/Creator": f"{XMP}CreatorTool",
        "/Producer": f"{PDF}Producer",
    }
    found = [
        f"{key} differs: {str(info[key])!r}, {_said(metadata, tag)!r}"
        for key, tag in pairs.items()
        if key in info and str(info[key]) != _said(metadata, tag)
    ]
    for key, tag in (("/CreationDate", f"{XMP}CreateDate"), ("/ModDate", f"{XMP}ModifyDate")):
        if key in info and pdf_date(str(info[key])) != dt.datetime.fromisoformat(_said(metadata, tag)):
            found.append(f"{key} differs: {info[key]!s}, {_said(metadata, tag)}")
    return found


def pdf_date(text: str) -> dt.datetime:
    digits, zone = re.fullmatch(r"D:(\d{14})(Z.*|[+-]\d\d'\d\d'?)", text).groups()
    zone = "+0000" if zone.startswith("Z") else zone.replace("'", "")
    return dt.datetime.strptime(digits + zone, "%Y%m%d%H%M%S%z")


def _font_problems(pdf, *, needs_unicode: bool) -> list[str]:
    found = []
    for font in _dictionaries(pdf):
        if font.get("/Type") != "/Font" or font.get("/Subtype") in {"/CIDFontType0", "/CIDFontType2"}:
            continue
        name = str(font.get("/BaseFont", font.get("/Name", "a Type 3 font")))
        if needs_unicode and "/ToUnicode" not in font:
            found.append(f"font {name} has no ToUnicode")
        if font.Subtype == "/Type3":
            continue
        bearer = font.DescendantFonts[0] if font.Subtype == "/Type0" else font
        descriptor = bearer.get("/FontDescriptor", {})
        if not {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor.keys()):
            found.append(f"font {name} is not embedded")
    return found


def _forbidden_problems(pdf) -> list[str]:
    found = []
    for thing in _dictionaries(pdf):
        if str(thing.get("/S")) in FORBIDDEN_ACTIONS and thing.get("/Type") in {None, "/Action"}:
            found.append(f"action {thing.S}")
        if "/AA" in thing:
            found.append("additional actions")
        if isinstance(thing, pikepdf.Stream):
            found += _stream_problems(thing)
        if thing.get("/Type") == "/ExtGState" and "/TR" in thing:
            found.append("a transfer function")
    if "/JavaScript" in pdf.Root.get("/Names", {}):
        found.append("JavaScript by name")
    return found


def _stream_problems(stream) -> Iterator[str]:
    if "LZWDecode" in str(stream.get("/Filter", "")):
        yield "LZW compression"
    if {"/F", "/FFilter", "/FDecodeParms"} & set(stream.keys()):
        yield "a stream in another file"
    if stream.get("/Subtype") == "/PS" or {"/Alternates", "/OPI", "/Ref"} & set(stream.keys()):
        yield "a forbidden XObject"
    if stream.get("/Interpolate") is True:
        yield "an interpolated image"


def _attachment_problems(pdf, part: str, level: str) -> list[str]:
    files = [thing for thing in _dictionaries(pdf) if "/EF" in thing]
    if part in {"1", "2"} or part + level in {"4", "4e"}:  # of these all but 1 would take other PDF/A files
        return ["files are attached"] if files else []
    linked = {file.objgen for file in pdf.Root.get("/AF", [])}
    found = [
        f"attached file {file.get('/UF')!s} lacks {key}"
        for file in files
        for key in ("/F", "/UF", "/AFRelationship")
        if key not in file
    ]
    found += ["an attached file is not associated" for file in files if file.objgen not in linked]
    found += ["an attached file has no media type" for file in files if "/Subtype" not in file.EF.F]
    return [*found, "PDF/A-4f without attached files"] if level == "f" and not files else found


def _annotation_problems(pdf) -> list[str]:
    found = []
    for page in pdf.pages:
        for annotation in page.get("/Annots", []):
            flags = int(annotation.get("/F", 0))
            if not flags & PRINT or flags & HIDDEN:
                found.append(f"annotation {annotation.Subtype} is not printed")
            if annotation.Subtype != "/Link" and "/AP" not in annotation:
                found.append(f"annotation {annotation.Subtype} has no appearance")
    return found


def _transparency_problems(pdf) -> list[str]:
    found = []
    for thing in _dictionaries(pdf):
        if str(thing.get("/SMask", "/None")) != "/None":
            found.append("transparency: a soft mask")
        if any(float(thing.get(key, 1)) != 1 for key in ("/CA", "/ca") if thing.get("/Type") == "/ExtGState"):
            found.append("transparency: opacity")
        if str(thing.get("/BM", "/Normal")) not in {"/Normal", "/Compatible"}:
            found.append("transparency: a blend mode")
        if "/Group" in thing and thing.Group.get("/S") == "/Transparency":
            found.append("transparency: a group")
    return found


def _structure_problems(pdf) -> list[str]:
    found = []
    if pdf.Root.get("/MarkInfo", {}).get("/Marked") is not True:
        found.append("the file is not marked as tagged")
    if pdf.Root.get("/MarkInfo", {}).get("/Suspects") is True:
        found.append("the tags are suspect")
    if not str(pdf.Root.get("/Lang", "")):
        found.append("the file has no language")
    tree = pdf.Root.get("/StructTreeRoot")
    if tree is None or "/K" not in tree or "/ParentTree" not in tree:
        found.append("there is no structure tree")
    return found


def _accessible_problems(pdf, metadata) -> list[str]:
    found = _structure_problems(pdf)
    if _said(metadata, f"{PDFUA}part") != "1":
        found.append("the metadata does not say PDF/UA-1")
    if not _said(metadata, f"{DC}title").strip():
        found.append("the document has no title")
    if pdf.Root.get("/ViewerPreferences", {}).get("/DisplayDocTitle") is not True:
        found.append("the title is not shown")
    found += _font_problems(pdf, needs_unicode=True)
    for thing in _dictionaries(pdf):
        is_figure = thing.get("/Type") == "/StructElem" and thing.get("/S") == "/Figure"
        if is_figure and not {"/Alt", "/ActualText"} & set(thing.keys()):
            found.append("a picture has no alternative text")
    for number, page in enumerate(pdf.pages, 1):
        if _paints_outside_of_tags(page):
            found.append(f"page {number} has content that is neither tagged nor an artifact")
        if "/StructParents" not in page:
            found.append(f"page {number} is not in the structure tree")
        if "/Annots" in page and page.get("/Tabs") != "/S":
            found.append(f"page {number} does not tab in the order of its structure")
        found += [
            "an annotation is not in the structure tree"
            for annotation in page.get("/Annots", [])
            if "/StructParent" not in annotation
        ]
        found += [
            "a link has no description"
            for annotation in page.get("/Annots", [])
            if annotation.Subtype == "/Link" and not str(annotation.get("/Contents", ""))
        ]
    return found


def _paints_outside_of_tags(page) -> bool:
    depth = 0
    for _, operator in pikepdf.parse_content_stream(page):
        name = str(operator)
        depth += (name in OPENS) - (name in CLOSES)
        if name in PAINTING and depth == 0:
            return True
    return False
