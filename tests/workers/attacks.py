"""Forty-nine things that code in a child must not be able to do, each a function that raises or returns.

An attack gets its surroundings and the descriptor of its report, which it may not count as a find.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.isolation import kernel

_CANARY = ctypes.create_string_buffer(b"TOPSECRETTOPSECRET")
_MEGABYTE = 1 << 20
_LOOP_CPU_SECONDS = 2  # twice what the lab allows
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Surroundings:
    folder: Path
    parent: int
    sibling: int
    tcp_port: int
    udp_port: int
    redis: str
    postgres: str
    abstract: bytes
    syslog: str


Attack = Callable[[Surroundings, int], object]
ATTACKS: dict[str, Attack] = {}

ALLOWED = "write in the out folder"
"""The one thing in the table that a child with an out folder may do."""

HOST_MAY_REFUSE = frozenset(
    {
        # a container, a distribution or an unprivileged user may lack these without any confinement of ours
        "process_vm_readv of the parent", "vsock socket", "ptrace the parent", "ptrace a sibling", "mount a tmpfs",
        "/proc/parent/mem", "unshare a user namespace", "bpf", "keyctl", "io_uring", "userfaultfd",
        "perf_event_open", "become uid 0", "start 2000 threads",
    }
)  # fmt: skip


def attack(name: str) -> Callable[[Attack], Attack]:
    def register(function: Attack) -> Attack:
        ATTACKS[name] = function
        return function

    return register


def _call(name: str, *arguments: int | bytes) -> int:
    values = [
        ctypes.c_char_p(argument) if isinstance(argument, bytes) else ctypes.c_long(argument)
        for argument in arguments
    ]
    return kernel.syscall(name, *values)


def _read(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return f"read {len(file.read(4096))} bytes"


def _write(path: Path) -> str:
    path.write_text("x")
    path.unlink()
    return "written"


def _talk(address: str | bytes) -> str:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.settimeout(30)
        unix.connect(address)
        unix.send(b"PING\r\n")
        return f"answered {unix.recv(5)!r}"


ATTACKS["read /etc/passwd"] = lambda *_: _read("/etc/passwd")
ATTACKS["read a file of the service"] = lambda around, _: _read(around.folder / "secret")
ATTACKS["list /"] = lambda *_: list(Path("/").iterdir())
ATTACKS["/proc/parent/environ"] = lambda around, _: _read(f"/proc/{around.parent}/environ")
ATTACKS["/proc/sibling/environ"] = lambda around, _: _read(f"/proc/{around.sibling}/environ")


@attack("/proc/parent/mem")
def read_parent_memory(around, _):
    fd = os.open(f"/proc/{around.parent}/mem", os.O_RDONLY)
    return len(os.pread(fd, 16, ctypes.addressof(_CANARY)))


@attack("process_vm_readv of the parent")
def read_parent_memory_by_call(around, _):
    buffer = ctypes.create_string_buffer(16)
    ours = struct.pack("QQ", ctypes.addressof(buffer), 16)
    theirs = struct.pack("QQ", ctypes.addressof(_CANARY), 16)
    return _call("process_vm_readv", around.parent, ours, 1, theirs, 1, 0)


@attack("secret through an inherited descriptor")
def search_descriptors(_, report):
    for fd in range(3, 200):
        if fd == report:
            continue
        try:
            if b"TOPSECRET" in os.pread(fd, 64, 0):
                return f"found in {fd}"
        except OSError:
            pass
    raise OSError(errno.EBADF, "nothing found")


@attack("TCP connect")
def connect_tcp(around, _):
    with socket.socket() as tcp:
        tcp.settimeout(30)
        tcp.connect(("127.0.0.1", around.tcp_port))
        return tcp.recv(5)


@attack("TCP listen")
def listen_tcp(*_):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


@attack("UDP question and answer")
def ask_udp(around, _):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(30)
        udp.sendto(b"q", ("127.0.0.1", around.udp_port))
        return udp.recv(10)


ATTACKS["Redis-like unix socket"] = lambda around, _: _talk(around.redis)
ATTACKS["PostgreSQL-like unix socket"] = lambda around, _: _talk(around.postgres)
ATTACKS["abstract unix socket"] = lambda around, _: _talk(around.abstract)
ATTACKS["netlink socket"] = lambda *_: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
ATTACKS["vsock socket"] = lambda *_: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM, 0).close()
ATTACKS["spawn a shell"] = lambda *_: subprocess.run(["/bin/sh", "-c", "exit 7"], check=False).returncode
ATTACKS["execve a shell"] = lambda *_: os.execv("/bin/sh", ["sh", "-c", "exit 42"])


@attack("fork 100 times")
def fork_bomb(*_):
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(0.2)
            os._exit(0)


@attack("start 2000 threads")
def start_threads(*_):
    end = threading.Event()
    for _ in range(2000):
        threading.Thread(target=end.wait, daemon=True).start()


ATTACKS["write to /tmp"] = lambda around, _: _write(Path("/tmp", f"lab-{around.parent}"))
ATTACKS["write to /dev/shm"] = lambda around, _: _write(Path("/dev/shm", f"lab-{around.parent}"))
ATTACKS["write in the in folder"] = lambda around, _: _write(around.folder / "in" / "x")
ATTACKS[ALLOWED] = lambda around, _: _write(around.folder / "out" / "x")
ATTACKS["symlink in the out folder"] = lambda around, _: (around.folder / "out" / "l").symlink_to("/etc")
ATTACKS["fifo in the out folder"] = lambda around, _: os.mkfifo(around.folder / "out" / "f")
ATTACKS["hard link into the out folder"] = lambda around, _: os.link(
    around.folder / "secret", around.folder / "out" / "h"
)


@attack("change a mode outside")
def change_mode(around, _):
    secret = around.folder / "secret"
    secret.chmod(0o640)
    if secret.stat().st_mode & 0o777 != 0o640:
        raise OSError(errno.EPERM, "the mode is as it was")
    secret.chmod(0o644)


@attack("empty a file opened for reading")
def truncate_by_open(around, _):
    os.close(os.open(around.folder / "in", os.O_RDONLY | os.O_DIRECTORY))
    os.open(around.folder / "secret", os.O_RDONLY | os.O_TRUNC)
    (around.folder / "secret").write_bytes(b"TOPSECRET")


@attack("empty a file opened for neither reading nor writing")
def truncate_by_odd_open(around, _):
    os.open(around.folder / "secret", 3 | os.O_TRUNC)  # access mode 3 asks for both rights and gets none
    (around.folder / "secret").write_bytes(b"TOPSECRET")


@attack("write 200 MB")
def write_much(around, _):
    path = around.folder / "out" / "big"
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(200):
                if file.write(bytes(_MEGABYTE)) < _MEGABYTE:
                    raise OSError(errno.EFBIG, "cut short")
    finally:
        path.unlink(missing_ok=True)


ATTACKS["allocate 4 GB"] = lambda *_: mmap.mmap(-1, 4 << 30).close()


@attack("compute without end")
def loop(*_):
    while time.process_time() < _LOOP_CPU_SECONDS:
        pass


ATTACKS["signal the parent"] = lambda around, _: os.kill(around.parent, signal.SIGUSR1)
ATTACKS["signal a sibling"] = lambda around, _: os.kill(around.sibling, 0)


@attack("signal the parent through a descriptor")
def own_by_parent(around, _):
    fcntl.fcntl(0, fcntl.F_SETOWN, around.parent)
    fcntl.fcntl(0, 10, signal.SIGUSR1)  # F_SETSIG


@attack("datagram to a unix socket by its path")
def send_by_path(around, _):
    ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, other:
        ours.sendto(b"hello", around.syslog)


ATTACKS["ptrace the parent"] = lambda around, _: _call("ptrace", 0x4206, around.parent, 0, 0)
ATTACKS["ptrace a sibling"] = lambda around, _: _call("ptrace", 0x4206, around.sibling, 0, 0)
ATTACKS["change a limit of the parent"] = lambda around, _: _call(
    "prlimit64", around.parent, resource.RLIMIT_CORE, struct.pack("QQ", 0, 0), 0
)


@attack("mount a tmpfs")
def mount(around, _):
    target = os.fsencode(around.folder / "out")
    _call("mount", b"none", target, b"tmpfs", 0, b"")
    _libc.umount(target)


ATTACKS["unshare a user namespace"] = lambda *_: kernel.unshare(0x10000000)
ATTACKS["bpf"] = lambda *_: _call("bpf", 0, struct.pack("=IIII", 2, 4, 4, 1) + bytes(100), 72)
ATTACKS["keyctl"] = lambda *_: _call("keyctl", 0, -3, 1)
ATTACKS["io_uring"] = lambda *_: _call("io_uring_setup", 4, bytes(120))
ATTACKS["userfaultfd"] = lambda *_: _call("userfaultfd", 1)
ATTACKS["perf_event_open"] = lambda *_: _call(
    "perf_event_open", struct.pack("=II", 1, 112) + bytes(104), 0, -1, -1, 0
)


@attack("SysV shared memory")
def share_memory(*_):
    segment = _call("shmget", 0, 4096, 0o1600)
    _libc.shmctl(segment, 0, None)


ATTACKS["become uid 0"] = lambda *_: os.setresuid(0, 0, 0)
ATTACKS["raise the processor limit"] = lambda *_: resource.setrlimit(resource.RLIMIT_CPU, (3600, 3600))
