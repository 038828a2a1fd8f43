"""What the OpenAPI document shows of templates and their versions."""

from typing import Any, Final

from automette.openapi_examples import API, CREATED_AT, PROJECT_ID, TEMPLATE_ID, UPDATED_AT, Examples, error

SOURCE: Final = '#set page(paper: "a5")\n= Hello #data.at("name", default: "World")!\n'
_SELF: Final = f"{API}/templates/{TEMPLATE_ID}"
_LIST_ITEM: Final[dict[str, Any]] = {
    "id": TEMPLATE_ID,
    "name": "Greeting",
    "slug": None,
    "engine": "typst",
    "self": _SELF,
    "allowed_formats": ["pdf", "png", "svg"],
    "created_at": CREATED_AT,
    "updated_at": UPDATED_AT,
}
_TEMPLATE: Final = {
    **_LIST_ITEM,
    "available_fields": [{"key": "name", "type": "text", "example": "World"}],
    "fields": [{"key": "name", "type": "text", "label": "Name", "required": False}],
    "url_base": None,
    "published_version": 1,
}
_WRITTEN: Final = {**_TEMPLATE, "warnings": []}
_VERSION: Final = {"number": 1, "self": f"{_SELF}/versions/1", "published": True, "created_at": CREATED_AT}
_NOT_COMPILABLE: Final = error(
    "source: line 1, column 3: unclosed delimiter",
    diagnostics=[{"file": None, "line": 1, "column": 3, "message": "unclosed delimiter", "hint": None}],
)
_FORM: Final = {
    "name": "Greeting",
    "engine": "typst",
    "project_id": PROJECT_ID,
    "example_data": '{"name": "Ada"}',
}
_ID: Final = {"template_id": TEMPLATE_ID}

EXAMPLES: Final = {
    "list_templates": Examples(
        answers={
            200: {"Oldest first": [_LIST_ITEM]},
            422: {"Unknown engine": error("engine: Must be one of: typst, canvas, docx.")},
        },
    ),
    "create_template": Examples(
        description="The source is tried out before it is kept. Typst and Canvas can be sent as JSON; Word files, "
        "and zip archives of several Typst files with a `main.typ`, as multipart/form-data.",
        body={
            "Typst": {"name": "Greeting", "engine": "typst", "source": SOURCE},
            "Canvas": {
                "name": "Banner",
                "engine": "canvas",
                "source": {
                    "width": 600,
                    "height": 200,
                    "layers": [
                        {"type": "rect", "x": 0, "y": 0, "width": 600, "height": 200, "fill": "#0b6e4f"},
                        {
                            "type": "text",
                            "field": "headline",
                            "text": "Hello",
                            "x": 40,
                            "y": 60,
                            "width": 520,
                            "height": 80,
                            "font_size": 48,
                            "color": "#ffffff",
                        },
                    ],
                },
            },
        },
        form=_FORM,
        answers={
            201: {"Created": _WRITTEN},
            400: {"A field is missing": error("source: This field is required.")},
            422: {
                "A value is not allowed": error("engine: Must be one of: typst, canvas, docx."),
                "Not compilable": _NOT_COMPILABLE,
            },
        },
    ),
    "get_template": Examples(parameters=_ID, answers={200: {"Template": _TEMPLATE}}),
    "update_template": Examples(
        description="What is left out stays. A new `source` or `file` makes a new version, which renders use from "
        "then on unless `publish` is false.",
        parameters=_ID,
        body={
            "A new source": {"source": SOURCE.replace("Hello", "Good evening")},
            "A new name": {"name": "Greeting", "filename_pattern": "{template}-{name}-{date}"},
        },
        form=_FORM,
        answers={
            200: {"Changed": {**_WRITTEN, "published_version": 2}},
            422: {
                "A value is not allowed": error("engine: A template keeps its engine. Create another template."),
                "Not compilable": _NOT_COMPILABLE,
            },
        },
    ),
    "delete_template": Examples(parameters=_ID, answers={200: {"Deleted": {"id": TEMPLATE_ID, "deleted": True}}}),
    "publish_version": Examples(
        parameters=_ID,
        body={"An earlier one": {"version": 1}, "The newest": {}},
        answers={
            200: {"Template": _TEMPLATE},
            422: {"No such version": error("version: This template has no version 7.")},
        },
    ),
    "list_versions": Examples(parameters=_ID, answers={200: {"Newest first": [_VERSION]}}),
    "get_version": Examples(
        description="With `file` the answer redirects to the content of that file; this page cannot follow it there, "
        "a browser or `curl -L` can.",
        parameters={**_ID, "number": 1},
        answers={
            200: {
                "Version": {
                    **_VERSION,
                    "template_id": TEMPLATE_ID,
                    "source": SOURCE,
                    "files": [],
                    "available_fields": _TEMPLATE["available_fields"],
                    "example_data": None,
                }
            },
            422: {"Not a name": error("file: This field may not be blank.")},
        },
    ),
}
