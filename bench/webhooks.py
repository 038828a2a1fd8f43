"""Webhooks: how many are sent in a second, and how long good receivers wait beside one that holds its calls up.

What is told are ends of renders, written by the very statements that end renders, but nothing is rendered: 50 a
second is more than this machine can. The messages are sent as a worker sends them. Times are those of the receivers,
and the database's `finished_at`; all of it is on one machine.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.application import environment_of, free_port, migrate, running
from bench.measurements import percentile, spread
from bench.receivers import Receivers
from bench.usage import cpu_seconds, find_servers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.models import Team
    from bench.measurements import Say

_ROUNDS = 3
_COUNT = 2000
_RECEIVERS = 20
_TARPIT_DUE = 200
_EVENTS_PER_SECOND, _SECONDS = 50, 60
_CHANGED = {
    "OUTBOUND_ALLOW_HTTP": "true",
    "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
}


def measure_webhooks(say: Say) -> dict[str, Any]:
    """Deliveries in a second to one fast receiver and to twenty, and the twenties' waits beside a tarpit."""
    with tempfile.TemporaryDirectory(prefix="automette-bench-") as folder, Receivers() as receivers:
        environment = environment_of(free_port(), Path(folder)) | _CHANGED
        migrate(environment)
        say("starting web, webhooks and sweeper")
        with running(("web", "webhooks", "sweeper"), environment, Path(folder), path="/livez") as pids:
            bench = _Bench(receivers, pids | find_servers() | {receivers.process.pid: "receivers"})
            one, many, cpu = [], [], []
            bench.run(bench.teams[:1], 200)  # warm
            for turn in range(_ROUNDS):
                say(f"{_COUNT} deliveries to one receiver, then to {_RECEIVERS}, round {turn + 1} of {_ROUNDS}")
                one.append(bench.run(bench.teams[:1], _COUNT)["per_second"])
                run = bench.run(bench.teams, _COUNT)
                many.append(run["per_second"])
                cpu.append(run["cpu_ms"])
            say(f"{_EVENTS_PER_SECOND} events a second beside a tarpit, for {_SECONDS} s")
            waits = bench.run_beside_tarpit()
            with running(("webhooks-2",), environment, Path(folder), path="/livez") as second:
                bench.add(second)
                bench.run(bench.teams, 200)  # warm
                say(f"{_COUNT} deliveries to one receiver by two processes, {_ROUNDS} rounds")
                two = [bench.run(bench.teams[:1], _COUNT)["per_second"] for _ in range(_ROUNDS)]
    groups = {group: sum(each[group] for each in cpu) / len(cpu) for group in cpu[0]}
    return {
        "one_per_second": spread(one),
        "many_per_second": spread(many),
        "two_processes_per_second": spread(two),
        "cpu_ms_by_group": groups,
        **waits,
    }


class _Bench:
    """Teams with a subscription each, and the rows and messages of renders that end."""

    def __init__(self, receivers: Receivers, roots: dict[int, str]) -> None:
        import django  # noqa: PLC0415 - the settings are read here, once the servers are known

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "automette.settings")
        django.setup()
        self._receivers, self._roots = receivers, roots
        self._senders = [pid for pid, name in roots.items() if name == "webhooks"]
        self.teams = [_make_team(url) for url in receivers.urls]

    def add(self, senders: dict[int, str]) -> None:
        """Take processes into account that were started later."""
        self._roots = self._roots | senders
        self._senders += senders

    def run(self, teams: Sequence[_Team], count: int) -> dict[str, Any]:
        """Let so many renders end while the sender is suspended; then how fast it works off the messages."""
        self._signal(signal.SIGSTOP)
        try:
            taken = [teams[number % len(teams)].start() for number in range(count)]
            event_ids = [_end(one) for one in taken]
        finally:
            self._signal(signal.SIGCONT)
        before = cpu_seconds(self._roots)
        received = self._await(set(event_ids), 120)
        used = cpu_seconds(self._roots)
        moments = sorted(received.values())
        return {
            "per_second": (count - 1) / (moments[-1] - moments[0]),
            "cpu_ms": {group: 1000 * (used[group] - before.get(group, 0)) / count for group in used},
        }

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._senders:
            os.kill(pid, number)

    def run_beside_tarpit(self) -> dict[str, Any]:
        """Seconds from the end of a render to its arrival at a good receiver, while a tarpit has deliveries due."""
        from renders.models import Render  # noqa: PLC0415 - after django.setup

        tarpit = _make_team(self._receivers.tarpit_url)
        for one in [tarpit.start() for _ in range(_TARPIT_DUE)]:
            _end(one)
        count = _EVENTS_PER_SECOND * _SECONDS
        taken = [self.teams[number % len(self.teams)].start() for number in range(count)]
        began, event_ids = time.monotonic(), []
        for number, one in enumerate(taken):
            time.sleep(max(0.0, began + number / _EVENTS_PER_SECOND - time.monotonic()))
            event_ids.append(_end(one))
        ended_in = time.monotonic() - began
        received = self._await(set(event_ids), 60)
        finished = Render.objects.filter(pk__in=[one.render_id for one in taken]).values_list("id", "finished_at")
        waits = [received[f"evt_render_{render_id}"] - moment.timestamp() for render_id, moment in finished]
        return {
            "events": count,
            "events_per_second": count / ended_in,
            "tarpit_attempts": len(self._tarpit_attempts),
            "wait_ms": {
                "p50": 1000 * percentile(waits, 50),
                "p95": 1000 * percentile(waits, 95),
                "p99": 1000 * percentile(waits, 99),
                "max": 1000 * max(waits),
            },
        }

    def _await(self, event_ids: set[str], seconds: float) -> dict[str, float]:
        """The moment at which each of these events first came. Raises RuntimeError when one does not."""
        received: dict[str, float] = {}
        times: Counter[str] = Counter()
        self._tarpit_attempts: list[str] = []
        deadline = time.monotonic() + seconds
        while not received.keys() >= event_ids:
            if time.monotonic() > deadline:
                missing = len(event_ids - received.keys())
                raise RuntimeError(f"{missing} of {len(event_ids)} events were not delivered in {seconds:g} s")
            time.sleep(0.2)
            came = self._receivers.take()
            for event_id, moment in came["fast"]:
                received.setdefault(event_id, moment)
                times[event_id] += 1
            self._tarpit_attempts += [event_id for event_id, _ in came["tarpit"]]
        if twice := sum(count > 1 for count in times.values()):
            raise RuntimeError(f"{twice} events came twice")
        return received


class _Team:
    """A team with a template and a subscription."""

    def __init__(self, team: Team, template_id: str) -> None:
        self._team = team
        self._template = team.templates.select_related("current_version").get(pk=template_id)

    def start(self) -> Any:
        """Accept a render and claim it as a worker does."""
        from automette.lib.ids import new_id  # noqa: PLC0415 - after django.setup
        from renders import statements  # noqa: PLC0415
        from renders.models import Render  # noqa: PLC0415

        row = {"format": "pdf", "visibility": "public", "data": '{"name":"Ada"}', "filename": "x.pdf"}
        render = Render(
            id=new_id(),
            team=self._team,
            job_id=new_id(),
            template=self._template,
            template_version=self._template.current_version,
            template_name=self._template.name,
            engine="typst",
            queue="nobody",
            **row,
        )
        if not statements.accept(render, source="api", actor="bench"):
            raise RuntimeError("a render was not accepted")
        return statements.claim(render.id, lease_seconds=3600)


def _make_team(url: str) -> _Team:
    from accounts.services import create_team  # noqa: PLC0415 - after django.setup
    from automette.lib.encryption import encrypt  # noqa: PLC0415
    from automette.lib.ids import new_id  # noqa: PLC0415
    from credits.services import open_account  # noqa: PLC0415
    from templates_app.services import create_template  # noqa: PLC0415
    from webhooks.models import Subscription  # noqa: PLC0415
    from webhooks.signing import new_secret  # noqa: PLC0415

    team = create_team(name="Bench", actor="bench")
    open_account(team=team, monthly_credits=1_000_000, actor="bench")
    template = create_template(team=team, actor="bench", name="Hello", engine="typst", source="Hello!")
    row_id = new_id()
    secret = encrypt(new_secret(), row_id)
    Subscription.objects.create(id=row_id, team=team, url=url, events=["render.completed"], secret=secret)
    return _Team(team, template.id)


def _end(taken: Any) -> str:
    """End a render as its worker does, ring for whoever is told, and return the event's id."""
    from renders import statements  # noqa: PLC0415 - after django.setup
    from webhooks.ringing import ring  # noqa: PLC0415

    file = statements.StoredFile("pdf", f"renders/{taken.render_id}.pdf", "application/pdf", 3, "0" * 64)
    ended = statements.complete(taken, files=[file], pages=1, report={})
    if ended is None or len(ended.delivery_ids) != 1:
        raise RuntimeError("a render did not end, or nobody was to be told")
    ring(ended.delivery_ids)
    return f"evt_render_{taken.render_id}"
