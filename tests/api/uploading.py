"""Requests with files, as multipart/form-data."""

from urllib3.filepost import encode_multipart_formdata

DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def send_form(api, path, method="POST", **parts):
    """Send these parts; a tuple is a file: (name, content, type)."""
    body, content_type = encode_multipart_formdata(parts)
    return api.send(method, path, body, content_type)


def upload(api, content: bytes | None, leave_out="", **more):
    """Upload a Word template and return the answer."""
    parts = {"name": "Letter", "engine": "docx", "file": ("letter.docx", content, DOCX_TYPE), **more}
    parts.pop(leave_out, None)
    return send_form(api, "/api/v1/templates", **parts)
