"""What a process must know of its stack before it is confined, for the engines that compile Typst."""

import contextlib
from typing import Final

import typst

_STOPS_EARLY: Final = b"#let f(x) = x\n#f(1)\n#panic()"


def learn_stack() -> None:
    """Let Typst find out where this thread's stack ends, which takes /proc/self/maps and happens once per thread.

    A confined child cannot read that file, and would then get a new stack from the kernel for every function call of
    a template: 10 to 20 times slower. Children keep the zygote's thread and with it the answer. A document that fails
    while it is evaluated starts none of Typst's own threads, so the zygote can still be forked.
    """
    with contextlib.suppress(typst.TypstError):
        typst.Compiler(root="/").compile(input=_STOPS_EARLY)
