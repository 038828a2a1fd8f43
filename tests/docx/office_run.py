"""Run the Word engine in a confined child, as the zygote does, and tell what came out as JSON on standard output.

    python office_run.py PROJECT JOB.json

JOB: {"requests": [{"format", "options", "source": path}], "data": {...}, "confined": bool, "folder": path}
"""

import base64
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from workers.docx.engine import DocxEngine
from workers.docx.office import find_program
from workers.engines.needs import ROOT, SCRATCH
from workers.errors import RenderError
from workers.isolation.confinement import Profile, confine

LIMITS = {"max_pages": 20, "max_output_bytes": 50 << 20}
UID = 61_500


def work(engine: DocxEngine, job: dict, sources: list[bytes]) -> list[dict]:
    results = []
    for request, source in zip(job["requests"], sources, strict=True):
        started = time.perf_counter()
        options = {"locale": "en", "timestamp": 946_684_800} | request["options"]
        asked = {"format": request["format"], "options": options, "limits": LIMITS}
        try:
            head, content = engine.render(asked, source, json.dumps(job["data"]).encode())
        except RenderError as error:
            results.append({"error": error.code, "message": error.message})
        else:
            head["content"] = base64.b64encode(content).decode()
            head["milliseconds"] = 1000 * (time.perf_counter() - started)
            results.append(head)
    return results


def reads_outside() -> bool:
    try:
        Path("/etc/passwd").read_bytes()
    except OSError:
        return False
    return True


def main() -> None:
    job = json.loads(Path(sys.argv[2]).read_text())
    folder = Path(job["folder"])
    for name in (ROOT, SCRATCH):
        (folder / name).mkdir()
    sources = [Path(request["source"]).read_bytes() for request in job["requests"]]
    tempfile.tempdir = str(folder)  # as in the zygote, what LibreOffice writes late lies where it is removed
    engine, needs = DocxEngine(""), DocxEngine.needs()
    uid = UID if os.geteuid() == 0 and job["confined"] else None
    if uid is not None:
        os.chown(folder / SCRATCH, uid, uid)
    profile = Profile(
        readable=(str(folder / ROOT), *needs.readable),
        writable=(str(folder / SCRATCH),),
        extra_syscalls=needs.extra_syscalls,
        pretended_syscalls=needs.pretended_syscalls,
        memory_bytes=2 << 30,
        uid=uid,
    )
    zygote, answer = os.getpid(), os.pipe()
    pid = os.fork()
    if pid == 0:
        active = confine(profile, zygote, keep=(answer[1],)) if job["confined"] else {}
        engine.open(str(folder))
        told = {"active": active, "reads_outside": reads_outside(), "results": work(engine, job, sources)}
        with os.fdopen(answer[1], "w") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(answer[1])
    with os.fdopen(answer[0]) as pipe:
        told = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    program = find_program()
    print(json.dumps({"status": status, "program": str(program) if program else None, **json.loads(told or "{}")}))


main()
sys.stdout.flush()
os._exit(0)  # as the zygote ends: LibreOffice would write its profile anew
