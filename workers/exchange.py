"""What is sent to a child for a job, and how its answer, or its death, is judged.

Names and options are checked here, in the service, so that a bad one is told at once and never reaches a file system.
Nothing in an answer is trusted beyond its shape: the child has run a stranger's template.
"""

import hashlib
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workers.engine_process import MAX_REQUEST_BYTES
from workers.engines.rules import EngineRules
from workers.errors import (
    EngineError,
    EngineUnavailableError,
    LimitExceededError,
    RemoteFilesNeededError,
    RenderError,
    TemplateError,
)
from workers.job import Limits, RenderedDocument, RenderedFile, RenderJob

MAX_FILES = 1000
MAX_FILES_BYTES = 100 << 20
_MAX_PATH_BYTES, _MAX_NAME_BYTES = 1000, 255
_RESERVED_FOLDER = ".automette"
_MAX_MESSAGE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Request:
    """A job, ready to be sent. `digest` tells whether a slot holds these files already."""

    head: dict[str, Any]
    body: bytes
    files: Mapping[str, bytes | Path]
    digest: bytes


def prepare_request(job: RenderJob, rules: EngineRules) -> Request:
    """Check a job and lay it out for a child. Raises TemplateError or LimitExceededError."""
    options = rules.check_options(job.format, job.options)
    source = job.source if isinstance(job.source, bytes) else _encoded(job.source)
    if len(source) + len(job.data) > MAX_REQUEST_BYTES:
        raise LimitExceededError(f"source and data are larger than {MAX_REQUEST_BYTES >> 20} MB")
    check_files(job.files)
    files, remote = _with_remote(job)
    head = {
        "format": job.format,
        "options": options,
        "limits": asdict(job.limits),
        "source_bytes": len(source),
        "remote": remote,
    }
    return Request(head, source + job.data, files, _digest(files))


def _encoded(source: str) -> bytes:
    try:
        return source.removeprefix("\ufeff").encode()
    except UnicodeEncodeError as error:
        raise TemplateError("the source holds half of a surrogate pair, which is not text") from error


def _with_remote(job: RenderJob) -> tuple[Mapping[str, bytes | Path], dict[str, dict[str, str]]]:
    """The job's files with those that were fetched for it, and what the child is told of each address."""
    if not job.remote:
        return job.files, {}
    files, told = dict(job.files), {}
    for url, found in job.remote.items():
        if isinstance(found, Path):
            name = f"{_RESERVED_FOLDER}/{hashlib.sha256(url.encode()).hexdigest()}"
            files[name] = found
            told[url] = {"file": name}
        else:
            told[url] = {"problem": found}
    return files, told


def check_files(files: Mapping[str, bytes | Path]) -> None:
    """Refuse names that could mean a place outside the template's folder. Raises RenderError."""
    if len(files) > MAX_FILES:
        raise LimitExceededError(f"a template may have at most {MAX_FILES} files")
    if sum(map(_size, files.values())) > MAX_FILES_BYTES:
        raise LimitExceededError(f"the template's files are larger than {MAX_FILES_BYTES >> 20} MB")
    for name in files:
        if not _is_safe(name):
            raise TemplateError(f"file name {name[:100]!r} is not a plain relative path")
        for folder in PurePosixPath(name).parents:
            if str(folder) in files:
                raise TemplateError(f"{str(folder)[:100]!r} cannot be a file and a folder")


def _is_safe(name: str) -> bool:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    parts = encoded.split(b"/")
    return (
        len(encoded) <= _MAX_PATH_BYTES
        and parts[0] != _RESERVED_FOLDER.encode()
        and all(part not in {b"", b".", b".."} and len(part) <= _MAX_NAME_BYTES for part in parts)
        and "\\" not in name
        and name.isprintable()
    )


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _digest(files: Mapping[str, bytes | Path]) -> bytes:
    if not files:
        return b""
    digest = hashlib.blake2b(digest_size=32)
    for name, content in sorted(files.items()):
        encoded = name.encode()
        named = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.name
        digest.update(b"%d " % len(encoded) + encoded + named.encode())
    return digest.digest()


def read_answer(head: dict[str, Any], content: bytes, job: RenderJob, rules: EngineRules) -> RenderedDocument:
    """Turn a child's answer into a document or raise the RenderError that it describes."""
    if "error" in head:
        raise _described_error(head, job.limits)
    pages = head.get("pages")
    if not isinstance(pages, int) or not 0 < pages <= job.limits.max_pages:
        raise EngineError("the typesetter gave something that is not a document")
    return RenderedDocument(
        files=_read_files(head, content, job.format, rules),
        pages=pages,
        warnings=_texts(head.get("warnings")),
        fonts_asked=_texts(head.get("fonts_asked")),
        fonts_used=_texts(head.get("fonts_used")),
        standards=_texts(head.get("standards")),
        found={name: head[name] for name in rules.findings if name in head},
    )


def _read_files(
    head: dict[str, Any], content: bytes, format_name: str, rules: EngineRules
) -> tuple[RenderedFile, ...]:
    """The files in an answer, one after the other, with the sizes that the head gives. Raises EngineError."""
    formats = rules.parts.get(format_name, (format_name,))
    sizes = head.get("sizes", [len(content)])
    files, start = [], 0
    for name, size in zip(formats, sizes, strict=True) if _are_sizes(sizes, len(formats), len(content)) else ():
        part = content[start : start + size]
        if rules.signatures[name].match(part):
            files.append(RenderedFile(part, rules.media_types[name], name))
        start += size
    if len(files) != len(formats):
        raise EngineError("the typesetter gave something that is not a document")
    return tuple(files)


def _are_sizes(sizes: Any, count: int, total: int) -> bool:
    return (
        isinstance(sizes, list)
        and len(sizes) == count
        and all(isinstance(size, int) and size > 0 for size in sizes)
        and sum(sizes) == total
    )


def explain_death(status: int | None, limits: Limits, rules: EngineRules) -> RenderError:
    """Say why a child ended in the middle of a job, from its exit status as `waitstatus_to_exitcode` gives it."""
    if status is None or status >= 0:
        return EngineUnavailableError("the engine ended unexpectedly; the render can be tried again")
    match signal.Signals(-status):
        case signal.SIGABRT if rules.aborts_without_memory:
            # Rust aborts when an allocation fails; there is no exception to catch
            return memory_limit_exceeded(limits)
        case signal.SIGABRT:
            needed = f"or it needs more than {limits.memory_bytes >> 20} MB of memory"
            return EngineError(f"the engine crashed on this document, {needed}; please report it with the template")
        case signal.SIGXCPU:
            return LimitExceededError("processor time limit exceeded")
        case signal.SIGSEGV | signal.SIGBUS | signal.SIGILL | signal.SIGFPE | signal.SIGSYS:
            return EngineError("the typesetter crashed on this input; please report it with the template")
        case _:
            return EngineUnavailableError("the engine ended unexpectedly; the render can be tried again")


def timed_out(limits: Limits) -> RenderError:
    return LimitExceededError(f"compilation timed out after {limits.wall_seconds:g} s")


def memory_limit_exceeded(limits: Limits) -> RenderError:
    return LimitExceededError(f"memory limit of {limits.memory_bytes >> 20} MB exceeded")


def _described_error(head: dict[str, Any], limits: Limits) -> RenderError:
    message = _text(head.get("message"))
    match head["error"]:
        case TemplateError.code:
            return TemplateError(
                message,
                line=_position(head.get("line")),
                column=_position(head.get("column")),
                hints=_texts(head.get("hints")),
            )
        case RemoteFilesNeededError.code:
            return RemoteFilesNeededError(_texts(head.get("urls")))
        case LimitExceededError.code:
            return memory_limit_exceeded(limits) if head.get("memory") is True else LimitExceededError(message)
        case _:
            return EngineError(message)


def _position(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(_text, values)) if isinstance(values, list) else ()


def _text(value: Any) -> str:
    """A text that a database takes, whatever a hostile child has sent."""
    text = str(value)[:_MAX_MESSAGE_CHARACTERS].replace("\0", "\ufffd")
    return text.encode(errors="replace").decode()
