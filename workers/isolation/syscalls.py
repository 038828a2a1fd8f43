"""System call numbers of the two supported machines, and the lists of calls that an engine may make.

Numbers are the kernel's ABI and never change: x86-64 from `asm/unistd_64.h`, aarch64 from `asm-generic/unistd.h`.
Each row is name: (x86-64, aarch64). A call that a machine does not have is `None` there: aarch64 has only the
`*at` forms.
The lists were found by running the engines under the filter and taking away what they do not need.
"""

import platform
from dataclasses import dataclass
from typing import Final

NUMBERS: Final[dict[str, tuple[int, int | None]]] = {
    "read": (0, 63),
    "write": (1, 64),
    "open": (2, None),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "ioctl": (16, 29),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "select": (23, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "mincore": (27, 232),
    "madvise": (28, 233),
    "dup": (32, 23),
    "dup2": (33, None),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "shutdown": (48, 210),
    "getsockname": (51, 204),
    "socketpair": (53, 199),
    "getsockopt": (55, 209),
    "clone": (56, 220),
    "exit": (60, 93),
    "kill": (62, 129),
    "uname": (63, 160),
    "fcntl": (72, 25),
    "flock": (73, 32),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "getdents": (78, None),
    "getcwd": (79, 17),
    "chdir": (80, 49),
    "rename": (82, None),
    "mkdir": (83, None),
    "rmdir": (84, None),
    "creat": (85, None),
    "unlink": (87, None),
    "readlink": (89, None),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "umask": (95, 166),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "getpgrp": (111, None),
    "getresuid": (118, 148),
    "getresgid": (120, 150),
    "sigaltstack": (131, 132),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "prctl": (157, 167),
    "arch_prctl": (158, None),
    "mlock": (149, 228),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "getdents64": (217, 61),
    "set_tid_address": (218, 96),
    "restart_syscall": (219, 128),
    "fadvise64": (221, 223),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "epoll_wait": (232, None),
    "epoll_ctl": (233, 21),
    "tgkill": (234, 131),
    "openat": (257, 56),
    "mkdirat": (258, 34),
    "newfstatat": (262, 79),
    "unlinkat": (263, 35),
    "renameat": (264, 38),
    "readlinkat": (267, 78),
    "fchmodat": (268, 53),
    "faccessat": (269, 48),
    "pselect6": (270, 72),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "fallocate": (285, 47),
    "eventfd2": (290, 19),
    "epoll_create1": (291, 20),
    "dup3": (292, 24),
    "pipe2": (293, 59),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "prlimit64": (302, 261),
    "renameat2": (316, 276),
    "getrandom": (318, 278),
    "memfd_create": (319, 279),
    "membarrier": (324, 283),
    "copy_file_range": (326, 285),
    "statx": (332, 291),
    "rseq": (334, 293),
    "close_range": (436, 436),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "clone3": (435, 435),
    "faccessat2": (439, 439),
    "epoll_pwait": (281, 22),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "getpriority": (140, 141),
    "wait4": (61, 260),
    "unshare": (272, 97),
    "capset": (126, 91),
    "seccomp": (317, 277),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "shmget": (29, 194),
    "mount": (165, 40),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


READING = _names("""
    read write close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn
    pread64 pwrite64 readv writev access select sched_yield mremap mincore madvise dup dup2 nanosleep getpid sendto
    recvfrom sendmsg recvmsg shutdown getsockname getsockopt exit uname flock getdents getcwd readlink umask
    gettimeofday getrlimit getrusage sysinfo times getuid getgid geteuid getegid getppid getpgrp getresuid getresgid
    sigaltstack arch_prctl gettid time futex sched_getaffinity getdents64 set_tid_address restart_syscall fadvise64
    clock_gettime clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl epoll_pwait newfstatat readlinkat
    faccessat faccessat2 pselect6 ppoll set_robust_list get_robust_list eventfd2 epoll_create1 dup3 pipe2 preadv
    pwritev getrandom membarrier statx rseq close_range sched_getparam sched_getscheduler sched_get_priority_max
    sched_get_priority_min getpriority statfs fstatfs
    """)
"""What a program needs to compute with files that are only read. `open` and `openat` have rules of their own."""

WRITING = _names("""
    fsync fdatasync ftruncate rename mkdir rmdir unlink mkdirat unlinkat renameat renameat2 fallocate copy_file_range
    creat
    """)
"""What writing into a folder of its own adds. Never links, device nodes, modes or owners."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor architecture: its place in the table and its audit number (`linux/audit.h`)."""

    column: int
    audit_architecture: int

    def number(self, name: str) -> int | None:
        return NUMBERS[name][self.column]


X86_64 = Machine(0, 0xC000003E)
AARCH64 = Machine(1, 0xC00000B7)


def this_machine() -> Machine:
    """The machine this process runs on. Raises NotImplementedError where there is no table for it."""
    match platform.machine():
        case "x86_64" | "amd64":
            return X86_64
        case "aarch64" | "arm64":
            return AARCH64
        case other:
            raise NotImplementedError(f"there is no system call table for {other}; x86-64 and aarch64 are supported")
