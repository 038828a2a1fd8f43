"""Run every attack on a confined (or, for control, unconfined) child and print what happened as JSON.

A program of its own, because confinement needs a process with one thread and a user of its choice:
`python -I attack_lab.py USER MODE` with USER `root` (children drop to a user of their own), `nobody` or `self`, and
MODE `off`, `landlock`, `seccomp`, `full` or `reading` (full, with no folder to write to).
"""

import contextlib
import json
import os
import pwd
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from attacks import ATTACKS, Surroundings

from workers.isolation import kernel
from workers.isolation.confinement import LAYERS, Profile, confine

CHILD_UID = 60_599
DEADLINE_SECONDS = 60
CPU_SECONDS = 1


def listeners(folder: Path, server: list[socket.socket]) -> dict[str, object]:
    """Open what a service has around it: TCP, UDP, a Redis-like and a PostgreSQL-like socket, an abstract one."""
    tcp = socket.create_server(("127.0.0.1", 0), backlog=50)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0automette-lab-{os.getpid()}")
    abstract.listen(50)
    server += [tcp, udp, abstract]
    paths = {}
    for name in ("redis.sock", ".s.PGSQL.5432"):
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(folder / name))
        (folder / name).chmod(0o777)
        unix.listen(50)
        server.append(unix)
        paths[name] = str(folder / name)
    syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    syslog.bind(str(folder / "log"))
    (folder / "log").chmod(0o777)
    server.append(syslog)
    return {
        "syslog": str(folder / "log"),
        "tcp_port": tcp.getsockname()[1],
        "udp_port": udp.getsockname()[1],
        "redis": paths["redis.sock"],
        "postgres": paths[".s.PGSQL.5432"],
        "abstract": abstract.getsockname(),
    }


def serve(server: list[socket.socket]) -> int:
    """Answer every connection and datagram in a process of its own, so that the lab keeps one thread."""
    pid = os.fork()
    if pid:
        for listener in server:
            listener.close()
        return pid
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kept = []
    while True:
        for ready in select.select(server, [], [])[0]:
            if ready.type == socket.SOCK_DGRAM:
                _, sender = ready.recvfrom(100)
                if sender:
                    ready.sendto(b"pong", sender)
            else:
                connection, _ = ready.accept()
                kept.append(connection)
                with contextlib.suppress(OSError):
                    connection.send(b"hello")


def profile(mode: str, user: str, folder: Path) -> Profile:
    return Profile(
        readable=(str(folder / "in"),),
        writable=() if mode == "reading" else (str(folder / "out"),),
        cpu_seconds=CPU_SECONDS,
        uid=CHILD_UID if user == "root" else None,
        layers=LAYERS if mode in {"full", "reading"} else {mode},
    )


def in_child(action, mode, user, folder, parent):
    """Fork, confine as asked, do `action` and report; gives the pid and the reading end of the report."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.close(reading)
    report = "setup failed"
    try:
        if mode != "off":
            confine(profile(mode, user, folder), parent, keep=(writing,))
        report = "worked: " + str(action(writing))
    except OSError as error:
        report = f"refused: {type(error).__name__} {error}"
    # a program that runs attacks must report whatever comes of them
    except BaseException as error:  # noqa: BLE001
        report = f"stopped: {type(error).__name__} {error}"
    os.write(writing, report.encode()[:200])
    os._exit(0)


def outcome(pid: int, reading: int) -> str:
    said = b""
    if select.select([reading], [], [], DEADLINE_SECONDS)[0]:
        said = os.read(reading, 1000)
    handle = os.pidfd_open(pid)
    if not said:  # it ended, or became another program that will
        select.select([handle], [], [], DEADLINE_SECONDS)
    os.close(handle)
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(reading)
    if said:
        return said.decode()
    if status == 42:
        return "worked: another program ran"
    return f"killed: {signal.Signals(-status).name}" if status < 0 else f"ended: {status}"


def prepare(user: str) -> Path:
    """Make the folders of the lab, owned as the pool would, after becoming the user who runs it."""
    if user == "nobody":
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
        os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # as a service has it that never changed its user
    folder = Path(tempfile.mkdtemp(prefix="automette-lab-"))
    folder.chmod(0o755)
    for name in ("in", "out"):
        (folder / name).mkdir(mode=0o755)
    (folder / "secret").write_bytes(b"TOPSECRET")
    if user == "root":
        os.chown(folder / "out", CHILD_UID, CHILD_UID)
    return folder


def main() -> None:
    user, mode = sys.argv[1:]
    folder = prepare(user)
    server: list[socket.socket] = []
    addresses = listeners(folder, server)
    server_pid = serve(server)
    leaked = os.open(folder / "secret", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    sibling, ready = in_child(sleep_as_sibling, mode, user, folder, os.getpid())
    os.read(ready, 1)
    around = Surroundings(folder=folder, parent=os.getpid(), sibling=sibling, **addresses)
    results = {}
    try:
        for name, attack in ATTACKS.items():
            child = in_child(lambda report, attack=attack: attack(around, report), mode, user, folder, os.getpid())
            results[name] = outcome(*child)
    finally:
        for pid in (sibling, server_pid):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shutil.rmtree(folder)
    print(json.dumps(results))


def sleep_as_sibling(report: int) -> None:
    os.write(report, b".")
    time.sleep(600)


if __name__ == "__main__":
    main()
