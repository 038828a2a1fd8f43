"""Landlock: which files this process may open. Rules hold for the calling thread and its children, for ever.

A rule names a folder; whatever is put below it later may be opened too, so a child can be locked before its job is
known. Symlinks are judged by their target. The structures are those of `linux/landlock.h`.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from workers.isolation import kernel

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_RIGHTS_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""A rule on something that is not a folder may hold only these, else the kernel answers EINVAL."""

_NET_TCP = 0b11  # bind and connect
_SCOPE = 0b11  # abstract unix sockets and signals
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_ABI_TRUNCATE, _ABI_NET, _ABI_IOCTL, _ABI_SCOPE = 3, 4, 5, 6


class LandlockUnavailableError(Exception):
    """The kernel has no Landlock, or one too old for what was asked."""


def abi() -> int:
    """The version of Landlock in this kernel; 0 when there is none (not built in, not enabled, gVisor)."""
    try:
        return kernel.syscall(
            "landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint32(_CREATE_RULESET_VERSION)
        )
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str]) -> int:
    """Allow reading below `readable` and writing plain files below `writable`, nothing else; gives the ABI in force.

    Nothing may be executed anywhere; where the kernel can (ABI 4, 6) TCP, abstract sockets and signals to processes
    outside are closed as well. Below ABI 3 a file can be emptied by opening it for reading with O_TRUNC, which is for
    seccomp to refuse. Raises LandlockUnavailableError.
    """
    version = abi()
    if version == 0:
        raise LandlockUnavailableError("this kernel offers no Landlock (5.13 or newer with landlock among its LSMs)")
    handled = _handled_rights(version)
    attributes = struct.pack("=QQQ", handled, _NET_TCP, _SCOPE)[: _size_of_attributes(version)]
    ruleset = kernel.syscall(
        "landlock_create_ruleset",
        ctypes.c_char_p(attributes),
        ctypes.c_size_t(len(attributes)),
        ctypes.c_uint32(0),
    )
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.syscall("landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version


def _handled_rights(version: int) -> int:
    rights = _REFER - 1
    if version > 1:
        rights |= _REFER
    if version >= _ABI_TRUNCATE:
        rights |= _TRUNCATE
    if version >= _ABI_IOCTL:
        rights |= _IOCTL_DEV
    return rights


def _size_of_attributes(version: int) -> int:
    if version >= _ABI_SCOPE:
        return 24
    return 16 if version >= _ABI_NET else 8


def _allow(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # a folder that does not exist needs no right
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not Path(path).is_dir():
                rights &= _RIGHTS_OF_A_FILE
            kernel.syscall(
                "landlock_add_rule",
                ctypes.c_int(ruleset),
                ctypes.c_int(_RULE_PATH_BENEATH),
                ctypes.c_char_p(struct.pack("=Qi", rights, fd)),
                ctypes.c_uint32(0),
            )
        finally:
            os.close(fd)
