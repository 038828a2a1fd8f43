"""The attack table: nothing in it works in a confined child, and everything in it works without confinement."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workers.attacks import ALLOWED, ATTACKS, HOST_MAY_REFUSE

LAB = Path(__file__).with_name("attack_lab.py")
USERS = ("root", "nobody") if os.geteuid() == 0 else ("self",)
REFUSALS = ("refused: ", "killed: SIGXCPU", "stopped: RuntimeError can't start new thread", "stopped: MemoryError")
LIMIT_REFUSED = "stopped: ValueError not allowed to raise maximum limit"

pytestmark = pytest.mark.timeout(180)


@functools.cache
def run_lab(user: str, mode: str) -> dict[str, str]:
    lab = subprocess.run(
        [sys.executable, "-I", str(LAB), user, mode], capture_output=True, text=True, timeout=170, check=False
    )
    assert lab.returncode == 0, lab.stderr
    return json.loads(lab.stdout)


def was_refused(outcome: str) -> bool:
    return outcome.startswith((*REFUSALS, LIMIT_REFUSED))


def test_no_attack_was_lost():
    assert len(ATTACKS) == 50


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("attack", [name for name in ATTACKS if name != ALLOWED])
def test_attack_is_refused_when_confined(user, attack):
    outcome = run_lab(user, "full")[attack]
    assert was_refused(outcome), outcome


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_works_without_confinement(user, attack):
    outcome = run_lab(user, "off")[attack]
    assert outcome.startswith("worked: ") or (attack in HOST_MAY_REFUSE and was_refused(outcome)), outcome


@pytest.mark.parametrize("user", USERS)
def test_out_folder_can_be_written_when_the_profile_has_one(user):
    assert run_lab(user, "full")[ALLOWED] == "worked: written"


@pytest.mark.parametrize("user", USERS)
def test_nothing_can_be_written_when_the_profile_only_reads(user):
    outcomes = run_lab(user, "reading")
    assert [name for name, outcome in outcomes.items() if not was_refused(outcome)] == []


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    ("layer", "open_ways"),
    [
        ("landlock", {"Redis-like unix socket", "netlink socket", "fork 100 times", "SysV shared memory"}),
        ("seccomp", {"read /etc/passwd", "read a file of the service", "list /", "write to /tmp"}),
    ],
)
def test_one_layer_alone_is_not_enough(user, layer, open_ways):
    outcomes = run_lab(user, layer)
    assert {name for name in open_ways if outcomes[name].startswith("worked: ")} == open_ways
