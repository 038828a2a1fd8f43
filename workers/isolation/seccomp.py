"""seccomp: an allow-list of system calls, written as a classic BPF program.

It closes what Landlock does not see: UDP, netlink, vsock and pathname unix sockets, fork, prlimit, ptrace, io_uring,
keyctl, modes and owners. A refused call answers EPERM instead of killing the process, so that an engine reports an
ordinary error. A call whose arguments matter has a rule of its own. Not even socketpair is allowed: a datagram socket
made by it can send to any unix socket by its path.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from workers.isolation import kernel
from workers.isolation.syscalls import Machine, this_machine

_SECCOMP_SET_MODE_FILTER = 1
_RET_KILL_PROCESS, _RET_ERRNO, _RET_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_X32_SYSCALL_BIT = 0x40000000

# offsets in struct seccomp_data
_NUMBER, _ARCHITECTURE = 0, 4

_CLONE_THREAD = 0x00010000
_OPEN_READS, _OPEN_NEITHER = os.O_RDONLY, 3
_OPEN_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | 0o20000000  # and __O_TMPFILE
_PRCTL_HARMLESS = (
    15,  # PR_SET_NAME
    16,  # PR_GET_NAME
    0x53564D41,  # PR_SET_VMA, by which malloc names its mappings
    3,  # PR_GET_DUMPABLE
    23,  # PR_CAPBSET_READ
    39,  # PR_GET_NO_NEW_PRIVS
    30,  # PR_GET_TIMERSLACK
)
_FCNTL_HARMLESS = (0, 1, 2, 3, 4, 5, 6, 7, 1030)  # F_DUPFD, GETFD to SETFL, the locks, F_DUPFD_CLOEXEC
_IOCTL_HARMLESS = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _instruction(0x20, 0, 0, offset)


def _load_argument(index: int, *, high: bool = False) -> bytes:
    """Load one half of a 64-bit argument; both machines are little-endian."""
    return _load(16 + 8 * index + (4 if high else 0))


def _skip_unless_equal(value: int, count: int) -> bytes:
    return _instruction(0x15, 0, count, value)


def _keep_bits(mask: int) -> bytes:
    return _instruction(0x54, 0, 0, mask)


def _skip_if_any_bit(mask: int, count: int) -> bytes:
    return _instruction(0x45, count, 0, mask)


def _answer(value: int) -> bytes:
    return _instruction(0x06, 0, 0, value)


_ALLOW = _answer(_RET_ALLOW)
_REFUSE = _answer(_RET_ERRNO | errno.EPERM)
_PRETEND = _answer(_RET_ERRNO)
_MISSING = _answer(_RET_ERRNO | errno.ENOSYS)


def _if_argument_is_one_of(index: int, values: Iterable[int]) -> list[bytes]:
    body = [_load_argument(index)]
    for value in values:
        body += [_skip_unless_equal(value, 1), _ALLOW]
    return [*body, _REFUSE]


def _unless_argument_has(index: int, mask: int) -> list[bytes]:
    return [_load_argument(index), _skip_if_any_bit(mask, 1), _ALLOW, _REFUSE]


def _unless_it_empties_what_it_reads(index: int) -> list[bytes]:
    """O_TRUNC without writing empties a file by the right to read it, which Landlock sees from ABI 3 on only.

    Access mode 3 counts as neither reading nor writing when rights are judged, and truncates as well.
    """
    body = [_load_argument(index), _keep_bits(os.O_TRUNC | os.O_ACCMODE)]
    for mode in (_OPEN_READS, _OPEN_NEITHER):
        body += [_skip_unless_equal(os.O_TRUNC | mode, 1), _REFUSE]
    return [*body, _ALLOW]


def _rules(*, writes: bool, own_pid: int) -> dict[str, list[bytes]]:
    """Programs for the calls whose arguments are looked at; each ends in an answer."""
    own_process = _if_argument_is_one_of(0, (own_pid,))
    return {
        "openat": _unless_it_empties_what_it_reads(2) if writes else _unless_argument_has(2, _OPEN_CHANGES),
        "open": _unless_it_empties_what_it_reads(1) if writes else _unless_argument_has(1, _OPEN_CHANGES),
        # the flags of clone3 lie in memory, where a filter cannot look; glibc falls back to clone on ENOSYS only
        "clone3": [_MISSING],
        "clone": [_load_argument(0), _skip_if_any_bit(_CLONE_THREAD, 1), _REFUSE, _ALLOW],
        # reading limits only: the pointer to new values must be null
        "prlimit64": [
            _load_argument(2),
            _skip_unless_equal(0, 3),
            _load_argument(2, high=True),
            _skip_unless_equal(0, 1),
            _ALLOW,
            _REFUSE,
        ],
        # not F_SETOWN and F_SETSIG, by which the kernel signals any process of the same user on one's behalf
        "fcntl": _if_argument_is_one_of(1, _FCNTL_HARMLESS),
        "prctl": _if_argument_is_one_of(0, _PRCTL_HARMLESS),
        "ioctl": _if_argument_is_one_of(1, _IOCTL_HARMLESS),
        "kill": own_process,
        "tgkill": own_process,
    }


def program(
    allowed: Iterable[str], pretended: Iterable[str] = (), *, writes: bool, own_pid: int, machine: Machine
) -> bytes:
    """The filter as BPF bytes. `pretended` calls do nothing and answer success; `writes` opens files for writing."""
    wrong_machine = [
        _load(_ARCHITECTURE),
        _instruction(0x15, 1, 0, machine.audit_architecture),
        _answer(_RET_KILL_PROCESS),
        _load(_NUMBER),
        _instruction(0x35, 0, 1, _X32_SYSCALL_BIT),
        _REFUSE,
    ]
    bodies = _rules(writes=writes, own_pid=own_pid)
    bodies |= {name: [_PRETEND] for name in pretended}
    bodies |= {name: [_ALLOW] for name in allowed}
    code = wrong_machine
    for name, body in bodies.items():
        number = machine.number(name)
        if number is not None:
            code += [_skip_unless_equal(number, len(body)), *body]
    return b"".join([*code, _REFUSE])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def restrict(allowed: Iterable[str], pretended: Iterable[str] = (), *, writes: bool = False) -> int:
    """Put the filter in force for this thread and its descendants, for ever; gives its length in instructions."""
    code = program(allowed, pretended, writes=writes, own_pid=os.getpid(), machine=this_machine())
    return install(code)


def install(code: bytes) -> int:
    """Put a BPF program in force; gives its length in instructions."""
    buffer = ctypes.create_string_buffer(code, len(code))
    length = len(code) // 8
    description = _Program(length, ctypes.addressof(buffer))
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.syscall("seccomp", ctypes.c_uint(_SECCOMP_SET_MODE_FILTER), ctypes.c_uint(0), ctypes.byref(description))
    return length
