"""The pool's promises: one team per child, limits that hold, children that are replaced, nothing left behind."""

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.workers.conftest import FONTS, as_root, is_alive, wait_until
from workers.errors import EngineUnavailableError, LimitExceededError, RenderError
from workers.job import Limits, RenderJob
from workers.pool import EnginePool
from workers.runtime_dir import PREFIX
from workers.zygote_process import ZygoteGoneError

PROJECT = Path(__file__).resolve().parents[2]
HELLO = RenderJob(source="Hello")
FOREVER = RenderJob(source="#for i in range(100000) { for j in range(100000) { } }", limits=Limits(wall_seconds=60))
OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from workers.job import RenderJob
from workers.pool import EnginePool
pool = EnginePool(runtime_dir=Path(sys.argv[2]), spares=2)
pool.start()
pool.render("a", RenderJob(source="Hello"))
while pool.status()["spares"] < 2:
    time.sleep(0.01)
import contextlib
import json
print(json.dumps(pool.status()), flush=True)
time.sleep(600)
"""


def children_by_team(pool: EnginePool) -> dict[str, set[int]]:
    return {team: set(pids) for team, pids in pool.status()["teams"].items()}


def test_child_stays_with_its_team_and_is_used_again(make_pool):
    pool = make_pool(children=2, spares=1)
    for _ in range(3):
        for team in ("a", "b"):
            pool.render(team, HELLO)
    teams = children_by_team(pool)
    assert {team: len(pids) for team, pids in teams.items()} == {"a": 1, "b": 1}
    assert teams["a"] != teams["b"]


def test_no_child_ever_serves_two_teams(make_pool):
    pool = make_pool(children=2, spares=1, max_jobs=3)
    seen: dict[int, set[str]] = {}
    record = threading.Lock()

    def render(n: int) -> None:
        team = f"team {n % 5}"
        pool.render(team, RenderJob(source=f"#let n = {n}\n#data.n", data=b'{"n": %d}' % n))
        with record:
            for owner, pids in children_by_team(pool).items():
                for pid in pids:
                    seen.setdefault(pid, set()).add(owner)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(render, range(60)))
    assert len(seen) > 5
    assert [teams for teams in seen.values() if len(teams) > 1] == []


def test_answers_go_to_those_who_asked(make_pool):
    pool = make_pool(children=2)

    def render(n: int) -> bool:
        job = RenderJob(source=f"#assert.eq(data.n, {n})\n#for i in range(data.n) {{ pagebreak() }}",
                        data=b'{"n": %d}' % n)  # fmt: skip
        return pool.render(f"team {n % 3}", job).pages == n + 1

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(render, range(80)))


def test_at_most_so_many_children_are_at_work(make_pool):
    pool = make_pool(children=1, spares=0)
    with ThreadPoolExecutor(4) as threads:
        renders = [threads.submit(pool.render, f"team {n}", HELLO) for n in range(12)]
        most = 0
        while not all(render.done() for render in renders):
            most = max(most, pool.status()["working"])
    assert most <= 1
    assert all(render.result().pages == 1 for render in renders)


def test_timeout_kills_the_child_and_not_the_team(make_pool):
    pool = make_pool(children=1, spares=1)
    pool.render("a", HELLO)
    (victim,) = children_by_team(pool)["a"]
    slow = RenderJob(source=FOREVER.source, limits=Limits(wall_seconds=0.5))
    with pytest.raises(LimitExceededError, match=r"^compilation timed out after 0\.5 s$"):
        pool.render("a", slow)
    wait_until(lambda: not is_alive(victim))
    assert pool.render("a", HELLO).pages == 1
    assert pool.status()["counts"]["timeouts"] == 1


def test_child_is_replaced_after_its_jobs(make_pool):
    pool = make_pool(children=1, spares=0, max_jobs=2)
    pids = set()
    for _ in range(4):
        pool.render("a", HELLO)
        pids |= children_by_team(pool).get("a", set())
    assert pool.status()["counts"]["recycled"] == 2
    assert len(pids) == 2


def test_child_that_has_grown_is_replaced(make_pool):
    pool = make_pool(children=1, spares=0, max_rss_bytes=1 << 20)
    pool.render("a", HELLO)
    assert children_by_team(pool) == {}
    assert pool.status()["counts"]["recycled"] == 1


def test_idle_children_of_other_teams_go_the_oldest_first(make_pool):
    pool = make_pool(children=2, spares=0)
    for team in ("a", "b", "a", "c", "d"):
        pool.render(team, HELLO)
        wait_until(lambda: pool.status()["idle"] <= 2)
    assert set(children_by_team(pool)) == {"c", "d"}


def test_spares_are_refilled(make_pool):
    pool = make_pool(children=1, spares=2)
    wait_until(lambda: pool.status()["spares"] == 2)
    pool.render("a", HELLO)
    wait_until(lambda: pool.status()["spares"] == 2)


def test_idle_child_that_died_is_not_used(make_pool):
    pool = make_pool(children=1, spares=0)
    pool.render("a", HELLO)
    (victim,) = children_by_team(pool)["a"]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not is_alive(victim))
    assert pool.render("a", HELLO).pages == 1


def test_child_killed_by_others_in_the_middle_can_be_tried_again(make_pool):
    pool = make_pool(children=1, spares=0)
    with ThreadPoolExecutor(1) as thread:
        render = thread.submit(pool.render, "a", FOREVER)
        wait_until(lambda: pool.status()["working"] == 1)
        for pid in pool.status()["child_pids"]:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineUnavailableError) as caught:
            render.result(timeout=60)
    assert caught.value.retry is True
    assert pool.render("a", HELLO).pages == 1


def test_lost_zygote_is_replaced(make_pool):
    pool = make_pool(children=1, spares=1)
    pool.render("a", HELLO)
    before = pool.status()
    os.kill(before["zygote_pid"], signal.SIGKILL)
    for pid in before["child_pids"]:
        wait_until(lambda pid=pid: not is_alive(pid))

    def renders_again() -> bool:
        try:
            return pool.render("a", HELLO).pages == 1
        except EngineUnavailableError:
            return False

    wait_until(renders_again)
    assert pool.status()["zygote_pid"] != before["zygote_pid"]
    assert pool.status()["counts"]["zygote_restarts"] == 1


def test_zygote_that_answers_too_late_is_replaced(make_pool):
    """Its late answer would be taken for that to the next question: a child for one that another has asked for."""
    pool = make_pool(children=1, spares=0)
    zygote = pool.status()["zygote_pid"]
    os.kill(zygote, signal.SIGSTOP)
    with pytest.raises(ZygoteGoneError, match="did not answer in time"):
        pool._zygote._ask({"do": "reap", "pid": 0}, seconds=0.2)
    with contextlib.suppress(ProcessLookupError):
        os.kill(zygote, signal.SIGCONT)
    wait_until(lambda: pool.status()["zygote_pid"] not in {zygote, None})
    assert pool.render("a", HELLO).pages == 1
    assert pool.status()["counts"]["zygote_restarts"] == 1


def test_zygote_with_libreoffice_has_one_thread_before_it_is_forked(make_pool):
    """A lock that another thread holds at that moment stays locked in the child, which then waits for ever."""
    zygote = make_pool(engine="docx", spares=0).status()["zygote_pid"]
    assert [thread.name for thread in Path(f"/proc/{zygote}/task").iterdir()] == [str(zygote)]


def test_jobs_may_have_memory_limits_of_their_own(make_pool):
    pool = make_pool(children=1, spares=1)
    source = "#let a = range(6000000)\n#a.len()"
    assert pool.render("a", RenderJob(source=source)).pages == 1
    with pytest.raises(LimitExceededError, match=r"^memory limit of 300 MB exceeded$"):
        pool.render("a", RenderJob(source=source, limits=Limits(memory_bytes=300 << 20)))


def test_close_ends_every_process_and_removes_the_directory(open_folder):
    pool = EnginePool(runtime_dir=open_folder, spares=2)
    pool.start()
    pool.render("a", HELLO)
    wait_until(lambda: pool.status()["spares"] == 2)
    assert [path.name.startswith(PREFIX) for path in open_folder.iterdir()] == [True]
    status = pool.status()
    pool.close()
    pool.close()
    assert [pid for pid in (*status["child_pids"], status["zygote_pid"]) if is_alive(pid)] == []
    assert list(open_folder.iterdir()) == []
    with pytest.raises(EngineUnavailableError, match="not running"):
        pool.render("a", HELLO)


def test_close_ends_a_render_under_way(make_pool):
    pool = make_pool(children=1, spares=0)
    with ThreadPoolExecutor(1) as thread:
        render = thread.submit(pool.render, "a", FOREVER)
        wait_until(lambda: pool.status()["working"] == 1)
        pool.close()
        with pytest.raises(RenderError):
            render.result(timeout=60)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_stays_when_the_owner_is_killed(open_folder, by):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(PROJECT), str(open_folder)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        status = json.loads(owner.stdout.readline())
        assert len(status["child_pids"]) == 3
        owner.send_signal(by)
    for pid in (*status["child_pids"], status["zygote_pid"]):
        wait_until(lambda pid=pid: not is_alive(pid))
    wait_until(lambda: list(open_folder.iterdir()) == [])


def test_directory_left_by_a_dead_machine_is_removed_by_the_next_start(open_folder, make_pool):
    old, young = open_folder / f"{PREFIX}old", open_folder / f"{PREFIX}young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "lock").touch()
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    make_pool(runtime_dir=open_folder, spares=0)
    assert (old.exists(), young.exists()) == (False, True)


def test_directory_of_a_living_pool_is_left_alone(open_folder, make_pool):
    first = make_pool(runtime_dir=open_folder, spares=0)
    (directory,) = open_folder.iterdir()
    os.utime(directory, (time.time() - 3600, time.time() - 3600))
    make_pool(runtime_dir=open_folder, spares=0)
    assert first.render("a", HELLO).pages == 1
    assert directory.exists()


def test_nothing_leaks_over_many_jobs_of_all_kinds(open_folder, make_pool):
    pool = make_pool(runtime_dir=open_folder, children=2, spares=1, max_jobs=7)
    jobs = [
        HELLO,
        RenderJob(source="#foo"),
        RenderJob(source="#set page(width: 1e300pt)\na", format="png"),
        RenderJob(source='#read("a/b.txt")', files={"a/b.txt": b"x"}),
        RenderJob(source=FOREVER.source, limits=Limits(wall_seconds=0.1)),
    ]

    def render(n: int) -> None:
        with contextlib.suppress(RenderError):
            pool.render(f"team {n % 4}", jobs[n % len(jobs)])

    def settled() -> bool:
        status = pool.status()
        return status["spares"] == 1 and status["idle"] <= 2

    def descriptors() -> int:
        # a child has a socket and a handle here
        return len(list(Path("/proc/self/fd").iterdir())) - 2 * len(pool.status()["child_pids"])

    def unknown_children() -> set[int]:
        zygote, living = pool.status()["zygote_pid"], set(pool.status()["child_pids"])
        return living ^ set(map(int, Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()))

    def slots() -> int:
        return len(list(next(open_folder.iterdir()).joinpath("slots").iterdir()))

    gc.collect()  # else what earlier tests have left open might be closed in between
    render(0)
    wait_until(settled)
    before = descriptors()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(render, range(100)))
    wait_until(settled)
    # the pool is quick to say that a child has gone, and then gives back what it had; what leaks, never comes back
    wait_until(lambda: descriptors() == before)
    wait_until(lambda: not unknown_children())
    wait_until(lambda: slots() == len(pool.status()["child_pids"]))


def test_fonts_that_other_users_cannot_read_are_used_all_the_same(open_folder, make_pool):
    private = open_folder / "private"
    (private / "Lato").mkdir(parents=True)
    font = next((FONTS / "Lato").glob("*Regular.ttf"))
    (private / "Lato" / font.name).write_bytes(font.read_bytes())
    private.chmod(0o700)
    pool = make_pool(font_paths=[private], spares=0)
    document = pool.render("a", RenderJob(source='#set text(font: "Lato")\nHi'))
    assert document.fonts_used == ("Lato",)


def test_pool_is_refused_in_a_forked_process(pool):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            pool.render("a", HELLO)
            os.write(writing, b"rendered")
        except EngineUnavailableError as error:
            os.write(writing, error.message.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading, "rb") as answer:
        assert answer.read() == b"the engine pool is not running in this process"


def test_children_have_users_of_their_own_when_root(make_pool):
    pool = make_pool(children=2, spares=0)
    for team in ("a", "b"):
        pool.render(team, HELLO)
    uids = [Path(f"/proc/{pid}").stat().st_uid for pid in pool.status()["child_pids"]]
    real = [
        int(Path(f"/proc/{pid}/status").read_text().partition("Uid:")[2].split()[0])
        for pid in pool.status()["child_pids"]
    ]
    assert len(uids) == 2
    if as_root():
        assert len(set(real)) == 2
        assert min(real) >= 60_000
    else:
        assert set(real) == {os.getuid()}
