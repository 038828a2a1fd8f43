"""Templates made to break something, through the API: each fails with a clear sentence and gives its credit back.

The workers behind it are the ones from before, and the next good render is fine.
"""

from pathlib import Path

import pytest

from renders.tasks import run_render
from tests.conftest import Processes, wait_until

SECONDS = 2
TIMED_OUT = f"compilation timed out after {SECONDS} s"
NO_MEMORY = "memory limit of 512 MB exceeded"
# (module (memory (export "memory") 1) (func (export "f") (result i32) (loop br 0) i32.const 0))
ENDLESS_PLUGIN = bytes.fromhex(
    "0061736d010000000105016000017f030201000503010001070e0201660000066d656d6f727902000a0b01090003400c000b41000b"
)

PANICKED = "the typesetter could not finish: internal error: invalid page size"
HOSTILE = {
    "a loop of 10^5 times 10^5": ("#for i in range(100000) { for j in range(100000) { } }", TIMED_OUT),
    "a string of 4 GB": ('#let s = "x" * 4000000000\n#s.len()', NO_MEMORY),
    "a string that doubles for ever": ('#let s = "x"\n#for i in range(60) { s = s + s }', NO_MEMORY),
    "a file of the machine": ('#read("/etc/passwd")', "line 1, column 7: file not found: etc/passwd"),
    "a file above the folder": (
        '#read("../../../../etc/passwd")',
        'line 1, column 7: path `"../../../../etc/passwd"` would escape the project root',
    ),
    "a package of the network": (
        '#import "@preview/cetz:0.3.0"',
        "line 1, column 9: package @preview/cetz:0.3.0 is not installed on this server",
    ),
    "a page 1e300 wide": ("#set page(width: 1e300pt)\nHi", PANICKED),
    "recursion in eval": (
        '#let f = "#eval(f, mode: \\"markup\\", scope: (f: f))"\n#eval(f, mode: "markup", scope: (f: f))',
        NO_MEMORY,
    ),
    "recursion without end": (
        "#let f(x) = f(x + 1)\n#f(0)",
        "line 1, column 13: maximum function call depth exceeded",
    ),
    "an endless plugin": (f"#let p = plugin(bytes({tuple(ENDLESS_PLUGIN)}))\n#p.f()", TIMED_OUT),
    "an endless while": ("#while true { }", "line 1, column 8: condition is always true"),
    "headings without end": ("=" * 500_000 + " Hi\n#nope", "line 2, column 2: unknown variable: nope"),
}
# Fails for one of several reasons, depending on how fast the machine is.
RACES = {
    "a broken regular expression": '#"a".match(regex("(" * 100000))',
    "brackets without end": "#" + "(" * 500_000,
}


@pytest.fixture(scope="module")
def hostile_workers(server, test_environment, tmp_path_factory):
    """Two workers of their own with short limits, each on a queue only it serves.

    One gives up after two seconds. The other one is for what must not end so, however busy the machine is.
    """
    processes = Processes(tmp_path_factory.mktemp("hostile"))
    yield {
        queue: processes.worker(queue, queues=queue, TYPST_SECONDS=str(seconds), TYPST_MEMORY_MB="512")
        for queue, seconds in (("hasty", SECONDS), ("patient", 60))
    }
    processes.stop()


@pytest.fixture
def render(api, accept, hostile_workers):
    """Render a source on one of these workers; return the render as the API tells it."""

    def until_finished(source: str, queue: str = "patient", **more) -> dict:
        row = accept(api, api.template(source=source), queue=queue, **more)
        run_render.apply_async(kwargs={"render_id": row.id}, queue=queue, ignore_result=True)

        def finished():
            body = api.get(f"/api/v1/renders/{row.id}").json()
            return body if body["status"] in {"completed", "failed"} else None

        return wait_until(finished, 100)

    return until_finished


def is_same_process(worker, started) -> bool:
    return worker.poll() is None and _start_time(worker.pid) == started


def _start_time(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def render_good(render, queue: str) -> dict:
    """On a busy machine even this may take the hasty worker too long, which is then what it says."""
    while (ended := render("Good", queue))["error"] == TIMED_OUT:
        pass
    return ended


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [*HOSTILE, *RACES])
def test_hostile_template_fails_alone(api, render, hostile_workers, name):
    source, message = HOSTILE.get(name) or (RACES[name], None)
    queue = "hasty" if message in {TIMED_OUT, None} else "patient"
    worker = hostile_workers[queue]
    started = _start_time(worker.pid)
    ended = render(source, queue)
    assert (ended["status"], ended["url"]) == ("failed", None), ended
    assert message in {ended["error"], None}
    assert 10 < len(ended["error"]) <= 500
    assert not [word for word in ("/tmp", "/work", "/root", "root:", "Traceback") if word in ended["error"]]
    assert api.credits() == 100
    assert is_same_process(worker, started)
    assert render_good(render, queue)["status"] == "completed"
    assert api.credits() == 99


def test_too_many_dots_per_inch_fail_clearly(api, render, server):
    status, body = api.render(api.template(), format="png", options={"ppi": 2400})
    assert (status, body["error"], api.credits()) == (422, 'option "ppi" must be between 36 and 600', 100)


@pytest.mark.timeout(300)
def test_what_is_sent_as_data_is_not_code(api, render):
    ended = render('#data.at("name")', data='{"name": "#read(\\"/etc/passwd\\") ] ) }"}')
    assert ended["status"] == "completed"
