"""File names of downloads, from a pattern with tokens; safe on every system."""

import datetime as dt
import re
import secrets
import unicodedata
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

DEFAULT_PATTERN: Final = "{template}-{datetime}-{random}"
MAX_BYTES: Final = 200
_TOKEN: Final = re.compile(r"\{([^{}]*)\}")
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*%;]+')
# Device names that Windows keeps for itself, whatever their extension.
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?")


def make_filename(
    *, pattern: str, template_name: str, data: Mapping[str, Any], extension: str, now: dt.datetime
) -> str:
    """Fill the pattern and return a safe name of at most 200 bytes, with the extension. Unknown tokens are empty."""
    values = {
        "template": template_name,
        "date": f"{now:%Y-%m-%d}",
        "time": f"{now:%H-%M-%S}",
        "datetime": f"{now:%Y-%m-%d-%H-%M-%S}",
        "random": secrets.token_hex(4),
    }

    def fill(match: re.Match[str]) -> str:
        value = values.get(match[1], data.get(match[1], ""))
        return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""

    stem = _safe(_TOKEN.sub(fill, pattern or DEFAULT_PATTERN))
    room = MAX_BYTES - len(extension) - 1
    return f"{_cut(stem, room) or 'document'}.{extension}"


def content_disposition(*, filename: str, as_attachment: bool) -> str:
    """Return the header's value with both names: an ASCII one for old clients, the real one (RFC 6266, RFC 8187)."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    stem, _, extension = re.sub(r'["\\\x00-\x1f\x7f]', "", plain).rpartition(".")
    plain = f"{stem.strip() or 'document'}.{extension}"
    kind = "attachment" if as_attachment else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _safe(name: str) -> str:
    name = unicodedata.normalize("NFC", name.encode("utf-8", "ignore").decode())
    # Cc control, Cf format (bidirectional overrides), Cs surrogates, Co private, Zl/Zp line breaks
    name = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in name)
    name = "".join(c for c in name if unicodedata.category(c) not in {"Cf", "Cs", "Co", "Cn"})
    name = re.sub(r"\s+", " ", _UNSAFE.sub("-", name)).strip(" .-")
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode("utf-8", "ignore").strip(" .-")
