"""QR codes and barcodes are read back by another library."""

import io

import pytest
import zxingcpp
from PIL import Image

FORMATS = {
    "code128": zxingcpp.BarcodeFormat.Code128,
    "ean13": zxingcpp.BarcodeFormat.EAN13,
    "ean8": zxingcpp.BarcodeFormat.EAN8,
    "upca": zxingcpp.BarcodeFormat.EAN13,  # the same bars as an EAN-13 with a 0 before it
}


def read_back(document, wanted):
    image = Image.open(io.BytesIO(document.content)).convert("L")
    return [found.text for found in zxingcpp.read_barcodes(image, formats=wanted)]


@pytest.mark.parametrize("value", ["1", "https://example.com/?q=1&r=ü", "你好", "A" * 300, "0123456789" * 20])
@pytest.mark.parametrize("error_correction", ["L", "H"])
def test_qr_code_says_its_value(draw, value, error_correction):
    layer = {"type": "qr", "x": 20, "y": 20, "width": 460, "height": 460, "value": value}
    document = draw({"width": 500, "height": 500, "layers": [{**layer, "error_correction": error_correction}]})
    assert read_back(document, zxingcpp.BarcodeFormat.QRCode) == [value]


@pytest.mark.parametrize(
    ("symbology", "value", "read"),
    [
        ("code128", "Automette", "Automette"),
        ("code128", "".join(map(chr, range(32, 80))), "".join(map(chr, range(32, 80)))),
        ("code128", "".join(map(chr, range(80, 127))), "".join(map(chr, range(80, 127)))),
        ("code128", "20261120", "20261120"),
        ("code128", "AB1234567CD99", "AB1234567CD99"),
        ("code128", "00112233445566778899aZ", "00112233445566778899aZ"),
        *(("ean13", f"{first}12345678901", None) for first in range(10)),
        ("ean13", "4006381333931", "4006381333931"),
        ("ean8", "9638507", "96385074"),
        ("ean8", "96385074", "96385074"),
        ("upca", "03600029145", "0036000291452"),
    ],
)
@pytest.mark.parametrize("show_text", [False, True])
def test_barcode_says_its_value(draw, symbology, value, read, show_text):
    layer = {"type": "barcode", "x": 20, "y": 20, "width": 1160, "height": 160, "value": value}
    layer |= {"symbology": symbology, "show_text": show_text}
    document = draw({"width": 1200, "height": 200, "layers": [layer]}, options={"scale": 2})
    found = read_back(document, FORMATS[symbology])
    assert len(found) == 1
    assert found[0] == read if read else found[0].startswith(value)
