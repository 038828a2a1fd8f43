import re

from tests.stack.conftest import PROJECT


def test_the_example_lists_every_variable_that_the_settings_read() -> None:
    read = set(
        re.findall(r"""\benv(?:\.\w+)?\(\s*["'](\w+)["']""", (PROJECT / "automette" / "settings.py").read_text())
    )
    read |= set(re.findall(r"""environ\.get\(["'](\w+)["']""", (PROJECT / "automette" / "gunicorn.py").read_text()))
    listed = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert read == listed
