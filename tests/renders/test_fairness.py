"""A team's share of the workers: what is throttled, who is rung for next, and that nothing is lost on the way."""

import dataclasses
import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.db.models import Count
from django.db.models.functions import Now

from credits.limits import limits_of
from credits.models import LedgerEntry
from renders import shares, statements
from renders.models import Render
from renders.shares import Share
from renders.sweeping import sweep
from tests.conftest import wait_until
from tests.renders.faults import Installation, lapse, own_broker, own_database
from tests.renders.test_lanes import SLOW
from tests.renders.test_list_plans import grow

pytestmark = pytest.mark.timeout(600)
LIMIT = 3
LEASE = 60
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(scope="module", autouse=True)
def own_installation(database):
    with own_database() as url, own_broker() as broker:
        yield url, broker


@pytest.fixture(autouse=True)
def limit(settings, own_installation):
    settings.RUNNING_RENDERS_PER_TEAM, settings.REDIS_URL = LIMIT, own_installation[1].url
    yield
    Render.objects.filter(status="pending").update(
        status="failed", error="Not needed any more.", finished_at=Now(), ring_at=None
    )


@pytest.fixture
def ask(api):
    """Ask for so many async renders; gives their rows, oldest first."""
    template_id = api.template()

    def post(count: int, caller=api) -> list[Render]:
        template = template_id if caller is api else caller.template()
        answers = [caller.post("/api/v1/renders", {"template_id": template}) for _ in range(count)]
        assert [answer.status_code for answer in answers] == [202] * count
        return rows(answer.json()["id"] for answer in answers)

    return post


def rows(ids) -> list[Render]:
    return list(Render.objects.filter(pk__in=list(ids)).order_by("id"))


def throttled(renders: list[Render]) -> list[bool]:
    return [render.is_throttled for render in rows(render.id for render in renders)]


def end(render: Render) -> None:
    taken = statements.claim(render.id, lease_seconds=LEASE)
    assert statements.fail(render.id, attempt=taken.attempt, error="Ended by a test.", code="internal")


def nothing_is_overdue() -> None:
    """What was rung for at once is rung for again five seconds later: what sweepers find now are free places."""
    Render.objects.filter(finished_at=None, ring_at__isnull=False).update(ring_at=Now() + 3600 * SECOND)


def fill_places() -> int:
    nothing_is_overdue()
    return sweep()


def in_threads(count: int, work) -> list:
    together = threading.Barrier(count)

    def run(number):
        together.wait()
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def test_what_a_team_asks_for_above_its_share_is_throttled(api, other_api, ask):
    assert throttled(ask(LIMIT + 2)) == [False] * LIMIT + [True] * 2
    assert throttled(ask(1, other_api)) == [False]


def test_the_api_calls_a_throttled_render_pending_as_any_other(api, ask):
    waiting = ask(LIMIT + 1)[-1]
    assert waiting.is_throttled
    told = api.get(f"/api/v1/renders/{waiting.id}").json()
    assert (told["status"], told["error"], told["url"]) == ("pending", None, None)


def test_without_a_limit_nothing_is_throttled(ask, settings):
    settings.RUNNING_RENDERS_PER_TEAM = 0
    assert throttled(ask(LIMIT + 2)) == [False] * (LIMIT + 2)


def test_queues_are_counted_apart_and_who_waits_for_an_answer_is_never_throttled(api, ask, accept, settings):
    settings.SYNC_WAIT_SECONDS = 0.1
    ask(LIMIT + 1)
    template_id = api.template()
    assert not accept(api, template_id, queue="bulk").is_throttled
    assert api.render(template_id)[0] == 202  # nobody renders here
    assert Render.objects.get(team=api.team, queue="interactive").is_throttled is False


def test_the_oldest_throttled_render_follows_one_that_has_ended(api, ask):
    renders = ask(LIMIT + 3)
    share = Share(api.team.id, "async", LIMIT)
    assert shares.release(share, most=1) == []
    end(renders[1])
    assert shares.release(share, most=1) == [(renders[LIMIT].id, "async")]
    assert shares.release(share, most=1) == []
    assert throttled(renders) == [False] * (LIMIT + 1) + [True] * 2


def test_a_render_that_is_tried_again_keeps_its_place(api, ask):
    renders = ask(LIMIT + 1)
    taken = statements.claim(renders[0].id, lease_seconds=LEASE)
    share = Share(api.team.id, "async", LIMIT)
    assert shares.release(share, most=1) == []
    statements.give_back(taken, pause_seconds=60)
    assert shares.release(share, most=1) == []


def test_renders_that_end_at_the_same_time_let_as_many_follow(api, ask):
    renders = ask(3 * LIMIT)
    for render in renders[:LIMIT]:
        end(render)
    share = Share(api.team.id, "async", LIMIT)
    released = in_threads(LIMIT, lambda _: shares.release(share, most=1))
    followers = [one.id for one in renders[LIMIT : 2 * LIMIT]]
    assert sorted(one.render_id for each in released for one in each) == followers
    assert shares.release(share, most=1) == []


def test_the_sweeper_fills_places_that_nobody_filled(api, other_api, ask):
    renders, others = ask(LIMIT + 4), ask(LIMIT + 1, other_api)
    assert fill_places() == 0
    for render in (*renders[:2], others[0]):
        end(render)
    assert fill_places() == 3
    assert fill_places() == 0
    assert throttled(renders) == [False] * (LIMIT + 2) + [True] * 2
    assert throttled(others) == [False] * (LIMIT + 1)


def test_the_sweeper_never_rings_for_a_throttled_render_however_old(api, ask):
    renders = ask(LIMIT + 5)
    Render.objects.filter(team=api.team).update(created_at=Now() - 3600 * SECOND)
    Render.objects.filter(team=api.team, ring_at__isnull=False).update(ring_at=Now() - SECOND)
    assert sweep() == LIMIT
    assert throttled(renders) == [False] * LIMIT + [True] * 5


def test_many_sweepers_fill_a_place_once(api, ask):
    renders = ask(LIMIT + 5)
    end(renders[0])
    nothing_is_overdue()
    assert sum(in_threads(4, lambda _: sweep())) <= 4
    assert throttled(renders).count(False) <= LIMIT + 4  # it is not exact, but it does not go on
    for _ in range(3):
        assert fill_places() == 0


def test_a_limit_that_was_taken_away_lets_everything_go(api, ask, settings):
    renders = ask(LIMIT + 5)
    settings.RUNNING_RENDERS_PER_TEAM = 0
    assert fill_places() == 5
    assert throttled(renders) == [False] * (LIMIT + 5)


def test_a_teams_own_limit_decides(api, other_api):
    api.team.credit_account.own_running_renders = 1
    api.team.credit_account.save()
    assert limits_of(api.team.id).running_renders == 1
    assert limits_of(other_api.team.id).running_renders == LIMIT


@dataclasses.dataclass
class Race:
    """Two teams on one worker: how many renders of the first ended before the last of the second."""

    overtaken: int
    statuses: set[str]


def race(installation: Installation) -> Race:
    """A long queue of one team, then two renders of another, then a worker starts."""
    first, second = installation.team(source=SLOW), installation.team()
    for number in range(60):
        first.ask(data={"n": number + 1})
    ids = [second.ask() for _ in range(2)]
    installation.sweeper()
    installation.worker()
    of_first = Render.objects.filter(team_id=first.team_id)
    wait_until(lambda: not Render.objects.filter(finished_at=None).exists(), 400)
    last = max(render.finished_at for render in rows(ids))
    return Race(
        overtaken=of_first.filter(finished_at__lt=last).count(), statuses={*of_first.values_list("status", flat=True)}
    )


@pytest.fixture
def install(own_installation, tmp_path):
    """Web on the database and the Redis of this module; a worker and a sweeper when the test wants them."""
    url, broker = own_installation
    started = []

    def start(**environment) -> Installation:
        installation = Installation(tmp_path, url, broker, **environment)
        started.append(installation)
        installation.web()
        return installation

    yield start
    for one in started:
        one.stop()


def test_a_long_queue_of_one_team_hardly_delays_another(install):
    found = race(install(RUNNING_RENDERS_PER_TEAM=str(LIMIT)))
    print(found)
    assert found.statuses == {"completed"}
    assert found.overtaken <= 3 * LIMIT


def test_without_the_limit_the_other_team_waits_for_the_whole_queue(install):
    found = race(install(RUNNING_RENDERS_PER_TEAM="0"))
    print(found)
    assert found.overtaken >= 50


def test_throttled_renders_outlive_workers_that_are_killed(install, own_installation):
    installation = install(RUNNING_RENDERS_PER_TEAM=str(LIMIT), LEASE_SECONDS=str(LEASE))
    caller = installation.team(source=SLOW)
    installation.sweeper()
    ids = [caller.ask(data={"n": number + 1}) for number in range(40)]
    done = Render.objects.filter(pk__in=ids, status="completed")
    for target in (5, 15):
        worker = installation.worker()
        wait_until(lambda target=target: done.count() >= target, 150)
        installation.kill(worker)
        lapse(*ids)
    installation.worker()
    wait_until(lambda: done.count() == 40, 150)
    charged = LedgerEntry.objects.filter(render_id__in=ids).values("render_id").annotate(entries=Count("id"))
    assert {row["entries"] for row in charged} == {1}
    assert done.filter(attempt__gt=1).count() <= 2 * (LIMIT + 2)


def test_places_are_found_by_the_index_however_many_renders_wait(api, other_api, ask):
    ask(LIMIT + 1)
    under_way, *_, waiting = ask(LIMIT + 1, other_api)
    for theirs in (under_way, waiting):  # for a handful of rows any index would do, and chance decides
        grow(theirs, 2000)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(
            f"EXPLAIN {shares._RELEASE}",
            {"team_id": api.team.id, "queue": "async", "places": LIMIT, "most": 1},
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute(f"EXPLAIN {shares._WITH_THROTTLED}")
        plan += "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "render_under_way" in plan
    assert plan.count("render_throttled") == 3
