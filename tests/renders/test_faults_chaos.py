"""Workers are killed every few seconds and Redis loses everything: no render is lost, charged twice or made twice.

The control shows that the test bites: without the sweeper the same faults strand renders.
"""

import os
import signal
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db.models import Count, F, Sum

from automette.lib import store
from credits.models import CreditAccount, LedgerEntry
from renders.models import MAX_ATTEMPTS, Render, RenderFile
from tests.conftest import wait_until
from tests.renders.faults import (
    Caller,
    Installation,
    ProcessId,
    descendants,
    is_alive,
    own_broker,
    own_database,
    stored,
)

CREDITS = 1000
KILL_EVERY_SECONDS = 4
BURST = 18
"""Renders that each caller asks for around every kill, so that it finds workers at work and messages queued."""

# Some 10 ms of layout that Typst cannot remember from the render before: a kill finds workers in the middle of it.
BUSY = "#set page(height: auto)\nNo. #data.n #lorem(1200)\n"


@pytest.fixture
def installation(database, tmp_path) -> Iterator[Installation]:
    with own_database() as url, own_broker() as broker:
        installation = Installation(tmp_path, url, broker)
        try:
            installation.web()
            yield installation
        finally:
            installation.stop()


@pytest.mark.timeout(400)
def test_500_renders_survive_killed_workers_and_a_killed_redis(installation: Installation):
    installation.sweeper()
    workers = [installation.worker(), installation.worker()]
    callers = [installation.team(CREDITS, BUSY) for _ in range(4)]
    with ThreadPoolExecutor(len(callers)) as threads:
        begin, killed, accepted = time.monotonic(), [], []
        while len(accepted) < 500:
            wait_for(begin + KILL_EVERY_SECONDS * (len(killed) + 1))
            if len(killed) == 2:
                installation.broker.kill()
                installation.broker.start()
            asked = len(accepted) // len(callers)
            burst = range(asked + 1, min(asked + BURST, 125) + 1)
            asking = [threads.submit(ask_many, caller, burst) for caller in callers]
            victim = len(killed) % 2
            killed.append(kill_at_work(installation, workers[victim], asking))
            workers[victim] = installation.worker(wait=False)
            accepted += [render_id for one in asking for render_id in one.result()]
    wait_until(lambda: not unfinished(), 100)
    check_everything(accepted, callers)
    report("chaos", len(killed))
    assert len(killed) >= 5
    assert Render.objects.filter(attempt__gt=1).exists(), "no kill hit a render"
    check_no_orphans(installation, killed)


@pytest.mark.timeout(300)
def test_without_a_sweeper_the_same_faults_strand_renders(installation: Installation):
    worker = installation.worker()
    callers = [installation.team(CREDITS, BUSY) for _ in range(3)]
    with ThreadPoolExecutor(len(callers)) as threads, installation.broker.client() as client:
        asking = [threads.submit(ask_many, caller, range(1, 26)) for caller in callers]
        wait_until(lambda: Render.objects.filter(status="completed").count() >= 20)
        below = installation.kill(worker)
        interrupted = Render.objects.filter(status="running").count()
        asking += [threads.submit(ask_many, caller.fresh(), range(26, 51)) for caller in callers]
        accepted = [render_id for one in asking for render_id in one.result()]
        assert client.llen("async") > 0
    installation.broker.kill()
    installation.broker.start()
    installation.worker()
    stranded = unchanging(unfinished, seconds=4)
    print(f"control without sweeper: {len(accepted)} accepted, {stranded} stranded ({interrupted} while running)")
    assert stranded > 0
    installation.sweeper()  # what was missing
    wait_until(lambda: not unfinished(), 100)
    check_everything(accepted, callers)
    check_no_orphans(installation, [below])


def kill_at_work(installation: Installation, worker: subprocess.Popen, asking: list[Future]) -> list[ProcessId]:
    """Kill a worker that has its engine while renders run; none in its last attempt, which would end it as failed."""
    wait_until(lambda: len(descendants(worker.pid)) > 2, 100)

    def is_caught() -> bool:
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(0.05)  # what it has just asked of the database is done
        running = set(Render.objects.filter(status="running").values_list("attempt", flat=True))
        if running and MAX_ATTEMPTS not in running:
            return True
        os.kill(worker.pid, signal.SIGCONT)
        return all(one.done() for one in asking) and not unfinished()  # too late for this burst; there are more

    wait_until(is_caught, 60)
    return installation.kill(worker)


def ask_many(caller: Caller, numbers: Iterable[int]) -> list[str]:
    return [caller.ask(data={"n": number}) for number in numbers]


def wait_for(moment: float) -> None:
    threading.Event().wait(max(0.0, moment - time.monotonic()))


def unfinished() -> int:
    return Render.objects.filter(status__in=Render.OPEN).count()


def unchanging(read, *, seconds: float):
    """Return the value once it has stayed the same for so long."""
    value, since = read(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.1)
        if (now := read()) != value:
            value, since = now, time.monotonic()
    return value


def check_everything(accepted: list[str], callers: list[Caller]) -> None:
    """Judge by the database and the store alone."""
    assert len(set(accepted)) == len(accepted)
    renders = {render.id: render for render in Render.objects.all()}
    assert renders.keys() == set(accepted)
    assert Counter(render.status for render in renders.values()) == {"completed": len(accepted)}
    check_ledger(accepted, callers)
    check_files(accepted)


def check_ledger(accepted: list[str], callers: list[Caller]) -> None:
    entries = LedgerEntry.objects.exclude(render_id=None).values_list("render_id", "kind", "amount")
    assert sorted(entries) == sorted((render_id, "charge", -1) for render_id in accepted)
    for caller in callers:
        account = CreditAccount.objects.get(team_id=caller.team_id)
        asked = Render.objects.filter(team_id=caller.team_id).count()
        ledger = LedgerEntry.objects.filter(team_id=caller.team_id)
        assert account.credit_balance == CREDITS - asked == ledger.aggregate(sum=Sum("amount"))["sum"]
        assert ledger.values("balance_after").annotate(times=Count("id")).filter(times__gt=1).count() == 0


def check_files(accepted: list[str]) -> None:
    files = list(RenderFile.objects.all())
    assert sorted(file.render_id for file in files) == sorted(accepted)
    ours = set(accepted)
    in_store = [key for key in store.list_keys("renders/") if key.removeprefix("renders/").partition(".")[0] in ours]
    assert sorted(in_store) == sorted(file.key for file in files)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(stored, (file.key for file in files)))
    assert [one.sha256 for one in found] == [file.sha256 for file in files]


def check_no_orphans(installation: Installation, killed: list[list[ProcessId]]) -> None:
    below = [process for family in killed for process in family]
    below += [process for one in installation.processes.running for process in descendants(one.pid)]
    assert len(below) > 2 * len(killed)
    installation.stop()
    wait_until(lambda: not any(map(is_alive, below)), 60)


def report(name: str, kills: int) -> None:
    renders = Render.objects.annotate(took=F("finished_at") - F("created_at"))
    everyone = sorted(render.took.total_seconds() for render in renders)
    hit = sorted(render.took.total_seconds() for render in renders if render.rings or render.attempt > 1)
    attempts = Counter(render.attempt for render in renders)
    print(f"{name}: {len(everyone)} renders, {kills} workers killed, attempts {dict(sorted(attempts.items()))}")
    for label, times in (("all", everyone), ("hit by a fault", hit)):
        if len(times) > 1:
            p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
            median = statistics.median(times)
            print(f"  {label} ({len(times)}): p50 {median:.2f} s, p99 {p99:.2f} s, max {times[-1]:.2f} s")
