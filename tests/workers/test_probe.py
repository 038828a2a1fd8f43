"""The start refuses unless the isolation is proved, layer by layer. Layers are taken away by parameters."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from workers.errors import IsolationMissingError
from workers.isolation import seccomp
from workers.isolation.confinement import Profile
from workers.isolation.landlock import abi
from workers.isolation.syscalls import AARCH64, READING, WRITING, X86_64
from workers.job import RenderJob
from workers.pool import EnginePool

PROJECT = Path(__file__).resolve().parents[2]
PROBE = """
import json, sys
from dataclasses import asdict
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from workers.isolation.confinement import Profile
from workers.isolation.probe import probe_isolation
report = probe_isolation(Profile(**json.loads(sys.argv[2])), Path(sys.argv[3]))
print(json.dumps(asdict(report)))
"""
OLD_KERNEL = """
import json, struct, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from workers.isolation import seccomp
from workers.errors import IsolationMissingError
from workers.job import RenderJob
from workers.pool import EnginePool
load_number, allow, missing = (0x20, 0, 0, 0), (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | 38)
program = (load_number, (0x15, 0, 1, 444), missing, allow)
seccomp.install(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
try:
    EnginePool(runtime_dir=Path(sys.argv[2])).start()
except IsolationMissingError as error:
    refused = str(error)
pool = EnginePool(runtime_dir=Path(sys.argv[2]), allow_unsafe=True, spares=0)
pool.start()
pages = pool.render("team", RenderJob(source="Hi")).pages
print(json.dumps({"refused": refused, "pages": pages, "status": pool.status()}))
pool.close()
"""
FULL = Profile(uid=60_598 if os.geteuid() == 0 else None)


def run_probe(profile: Profile, folder: Path) -> dict:
    """Probe in a process with one thread, as the zygote does."""
    values = {name: getattr(profile, name) for name in ("uid", "memory_bytes", "writable")}
    values["layers"] = list(profile.layers)
    return run_program(PROBE, json.dumps(values), str(folder))


def run_program(program: str, *arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(PROJECT), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_is_missing_with_both_layers(open_folder):
    report = run_probe(FULL, open_folder)
    assert report["missing"] == []
    assert report["active"]["landlock"] == abi()
    assert report["active"]["seccomp"] > 100


def test_missing_landlock_is_found_by_what_it_leaves_open(open_folder):
    report = run_probe(replace(FULL, layers=("seccomp",)), open_folder)
    assert "reading a file outside" in report["missing"]


def test_missing_seccomp_is_found_by_what_it_leaves_open(open_folder):
    report = run_probe(replace(FULL, layers=("landlock",)), open_folder)
    assert {"UDP", "unix sockets", "starting a process"} <= set(report["missing"])


def test_everything_is_open_without_layers_limits_and_user(open_folder):
    report = run_probe(replace(FULL, layers=(), uid=None, memory_bytes=1 << 50), open_folder)
    expected = {
        "reading a file outside", "writing a file outside", "UDP", "unix sockets", "signalling the parent",
        "64 GB of memory", "starting a process", "running a program",
    }  # fmt: skip
    assert expected <= set(report["missing"])


@pytest.mark.parametrize("layer", ["landlock", "seccomp"])
def test_pool_refuses_to_start_without_a_layer_and_leaves_nothing(layer, open_folder):
    pool = EnginePool(layers=(layer,), runtime_dir=open_folder)
    with pytest.raises(IsolationMissingError, match="cannot be confined here, open: "):
        pool.start()
    assert list(open_folder.iterdir()) == []


def test_pool_starts_without_a_layer_when_told_and_says_so(make_pool):
    pool = make_pool(layers=("seccomp",), allow_unsafe=True, spares=0)
    assert pool.render("team", RenderJob(source="Hi")).pages == 1
    status = pool.status()
    assert status["unsafe"] is True
    assert "reading a file outside" in status["missing"]


def test_kernel_without_landlock_is_refused_with_the_reason_or_used_without_it_when_told(open_folder):
    told = run_program(OLD_KERNEL, str(open_folder))
    assert "this kernel offers no Landlock" in told["refused"]
    assert told["pages"] == 1
    assert told["status"]["unsafe"] is True
    assert list(open_folder.iterdir()) == []


def test_status_names_the_layers_in_force(pool):
    status = pool.status()
    assert (status["unsafe"], status["missing"]) == (False, [])
    assert status["isolation"]["landlock"] == abi()


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_filter_can_be_built_for_both_machines(machine):
    code = seccomp.program(READING | WRITING, writes=True, own_pid=1, machine=machine)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096  # what the kernel takes
    assert machine.audit_architecture.to_bytes(4, "little") in code[:24]


def test_neither_list_holds_a_call_that_leads_out():
    dangerous = {
        "socket", "connect", "execve", "execveat", "fork", "vfork", "clone", "clone3", "ptrace", "mount", "bpf",
        "keyctl", "io_uring_setup", "userfaultfd", "process_vm_readv", "unshare", "chmod", "fchmod", "chown",
        "symlink", "link", "mknod", "truncate", "prlimit64", "prctl", "kill", "tgkill", "open", "openat",
        "perf_event_open", "shmget", "ioctl", "seccomp", "fcntl", "socketpair",
    }  # fmt: skip
    assert (READING | WRITING) & dangerous == set()
