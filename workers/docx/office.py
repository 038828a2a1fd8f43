"""LibreOffice as a library in this process (LibreOfficeKit), to turn a .docx into a PDF without starting a program.

Loaded and pre-initialised once in the zygote (0.2 s), initialised in each child (10 ms), because an initialised one
cannot be forked: it has threads. Half a second per child is saved by one registry item, the version that last ran
(without it LibreOffice migrates the profile); it is read, like the security settings, from the home folder at
pre-initialisation. The functions and structures are those of `LibreOfficeKit.h`.
"""

import contextlib
import ctypes
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from workers.docx.descriptors import Descriptors
from workers.engines.needs import ChildNeeds
from workers.errors import EngineError, LimitExceededError
from workers.isolation import kernel

INSTALL_HINT: Final = (
    "PDF from a Word template needs LibreOffice, which is not installed on this server; install the package "
    "libreoffice-writer-nogui (Debian, Ubuntu) or libreoffice-writer (Fedora), or ask for the format docx"
)
_PROGRAMS: Final = (
    "/usr/lib/libreoffice/program",
    "/usr/lib64/libreoffice/program",
    "/usr/local/lib/libreoffice/program",
    "/opt/libreoffice/program",
)
_LIBRARIES: Final = ("libmergedlo.so", "libsofficeapp.so")
_READABLE: Final = (
    "/var/spool/libreoffice",  # the target of a link in its program folder; it ends when that cannot be read
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/share/libreoffice",
    "/usr/share/liblangtag",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/etc/fonts",
    "/etc/libreoffice",
    "/var/cache/fontconfig",
    "/dev/urandom",
)
"""What LibreOffice opens besides its own folder; found by taking one away after the other."""
_EXTRA_SYSCALLS: Final = frozenset({"mlock", "wait4", "memfd_create", "chdir"})
_PRETENDED_SYSCALLS: Final = frozenset({"chmod", "fchmod", "fchmodat", "chown", "fchown"})
"""It changes the modes of its profile and ends when that is refused; told that it worked, it goes on."""

_TEXT_DOCUMENT = 0
_SETTLE_SECONDS = 10.0
_SECURITY: Final = {
    "BlockUntrustedRefererLinks": "true",
    "DisableMacrosExecution": "true",
    "DisableActiveContent": "true",
    "MacroSecurityLevel": "3",
}
_ITEM = '<item oor:path="{path}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
_REGISTRY = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{items}</oor:items>
"""
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<dir>{folder}</dir><cachedir>{cache}</cachedir>
</fontconfig>
"""
_VERSION = re.compile(r"ProductKey=\S+ ([0-9]+\.[0-9]+)")

_Pointer, _Text = ctypes.c_void_p, ctypes.c_char_p


class _KitClass(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("destroy", ctypes.CFUNCTYPE(None, _Pointer)),
        ("document_load", ctypes.CFUNCTYPE(_Pointer, _Pointer, _Text)),
        ("get_error", ctypes.CFUNCTYPE(_Pointer, _Pointer)),
        ("document_load_with_options", ctypes.CFUNCTYPE(_Pointer, _Pointer, _Text, _Text)),
    )


class _DocumentClass(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("destroy", ctypes.CFUNCTYPE(None, _Pointer)),
        ("save_as", ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Text, _Text, _Text)),
        ("get_document_type", ctypes.CFUNCTYPE(ctypes.c_int, _Pointer)),
        ("get_parts", ctypes.CFUNCTYPE(ctypes.c_int, _Pointer)),
    )


def find_program() -> Path | None:
    """The program folder of LibreOffice, None where it is not installed (or not as a library)."""
    for folder in map(Path, _PROGRAMS):
        if any((folder / library).is_file() for library in _LIBRARIES) and (folder / "libswlo.so").is_file():
            return folder
    return None


def needs(program: Path) -> ChildNeeds:
    """What a child with LibreOffice needs. Pre-initialised, it leaves a thread in the zygote; see `settle`."""
    return ChildNeeds(
        readable=(str(program.parent), *_READABLE),
        extra_syscalls=_EXTRA_SYSCALLS,
        pretended_syscalls=_PRETENDED_SYSCALLS,
        idle_threads=1,
        scratch=True,
    )


class Office:
    """One LibreOffice: made in the zygote, opened in a child, never used by two teams."""

    def __init__(self, program: Path, fonts: str) -> None:
        """Load and pre-initialise. Changes this process's environment for good. Raises OSError."""
        self._program = str(program).encode()
        library = next(program / name for name in _LIBRARIES if (program / name).is_file())
        self._descriptors = Descriptors()
        with tempfile.TemporaryDirectory(prefix="automette-office-") as home, _silence(), self._descriptors.watched():
            _prepare_home(Path(home), program, fonts)
            self._library = ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            self._library.lok_preinit.argtypes = [_Text, _Text]
            self._library.libreofficekit_hook_2.argtypes = [_Text, _Text]
            self._library.libreofficekit_hook_2.restype = _Pointer
            if self._library.lok_preinit(self._program, _url(Path(home, "profile"))) != 0:
                raise OSError("LibreOffice could not be pre-initialised")
        self._kit: Any = None
        self._scratch = Path()

    def settle(self) -> None:
        """Wait for the end of the thread that writes the profile, most of a second after pre-initialising.

        It holds locks meanwhile: a child that was forked in that moment would wait for them for ever.
        """
        give_up = time.monotonic() + _SETTLE_SECONDS
        while kernel.count_threads() > 1 and time.monotonic() < give_up:
            time.sleep(0.005)

    def open(self, scratch: Path) -> None:
        """Initialise in a child; `scratch` is the only folder that is written to. Raises EngineError."""
        self._scratch = scratch
        self._descriptors.remake()
        os.environ["TMPDIR"] = os.environ["HOME"] = str(scratch)
        self._kit = self._library.libreofficekit_hook_2(self._program, _url(scratch / "profile"))
        if not self._kit:
            raise EngineError("LibreOffice could not be started")

    def convert(
        self, document: bytes, filter_options: Mapping[str, Any], limits: Mapping[str, Any]
    ) -> tuple[bytes, int]:
        """The PDF of a .docx and its number of pages. Raises EngineError, LimitExceededError."""
        source, target = self._scratch / "in.docx", self._scratch / "out.pdf"
        source.write_bytes(document)
        try:
            pages = self._convert_file(source, target, filter_options, limits["max_pages"])
            # LibreOffice may say that all is well and write nothing: the file is what counts
            content = target.read_bytes() if target.is_file() else b""
        finally:
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
        if not content.startswith(b"%PDF-"):
            raise EngineError("LibreOffice wrote no PDF of the document")
        if len(content) > limits["max_output_bytes"]:
            raise LimitExceededError(f"document is larger than {limits['max_output_bytes'] / (1 << 20):g} MB")
        return content, pages

    def _convert_file(self, source: Path, target: Path, filter_options: Mapping[str, Any], max_pages: int) -> int:
        kit = _class_of(self._kit, _KitClass)
        document = kit.document_load_with_options(self._kit, _url(source), b"Batch=true")
        if not document:
            raise EngineError("LibreOffice could not open the filled-in document")
        functions = _class_of(document, _DocumentClass)
        try:
            if functions.get_document_type(document) != _TEXT_DOCUMENT:
                raise EngineError("LibreOffice did not take the filled-in document for a text")
            pages = int(functions.get_parts(document))
            if pages > max_pages:
                raise LimitExceededError(f"document has more than {max_pages} pages")
            options = json.dumps(filter_options).encode() if filter_options else None
            if not functions.save_as(document, _url(target), b"pdf", options):
                raise EngineError("LibreOffice could not write the document as PDF")
        finally:
            functions.destroy(document)
        return pages


def _class_of(pointer: int, kind: type[ctypes.Structure]) -> Any:
    """An object begins with a pointer to the table of its functions."""
    table = ctypes.cast(pointer, ctypes.POINTER(_Pointer))[0]
    return ctypes.cast(table, ctypes.POINTER(kind)).contents


def _url(path: Path) -> bytes:
    return path.as_uri().encode()


def _prepare_home(home: Path, program: Path, fonts: str) -> None:
    """Set the environment for a home folder with the registry and the fonts."""
    user = home / ".config/libreoffice/4/user"
    user.mkdir(parents=True)
    (user / "registrymodifications.xcu").write_text(_registry(_version(program)), encoding="utf-8")
    font_settings = home / "fonts.conf"
    font_settings.write_text(_FONTS.format(folder=escape(fonts), cache=escape(str(home / "fonts"))), encoding="utf-8")
    os.environ |= {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": "/nonexistent",  # it would start helpers for signatures, which takes 50 ms
        "SAL_USE_VCLPLUGIN": "svp",
        "FONTCONFIG_FILE": str(font_settings),
    }


def _version(program: Path) -> str:
    """Such as 7.4; a wrong one only means the slow start."""
    with contextlib.suppress(OSError):
        if found := _VERSION.search((program / "bootstraprc").read_text(encoding="utf-8", errors="replace")):
            return found[1]
    return "0.0"


def _registry(version: str) -> str:
    items = [_ITEM.format(path="/org.openoffice.Setup/Product", name="ooSetupLastVersion", value=version)]
    security = "/org.openoffice.Office.Common/Security/Scripting"
    items += [_ITEM.format(path=security, name=name, value=value) for name, value in _SECURITY.items()]
    java = "/org.openoffice.Office.Java/VirtualMachine"
    return _REGISTRY.format(items="".join([*items, _ITEM.format(path=java, name="Enable", value="false")]))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Pre-initialising tells the names of a hundred libraries on standard output and error."""
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for standard in (1, 2):
            os.dup2(nowhere, standard)
        yield
    finally:
        for standard, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, standard)
            os.close(copy)
        os.close(nowhere)
