"""CPU and memory of the processes of a run, by group, as the kernel counts them in /proc.

A group is a process and everything that descends from it, children included that have ended since. Kernel threads
(writing back pages, say) belong to nobody and are not counted.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

GROUPS = ("web", "worker", "engine", "postgres", "redis", "s3", "sweeper", "load")
_TICKS = os.sysconf("SC_CLK_TCK")
_SERVERS = {"postgres": "postgres", "redis-server": "redis", "rclone": "s3"}


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `seconds` is its CPU, user and system, with that of its ended and reaped children."""

    pid: int
    parent: int
    arguments: str
    seconds: float


def read_processes() -> dict[int, Process]:
    """Return what runs on this machine now."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            arguments = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            pid = int(folder.name)
            found[pid] = Process(pid, int(fields[1]), arguments.strip(), sum(map(int, fields[11:15])) / _TICKS)
    return found


def find_servers() -> dict[int, str]:
    """Return pid and group of the embedded servers: the siblings of this process or of one it descends from.

    Servers that run elsewhere (DATABASE_URL and the like are set) are not found, and their CPU is not counted.
    """
    processes = read_processes()
    servers: dict[int, str] = {}
    ancestor = processes[os.getpid()]
    while ancestor.parent in processes and not servers:
        for one in processes.values():
            program = Path(one.arguments.partition(" ")[0]).name
            if one.parent == ancestor.parent and program in _SERVERS:
                servers[one.pid] = _SERVERS[program]
        ancestor = processes[ancestor.parent]
    return servers


def group_of(process: Process, processes: dict[int, Process], roots: dict[int, str]) -> str | None:
    """Return the group of the nearest ancestor that has one; engines are told by their zygote.

    Another application on this machine has zygotes as well, which are nobody's here.
    """
    current: Process | None = process
    is_engine = False
    while current is not None:
        is_engine = is_engine or "workers.zygote" in current.arguments
        if current.pid in roots:
            return "engine" if is_engine else roots[current.pid]
        current = processes.get(current.parent)
    return None


def cpu_seconds(roots: dict[int, str]) -> dict[str, float]:
    """Return the CPU that each group has used since it began.

    A process that ends while we read is counted twice, or not at all: by itself and by its parent. So the reading is
    repeated until the same processes were there before, during and after it.
    """
    before = _members(read_processes(), roots)
    while True:
        processes = read_processes()
        members = _members(processes, roots)
        after = _members(read_processes(), roots)
        if before.keys() == members.keys() == after.keys():
            break
        before = after
    used: defaultdict[str, float] = defaultdict(float)
    for pid, group in members.items():
        used[group] += processes[pid].seconds
    return dict(used)


def _members(processes: dict[int, Process], roots: dict[int, str]) -> dict[int, str]:
    groups = {pid: group_of(process, processes, roots) for pid, process in processes.items()}
    return {pid: group for pid, group in groups.items() if group}


def private_megabytes(roots: dict[int, str], zygotes: dict[int, str]) -> dict[str, float]:
    """Return the private memory (RssAnon) of the largest process of each kind. `zygotes` are their engines by pid.

    Shared memory is left out: PostgreSQL's buffers are one piece of fixed size that each backend comes to touch.
    """
    processes = read_processes()
    largest: dict[str, float] = {}
    for process in processes.values():
        if group := group_of(process, processes, roots):
            with contextlib.suppress(OSError):  # it ended while we looked
                kind = _kind(process, processes, group, zygotes)
                largest[kind] = max(largest.get(kind, 0.0), _anonymous_megabytes(process.pid))
    return dict(sorted(largest.items()))


def _kind(process: Process, processes: dict[int, Process], group: str, zygotes: dict[int, str]) -> str:
    parent = processes.get(process.parent)
    below = parent is not None and parent.arguments == process.arguments
    if group == "postgres":
        title = process.arguments.removeprefix("postgres: ")
        if title == process.arguments:
            return "postgres master"
        return "postgres backend" if "[local]" in title or "(" in title else f"postgres {title.split(' ')[0]}"
    if group == "engine":
        engine = zygotes.get(process.parent if below else process.pid, "engine")
        return f"{engine} child" if below else f"{engine} zygote"
    if group == "web":
        return "web worker" if below else "web master"
    return group


def _anonymous_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0
