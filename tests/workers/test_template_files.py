"""Files beside the source, and the attempts to reach others."""

import base64
import re

import pytest

from workers.errors import LimitExceededError, TemplateError
from workers.job import RenderJob

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_modules_images_and_data_can_be_used_by_relative_and_absolute_path(render):
    source = """
#import "lib/theme.typ": accent
#import "/lib/theme.typ" as theme
#image("img/dot.png")
#assert.eq(accent, theme.accent)
#assert.eq(csv("rows.csv").at(1), ("1", "2"))
#include "parts/tail.typ"
"""
    files = {
        "lib/theme.typ": b"#let accent = blue",
        "img/dot.png": PIXEL,
        "rows.csv": b"a,b\n1,2\n",
        "parts/tail.typ": b'#image("../img/dot.png") tail',
    }
    assert render(source, files=files).pages == 1


def test_changed_file_is_read_again_by_the_same_child(render):
    for text in (b"one", b"two", b"two"):
        render(f'#assert.eq(read("a.txt"), "{text.decode()}")', files={"a.txt": text})


def test_files_of_one_render_are_gone_in_the_next(render):
    render('#read("secret/a.txt")', files={"secret/a.txt": b"mine"})
    with pytest.raises(TemplateError) as caught:
        render('#read("secret/a.txt")')
    assert caught.value.message == "line 1, column 7: file not found: secret/a.txt"


def test_data_file_of_the_service_is_not_shadowed_by_the_template(render):
    with pytest.raises(TemplateError, match="not a plain relative path"):
        render("#data", files={".automette/data.json": b"1"})


@pytest.mark.parametrize(
    "name",
    [
        "../a", "/etc/a", "a/../b", "./a", "a//b", "a/", "", ".", "a\\b", "a\0b", "a\nb", "x" * 256, "\ud800",
        "d/" * 500 + "x", "a/../../x",
    ],
)  # fmt: skip
def test_unsafe_file_name_is_refused(render, name):
    with pytest.raises(TemplateError, match="not a plain relative path"):
        render("Hi", files={name: b"x"})


def test_file_cannot_be_a_folder_as_well(render):
    with pytest.raises(TemplateError, match="'a' cannot be a file and a folder"):
        render("Hi", files={"a": b"x", "a/b": b"y"})


def test_too_many_files_are_refused(render):
    with pytest.raises(LimitExceededError, match="at most 1000 files"):
        render("Hi", files={f"f{n}": b"" for n in range(1001)})


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../../../../etc/passwd", "/../../etc/passwd", "..", "../root/../../1/root/x",
        "/proc/self/environ",
        "\\\\etc\\\\passwd", "a/../../../etc/passwd",
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", ["read", "include", "image", "json", "import"])
def test_path_out_of_the_folder_reads_nothing_and_shows_nothing(render, call, path):
    source = f'#{call} "{path}"' if call in {"include", "import"} else f'#{call}("{path}")'
    with pytest.raises(TemplateError) as caught:
        render(source)
    told = " ".join([caught.value.message, *caught.value.hints])
    assert re.search(r"automette-|/dev/shm|/tmp|slots|root:x:|--root", told) is None


@pytest.mark.parametrize("package", ["@preview/cetz:0.3.1", "@local/mine:1.0.0"])
def test_package_that_is_not_installed_is_told_clearly(render, package):
    with pytest.raises(TemplateError) as caught:
        render(f'= Hi\n#import "{package}": *')
    assert caught.value.message == f"line 2, column 9: package {package} is not installed on this server"
    assert caught.value.hints == (
        "packages are not downloaded; ask the operator to install it, or add its files to the template",
    )


def test_package_that_the_operator_installed_can_be_imported(make_pool, tmp_path):
    package = tmp_path / "preview" / "tiny" / "0.1.0"
    package.mkdir(parents=True)
    (package / "typst.toml").write_text('[package]\nname = "tiny"\nversion = "0.1.0"\nentrypoint = "lib.typ"\n')
    (package / "lib.typ").write_text("#let answer = 42\n")
    pool = make_pool(package_path=tmp_path, children=1, spares=0)
    job = RenderJob(source='#import "@preview/tiny:0.1.0": answer\n#assert.eq(answer, 42)')
    assert pool.render("team", job).pages == 1
