"""Direct system calls through ctypes: the few that Python does not wrap and that confinement needs."""

import ctypes
import os
from pathlib import Path
from typing import Any

from workers.isolation.syscalls import this_machine

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(name: str, *arguments: Any) -> int:
    """Make one system call by name. Arguments are ctypes values; raises OSError as the `os` functions do."""
    number = this_machine().number(name)
    if number is None:
        raise NotImplementedError(f"{name} does not exist on this machine")
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(operation: int, argument: int = 0) -> int:
    result: int = _libc.prctl(
        ctypes.c_int(operation),
        ctypes.c_ulong(argument),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {operation}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    syscall("unshare", ctypes.c_ulong(flags))


def count_threads() -> int:
    """How many threads this process has, by the kernel's count: engines make threads that Python does not know."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
