"""Templates that try to take the machine down. Each ends within its limits, and nothing else notices."""

import base64
import json

import pytest

from workers.errors import EngineError, LimitExceededError, TemplateError
from workers.job import Limits, RenderJob

# (module (func (export "spin") (result i32) (loop (br 0)) (i32.const 0)) (memory (export "memory") 1))
SPINNING_WASM = bytes.fromhex(
    "0061736d 01000000"
    "01 05 01 60 00 01 7f"  # types: () -> i32
    "03 02 01 00"  # one function of that type
    "05 03 01 00 01"  # one memory of one page
    "07 11 02 04 7370696e 00 00 06 6d656d6f7279 02 00"  # exports
    "0a 0b 01 09 00 03 40 0c 00 0b 41 00 0b"  # code
)
BILLION_LAUGHS = (
    '<!DOCTYPE a [<!ENTITY e0 "ha">'
    + "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(10))
    + "]><a>&e10;</a>"
)
SHORT = Limits(wall_seconds=1.5)

TOO_MUCH_TIME = {
    "nested for loops": "#for i in range(100000) { for j in range(100000) { } }",
    "endless wasm plugin": f"#let p = plugin(bytes({tuple(SPINNING_WASM)}))\n#p.spin()",
    "line breaks of endless paragraphs": "#set par(justify: true)\n#for i in range(400) { par(lorem(3000)) }",
    "deep show rule on much text": '#show regex("a+b"): it => it\n#for i in range(2000) { ("a" * 20000) }',
    "slow string search": '#let s = "a" * 40000\n#for i in range(100000) { let _ = s.matches(regex("(a*)*b")) }',
}
TOO_MUCH_MEMORY = {
    "string doubling": '#let s = "xxxxxxxxxx"\n#for i in range(60) { s = s + s }',
    "array doubling": "#let a = (1, 2, 3)\n#for i in range(60) { a = a + a }",
    "dictionary of strings": '#let d = (:)\n#for i in range(10000000) { d.insert(str(i), "x" * 1000 + str(i)) }',
    "eval that calls itself": '#let x(n) = eval("x(" + str(n) + ")", scope: (x: x))\n#x(1)',
}
PANICS = {
    "page width 1e300 as PDF": ("#set page(width: 1e300pt)\na", "pdf"),
    "page width 1e300 as PNG": ("#set page(width: 1e300pt)\na", "png"),
    "negative tiling as PNG": ("#rect(fill: tiling(size: (-2pt, -2pt))[x])", "png"),
}
FAULTS = {
    "while true": ("#while true { }", "condition is always true"),
    "endless recursion": ("#let f(n) = f(n + 1)\n#f(1)", "maximum function call depth exceeded"),
    "endless show rule": ("#show heading: it => heading(it.body)\n= a", "maximum show rule depth exceeded"),
    "including itself": ('#include "main.typ"', "cyclic import"),
    "XML entity bomb": (f"#xml(bytes({json.dumps(BILLION_LAUGHS)}))", "failed to parse XML"),
    "damaged wasm": ("#plugin(bytes((1, 2, 3)))", "failed to load WebAssembly module"),
    "environment of the process": ('#read("/proc/self/environ")', "file not found"),
}


@pytest.fixture
def unharmed(pool):
    """Afterwards the zygote is the same, nothing is at work, and the next good render is fine."""
    zygote = pool.status()["zygote_pid"]
    yield
    assert pool.render("a hostile team", RenderJob(source="fine")).pages == 1
    assert pool.render("another team", RenderJob(source="fine")).pages == 1
    assert pool.status()["zygote_pid"] == zygote
    assert (pool.status()["working"], pool.status()["running"]) == (0, True)


def attempt(pool, source, **job):
    return pool.render("a hostile team", RenderJob(source=source, **job))


@pytest.mark.parametrize("name", TOO_MUCH_TIME)
@pytest.mark.usefixtures("unharmed")
def test_time_runs_out_at_the_limit(pool, name):
    with pytest.raises(LimitExceededError) as caught:
        attempt(pool, TOO_MUCH_TIME[name], limits=SHORT)
    assert caught.value.message == "compilation timed out after 1.5 s"
    assert (caught.value.code, caught.value.retry) == ("resource_limit", False)


@pytest.mark.parametrize("name", TOO_MUCH_MEMORY)
@pytest.mark.usefixtures("unharmed")
def test_memory_runs_out_at_the_limit(pool, name):
    limits = Limits(wall_seconds=100, memory_bytes=400 << 20)
    with pytest.raises(LimitExceededError) as caught:
        attempt(pool, TOO_MUCH_MEMORY[name], limits=limits)
    assert caught.value.message == "memory limit of 400 MB exceeded"


@pytest.mark.parametrize("name", PANICS)
@pytest.mark.usefixtures("unharmed")
def test_panic_of_the_engine_is_told_as_such(pool, name):
    source, format_name = PANICS[name]
    with pytest.raises(EngineError) as caught:
        attempt(pool, source, format=format_name)
    assert (caught.value.code, caught.value.retry) == ("engine_error", False)
    assert "/" not in caught.value.message


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.usefixtures("unharmed")
def test_fault_is_the_templates(pool, name):
    source, message = FAULTS[name]
    with pytest.raises(TemplateError, match=message):
        attempt(pool, source)


@pytest.mark.usefixtures("unharmed")
def test_more_pages_than_allowed_are_refused(pool):
    with pytest.raises(LimitExceededError) as caught:
        attempt(pool, "#pagebreak()\n" * 500)
    assert caught.value.message == "document has more than 500 pages"


@pytest.mark.usefixtures("unharmed")
def test_exactly_the_allowed_pages_are_fine(pool):
    assert attempt(pool, "#pagebreak()\n" * 499).pages == 500


@pytest.mark.usefixtures("unharmed")
def test_larger_file_than_allowed_is_refused(pool):
    noise = base64.b85encode(bytes(n * n % 251 for n in range(60_000))).decode().replace("\\", "")
    with pytest.raises(LimitExceededError) as caught:
        attempt(pool, "#raw(sys.inputs.noise)", data=b'{"noise": "%s"}' % noise.replace('"', "").encode(),
                limits=Limits(max_output_bytes=1 << 13))  # fmt: skip
    assert caught.value.message == "document is larger than 0.0078125 MB"


@pytest.mark.usefixtures("unharmed")
def test_larger_image_than_allowed_is_refused(pool):
    with pytest.raises(LimitExceededError) as caught:
        attempt(pool, "#set page(width: 20cm, height: 20cm)", format="png",
                options={"ppi": 300}, limits=Limits(max_pixels=5_000_000))  # fmt: skip
    assert caught.value.message == "image has more than 5 megapixels"


@pytest.mark.usefixtures("unharmed")
def test_source_and_data_that_cannot_be_sent_are_refused(pool):
    with pytest.raises(LimitExceededError) as caught:
        attempt(pool, "Hi", data=b'"' + b"x" * (64 << 20) + b'"')
    assert caught.value.message == "source and data are larger than 64 MB"
