"""What callers send to become a version of a template: read here, and tried out by a worker before it is kept."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from django.conf import settings

from accounts.models import Team
from automette.lib import worker_calls
from automette.lib.errors import InvalidValueError, TooLargeError
from automette.lib.json_text import write_json
from automette.lib.rate_limits import waiting_call
from credits.limits import limits_of
from templates_app import blobs
from templates_app.models import WORD_FILE, Engine, TemplateVersion
from templates_app.source_check import pack_question
from templates_app.sources import source_fields, source_text
from templates_app.tasks import check_source, inspect_docx
from templates_app.word_fields import merge_fields
from templates_app.zip_templates import is_zip, read_zip
from workers.errors import RenderError

_WORKER_SECONDS: Final = 30
_STORED_AT_ONCE: Final = 8


class Submission(NamedTuple):
    """A source (text, or a Canvas document), or else the content of a file, and what is said of it.

    `fields` are the authored ones of a Word file. `example_data` is what the source is tried out with.
    """

    source: str | dict[str, Any] | None = None
    content: bytes | None = None
    fields: Sequence[dict[str, Any]] = ()
    example_data: dict[str, Any] | None = None


class VersionContent(NamedTuple):
    """What makes a version: source or files, the fields, and the example data as JSON text."""

    source: str = ""
    files: Mapping[str, str] = {}  # never changed
    fields: Sequence[dict[str, Any]] = ()
    example_data: str = ""


class Accepted(NamedTuple):
    """What is to become a version, and what there is to say of it, in sentences."""

    version: VersionContent
    warnings: list[str]


def accept_submission(
    *, team: Team, engine: str, submission: Submission, current: TemplateVersion | None = None
) -> Accepted:
    """Return what is to be kept; what the current version holds is not tried out again. Never in a transaction.

    Raises InvalidValueError for what cannot be compiled, with the diagnostics, and for another kind of source than
    the engine's; TooLargeError, RateLimitedError, WorkerUnavailableError, store.StoreUnavailableError. Nothing is
    created here.
    """
    if engine == Engine.DOCX:
        return _inspect_word_file(team, submission)
    version, files = _read(engine, submission, current)
    if current is not None and is_same(current, version):
        return Accepted(version, [])
    _store(team, files)
    return Accepted(version, _try_out(team, engine, version, current.template_id if current else None))


def from_text(engine: str, text: str) -> VersionContent:
    """Return the content of a version that is one source."""
    return VersionContent(source=text, fields=source_fields(engine, text))


def is_same(version: TemplateVersion, content: VersionContent) -> bool:
    """Whether a version holds this content. Fields are told by the source, except those of a Word file."""
    held = (version.source, version.files, version.example_data)
    fields = WORD_FILE not in content.files or version.fields == list(content.fields)
    return fields and held == (content.source, dict(content.files), content.example_data)


def _inspect_word_file(team: Team, submission: Submission) -> Accepted:
    content = submission.content
    if content is None:
        raise InvalidValueError("source: A docx template is a Word file: send it as multipart/form-data, as `file`.")
    if len(content) > settings.MAX_DOCX_BYTES:
        raise TooLargeError(f"file: larger than {settings.MAX_DOCX_BYTES:,} bytes. Make its pictures smaller.")
    merge_fields((), submission.fields)  # before a worker is asked
    found = _ask(team, inspect_docx, {"sha256": blobs.put(team.id, content)}, "file")
    fields = merge_fields(found["fields"], submission.fields)
    return Accepted(VersionContent(files={WORD_FILE: found["sha256"]}, fields=fields), found["warnings"])


def _read(
    engine: str, submission: Submission, current: TemplateVersion | None
) -> tuple[VersionContent, dict[str, bytes]]:
    """Return the content of the version, and the files that it names."""
    if submission.fields:
        raise InvalidValueError("fields: Only Word files have authored fields; others are read from the source.")
    text, files = _text_and_files(engine, submission)
    if len(text.encode()) > settings.MAX_SOURCE_BYTES:
        raise TooLargeError(f"source: longer than {settings.MAX_SOURCE_BYTES:,} bytes.")
    example_data = _example_data(submission, current)
    named = {name: blobs.digest(content) for name, content in files.items()}
    return VersionContent(text, named, _fields(engine, text, files), example_data), files


def _text_and_files(engine: str, submission: Submission) -> tuple[str, dict[str, bytes]]:
    if submission.content is None:
        return source_text(engine, "" if submission.source is None else submission.source), {}
    if len(submission.content) > settings.MAX_ZIP_BYTES:
        raise TooLargeError(f"file: larger than {settings.MAX_ZIP_BYTES:,} bytes. Make its pictures smaller.")
    if engine == Engine.TYPST and is_zip(submission.content):
        try:
            return read_zip(submission.content)
        except RenderError as error:
            raise InvalidValueError(f"file: {error.message}") from error
    try:
        text = submission.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = "a zip, or UTF-8 text" if engine == Engine.TYPST else "UTF-8 text"
        raise InvalidValueError(f"file: Of a {engine} template it must be {kind}.") from error
    if "\0" in text:
        raise InvalidValueError("file: contains a NUL character.")
    return source_text(engine, text), {}


def _fields(engine: str, text: str, files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return the fields of the source, then those of its modules; each with the first example that there is."""
    modules = [content.decode(errors="replace") for name, content in sorted(files.items()) if name.endswith(".typ")]
    found: dict[str, dict[str, Any]] = {}
    for source in (text, *modules):
        for field in source_fields(engine, source):
            known = found.setdefault(field["key"], field)
            known["example"] = (known["example"] or field["example"]).replace("\0", "")
    return list(found.values())


def _example_data(submission: Submission, current: TemplateVersion | None) -> str:
    """Return the example data as it is kept: the caller's, else what the current version has; {} clears it."""
    if submission.example_data is None:
        return current.example_data if current else ""
    text = write_json(submission.example_data, field="example_data") if submission.example_data else ""
    if len(text.encode()) > settings.MAX_SOURCE_BYTES:
        raise TooLargeError(f"example_data: longer than {settings.MAX_SOURCE_BYTES:,} bytes.")
    return text


def _store(team: Team, files: Mapping[str, bytes]) -> None:
    """Store each content once."""
    # The first by itself: `rclone serve s3` fails when it is to make the team's folder twice at once.
    contents = list(set(files.values()))
    for content in contents[:1]:
        blobs.put(team.id, content)
    with ThreadPoolExecutor(_STORED_AT_ONCE) as threads:
        list(threads.map(lambda content: blobs.put(team.id, content), contents[1:]))


def _try_out(team: Team, engine: str, version: VersionContent, template_id: str | None) -> list[str]:
    question = pack_question(engine=engine, **version._asdict())
    about = {"sha256": blobs.put(team.id, question), "template_id": template_id}
    warnings: list[str] = _ask(team, check_source, about, "source")["warnings"]
    return warnings


def _ask(team: Team, task: Any, question: dict[str, Any], part: str) -> dict[str, Any]:
    """Return what a worker found; raises InvalidValueError about this part of the request when it refuses it.

    A team waits for as many answers at once as it may for renders; raises RateLimitedError above that.
    """
    kwargs = {"team_id": team.id, **question}
    with waiting_call(team.id, at_once=limits_of(team.id).sync_waiters, seconds=_WORKER_SECONDS):
        found: dict[str, Any] = worker_calls.call(task, queue="interactive", kwargs=kwargs, seconds=_WORKER_SECONDS)
    if "error" not in found:
        return found
    if found["retry"]:
        raise worker_calls.WorkerUnavailableError
    diagnostics = found.get("diagnostics", [])
    extra = {"diagnostics": diagnostics} if diagnostics else None
    detail = diagnostics[0]["hint"] if diagnostics else None
    raise InvalidValueError(f"{part}: {found['error']}", detail=detail, extra=extra)
