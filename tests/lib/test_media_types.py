"""What files are, by their first bytes."""

import io

import pytest
from PIL import Image

from automette.lib.media_types import media_type_of


def picture(format: str) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(target, format)
    return target.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_pictures_are_told(format):
    assert media_type_of(picture(format)) == f"image/{format.lower()}"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04\x00", "application/zip"),
        (b"\x1f\x8b\x08\x00", "application/gzip"),
        (b"\0asm\1\0\0\0", "application/wasm"),
        (b"OTTO\0\x0b", "font/otf"),
        (b"\0\1\0\0\0\x0b", "font/ttf"),
        (b"true\0\x0b", "font/ttf"),
        (b"true, false\n", "text/plain; charset=utf-8"),
        (b"", "text/plain; charset=utf-8"),
        ("Zürich\t1\r\n".encode(), "text/plain; charset=utf-8"),
        ("Zürich".encode("latin-1"), "application/octet-stream"),
        (b"a\0b", "application/octet-stream"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<svg>", "image/svg+xml"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/plain; charset=utf-8"),
        (b"<html><svg></svg></html>", "text/plain; charset=utf-8"),
        (b'{"a": 1}', "text/plain; charset=utf-8"),
        (b"\x89PNG", "application/octet-stream"),
    ],
)
def test_content_says_what_it_is(content, media_type):
    assert media_type_of(content) == media_type


def test_long_comment_before_a_drawing_takes_no_time():
    assert media_type_of(b"<!--" * 1_000_000) == "text/plain; charset=utf-8"
    assert media_type_of(b"<!---->" * 500_000) == "text/plain; charset=utf-8"
