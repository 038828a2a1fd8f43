"""What an engine needs of the child that it runs in, and what it finds in the child's slot."""

import os
from dataclasses import dataclass
from typing import Final

ROOT: Final = "root"
"""The folder of a slot that holds the files of the present job; all that a template can see."""
FONTS: Final = "fonts"
"""Beside it: the fonts of the child's team, each in a folder of its own so that their order is ours."""
SCRATCH: Final = "scratch"
"""Beside it, where an engine must write: the child's own folder."""


@dataclass(frozen=True, slots=True)
class ChildNeeds:
    """`readable` are paths of the system; the system calls are names.

    `idle_threads` is how many threads the engine leaves in the zygote, all of which must only wait. `scratch` asks
    for a folder to write to.
    """

    readable: tuple[str, ...] = ()
    extra_syscalls: frozenset[str] = frozenset()
    pretended_syscalls: frozenset[str] = frozenset()
    idle_threads: int = 0
    scratch: bool = False


def font_folders(folder: str) -> list[str]:
    """The folders to search for fonts, in order; none when there is no such folder.

    Typst takes folders and reads each in the order of the disk, which decides between two fonts that have the same
    character; with one font in each folder the order is ours.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 - a child is not to import more than it must
        return []
    return [f"{folder}/{name}" for name in sorted(os.listdir(folder))]  # noqa: PTH208
