"""What the OpenAPI document shows of assets and fonts."""

from typing import Any, Final

from automette.openapi_examples import API, ASSET_ID, CREATED_AT, FONT_ID, TEMPLATE_ID, UPDATED_AT, Examples, error

_ASSET: Final[dict[str, Any]] = {
    "id": ASSET_ID,
    "self": f"{API}/assets/{ASSET_ID}",
    "name": "images/logo.svg",
    "template_id": None,
    "media_type": "image/svg+xml",
    "size_bytes": 172,
    "sha256": "0b3c1d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a",
    "created_at": CREATED_AT,
    "updated_at": UPDATED_AT,
}
_FONT: Final[dict[str, Any]] = {
    "id": FONT_ID,
    "self": f"{API}/fonts/{FONT_ID}",
    "filename": "Lato-Regular.ttf",
    "families": ["Lato"],
    "faces": [{"family": "Lato", "style": "normal", "weight": 400}],
    "warnings": [],
    "size_bytes": 75152,
    "sha256": "8f90a1b2c3d4e5f60718293a4b5c6d7e8f90a0b3c1d4e5f60718293a4b5c6d7e",
    "created_at": CREATED_AT,
}
_NO_FILE: Final = {
    "The file is missing": error("file: This field is required."),
    "Not a form": error("The body is not valid multipart/form-data: it does not begin with its boundary."),
}
_DOWNLOAD: Final = (
    "With `download=true` the answer redirects to the file; this page cannot follow it there, a browser or `curl -L` "
    "can."
)
_NOT_BOOLEAN: Final = {"Neither true nor false": error("download: Must be a valid boolean.")}
_LARGE_FORM: Final = {"Too large": error("The body is larger than 25,000,000 bytes.")}

EXAMPLES: Final = {
    "list_assets": Examples(
        answers={
            200: {"Oldest first": [_ASSET]},
            422: {"Not an id": error("template_id: This field may not be blank.")},
        }
    ),
    "save_asset": Examples(
        description='Templates find it by its `name`: `image("images/logo.svg")` in Typst.',
        form={"name": "images/logo.svg", "template_id": TEMPLATE_ID},
        answers={
            200: {"Replaced": _ASSET},
            201: {"Created": _ASSET},
            400: _NO_FILE,
            413: {**_LARGE_FORM, "File too large": error("file: larger than 10,000,000 bytes.")},
            422: {"Name too long": error("name: Must have 1 to 200 characters.")},
        },
    ),
    "get_asset": Examples(
        description=_DOWNLOAD,
        parameters={"asset_id": ASSET_ID},
        answers={200: {"Asset": _ASSET}, 422: _NOT_BOOLEAN},
    ),
    "delete_asset": Examples(
        description="Renders that have begun still find it.",
        parameters={"asset_id": ASSET_ID},
        answers={200: {"Deleted": {"id": ASSET_ID, "deleted": True}}},
    ),
    "list_fonts": Examples(answers={200: {"Oldest first": [_FONT]}}),
    "add_font": Examples(
        description="Text is set in it before it is kept, so a file that cannot be used is refused.",
        answers={
            200: {"Known already": _FONT},
            201: {"Created": _FONT},
            400: _NO_FILE,
            413: {**_LARGE_FORM, "File too large": error("file: larger than 20,000,000 bytes.")},
            422: {"No font": error("file: This is not a font. Upload a TrueType or OpenType font (.ttf, .otf).")},
        },
    ),
    "get_font": Examples(
        description=_DOWNLOAD, parameters={"font_id": FONT_ID}, answers={200: {"Font": _FONT}, 422: _NOT_BOOLEAN}
    ),
    "delete_font": Examples(
        description="Renders that have begun still use it.",
        parameters={"font_id": FONT_ID},
        answers={200: {"Deleted": {"id": FONT_ID, "deleted": True}}},
    ),
    "list_font_families": Examples(
        answers={
            200: {"By name": [{"family": "Lato", "source": "server"}, {"family": "Our Sans", "source": "team"}]},
            503: {"No worker": error("No worker could look at it just now. Try again in a moment.")},
        }
    ),
}
