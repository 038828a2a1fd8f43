"""Confine the calling process so that code running in it can compute and nothing else.

The order is part of the design and each step is placed where the next one would make it impossible or undo it:
descriptors, session, namespaces (needs root), user (drops root), limits, not dumpable, death signal (a change of
user clears it), Landlock, seccomp (after which none of the other calls exist any more).
Landlock and seccomp are both required and neither is enough alone; namespaces and the change of user are extras
that only root can have. The reasons are in docs/adr/0001-engine-isolation.md.
"""

import os
import resource
import signal
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from workers.isolation import kernel, landlock, seccomp, syscalls

LAYERS = frozenset({"landlock", "seccomp"})
"""The layers without which an engine does not start. A test takes one away to see the refusal."""

CPU_GRACE_SECONDS = 2
"""The hard limit above the soft one: code may ignore SIGXCPU, but not what follows."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one child may do. Paths are absolute; sizes are bytes."""

    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    extra_syscalls: frozenset[str] = frozenset()
    pretended_syscalls: frozenset[str] = frozenset()
    memory_bytes: int = 1 << 30
    cpu_seconds: int = 600
    file_bytes: int = 64 << 20
    open_files: int = 256
    uid: int | None = None
    layers: Collection[str] = LAYERS


def confine(profile: Profile, parent: int, keep: Collection[int]) -> dict[str, Any]:
    """Confine this process for ever, keeping the descriptors `keep`; gives the layers that are in force.

    Must be called while there is one thread, since neither Landlock nor seccomp reaches threads that already run.
    Raises OSError or LandlockUnavailableError when a layer cannot be had: the caller must then end the process.
    Ends the process itself if `parent` has died meanwhile.
    """
    if kernel.count_threads() != 1:
        raise RuntimeError("a process with several threads cannot be confined: the others would stay free")
    active: dict[str, Any] = {}
    close_descriptors(keep)
    os.setsid()
    if os.geteuid() == 0:
        active["namespaces"] = _leave_namespaces()
        if profile.uid is not None:
            _become(profile.uid)
            active["uid"] = profile.uid
    _limit(profile)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    if "landlock" in profile.layers:
        active["landlock"] = landlock.restrict(profile.readable, profile.writable)
    if "seccomp" in profile.layers:
        writes = bool(profile.writable)
        allowed = syscalls.READING | profile.extra_syscalls | (syscalls.WRITING if writes else frozenset())
        active["seccomp"] = seccomp.restrict(allowed, profile.pretended_syscalls, writes=writes)
    return active


def close_descriptors(keep: Collection[int]) -> None:
    """Close every descriptor but 0, 1, 2 and `keep`: an inherited socket or file is a right that no layer takes."""
    low = 3
    for kept in sorted({fd for fd in keep if fd >= low}):
        os.closerange(low, kept)
        low = kept + 1
    os.closerange(low, 1 << 20)


def _leave_namespaces() -> bool:
    """A network without interfaces and an IPC space of its own; root in a container may lack the right, and may."""
    try:
        kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    except OSError:
        return False
    return True


def _become(uid: int) -> None:
    for capability in range(64):
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
        except OSError:  # past the last capability that this kernel knows
            break
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)


def _limit(profile: Profile) -> None:
    for which, soft, hard in (
        (resource.RLIMIT_AS, profile.memory_bytes, profile.memory_bytes),
        (resource.RLIMIT_CPU, profile.cpu_seconds, profile.cpu_seconds + CPU_GRACE_SECONDS),
        (resource.RLIMIT_FSIZE, profile.file_bytes, profile.file_bytes),
        (resource.RLIMIT_NOFILE, profile.open_files, profile.open_files),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        inherited = resource.getrlimit(which)[1]  # nobody may ask for more
        if inherited == resource.RLIM_INFINITY:
            inherited = hard
        resource.setrlimit(which, (min(soft, inherited), min(hard, inherited)))
