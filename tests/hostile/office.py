"""LibreOffice as anybody would call it, for the controls of hostile documents; nothing of ours in between."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pypdf

IS_INSTALLED: Final = shutil.which("soffice") is not None


def convert(folder: Path, content: bytes, *, path: str = "") -> pypdf.PdfReader:
    """The PDF of a document. `path` comes before the PATH of the program."""
    folder.mkdir()
    (folder / "in.docx").write_bytes(content)
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{folder}/profile", "--convert-to", "pdf"]
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"} if path else None
    subprocess.run(
        [*command, "--outdir", str(folder), str(folder / "in.docx")],
        check=True, capture_output=True, timeout=100, env=environment,
    )  # fmt: skip
    return pypdf.PdfReader(folder / "in.pdf")


def text_of(document: pypdf.PdfReader) -> str:
    return " ".join(page.extract_text() for page in document.pages)


def images_of(document: pypdf.PdfReader) -> int:
    return sum(len(page.images) for page in document.pages)
