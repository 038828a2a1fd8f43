import datetime as dt
import json
import os
import re
import socket

import pytest
import redis
import requests
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from automette import metrics
from automette.lib import counters, store
from renders.models import Render
from tests.conftest import Processes, free_port, wait_until

TOKEN = "a-token-for-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 60  # seconds, to end a hang; Prometheus itself waits 10
REASONS = {"recycled", "evicted", "timed_out", "died", "failed_to_start", "found_dead", "interrupted"}


def nowhere(scheme: str) -> str:
    return f"{scheme}://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def silent():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener


@pytest.fixture(scope="module")
def empty_redis() -> str:
    """Another Redis database is a deployment of its own, without workers."""
    return os.environ["REDIS_URL"].removesuffix("/0") + "/8"


@pytest.fixture(scope="module")
def webs(server, silent, empty_redis, tmp_path_factory):
    """Web processes that show their metrics: a good one beside `server`, and others that miss something."""
    processes = Processes(tmp_path_factory.mktemp("metrics"))
    mute = f"127.0.0.1:{silent.getsockname()[1]}"
    bases = {
        "good": processes.web(METRICS_TOKEN=TOKEN),
        "no database": processes.web(METRICS_TOKEN=TOKEN, DATABASE_URL=f"{nowhere('postgresql')}/nothing"),
        "no redis": processes.web(METRICS_TOKEN=TOKEN, REDIS_URL=f"{nowhere('redis')}/0"),
        "no worker": processes.web(METRICS_TOKEN=TOKEN, REDIS_URL=empty_redis, S3_BUCKET="no-such-bucket"),
        "silence": processes.web(
            METRICS_TOKEN=TOKEN, REDIS_URL=f"redis://{mute}/0", S3_ENDPOINT_URL=f"http://{mute}"
        ),
    }
    for base in bases.values():
        wait_until(lambda base=base: _lives(base))
    yield bases
    silent.close()  # who still waits for it need not wait any longer
    processes.stop()


def _lives(base: str) -> bool:
    try:
        return requests.get(f"{base}/livez", timeout=30).status_code == 200
    except requests.RequestException:
        return False


def scrape(base, timeout=PATIENCE):
    """The page as Prometheus reads it: the families by name."""
    answer = requests.get(f"{base}/metrics", headers=BEARER, timeout=timeout)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def scrape_with(base, **up):
    """The page on which these parts are up, or not: on a busy machine one may answer too late for once."""

    def found():
        families = scrape(base)
        return families if values(families, "automette_up") == {(part,): one for part, one in up.items()} else None

    return wait_until(found)


def values(families, family, sample=None, *, but=()):
    """The samples of a family as {label values in the order of their names: value}, without some labels."""
    found = families[family].samples if family in families else []
    return {
        tuple(value for name, value in sorted(one.labels.items()) if name not in but): one.value
        for one in found
        if sample is None or one.name == sample
    }


def total(families, sample, **labels):
    """The sum of one sample over all series with these labels, as PromQL's sum() has it."""
    return sum(
        one.value
        for family in families.values()
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    )


# --- who may read it


def test_without_a_token_in_the_settings_there_is_no_such_page(server):
    for headers in ({}, BEARER, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}):
        answer = requests.get(f"{server}/metrics", headers=headers, timeout=PATIENCE)
        unknown = requests.get(f"{server}/metricz", headers=headers, timeout=PATIENCE)
        assert (answer.status_code, answer.text) == (unknown.status_code, unknown.text) == (404, "Not found.\n")


WRONG = [
    None,
    "",
    "Bearer",
    "Bearer ",
    TOKEN,
    f"Basic {TOKEN}",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN.upper()}",
    f"Bearer {TOKEN} {TOKEN}",
    b"Bearer \xc3\xbc\xff",
]


@pytest.mark.parametrize("header", WRONG)
def test_wrong_token_is_refused(webs, header):
    headers = {} if header is None else {"Authorization": header}
    answer = requests.get(f"{webs['good']}/metrics", headers=headers, timeout=PATIENCE)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.text == "The metrics need the server's METRICS_TOKEN: send it as 'Authorization: Bearer ...'.\n"


def test_api_key_does_not_open_it(webs, api):
    headers = {"Authorization": f"Bearer {api.key}"}
    assert requests.get(f"{webs['good']}/metrics", headers=headers, timeout=PATIENCE).status_code == 401


def test_control_what_stands_behind_the_token_tells_everybody(database):
    """Without the guard in front of it the page is there for whoever asks."""
    assert b"automette_up{" in metrics.exposition()


def test_only_reading_is_allowed(webs):
    assert requests.head(f"{webs['good']}/metrics", headers=BEARER, timeout=PATIENCE).status_code == 200
    assert requests.put(f"{webs['good']}/metrics", headers=BEARER, timeout=PATIENCE).status_code in {403, 405}


def test_it_names_no_team_and_no_address(webs, api):
    assert api.render(api.template())[0] == 200
    for base in (webs["good"], webs["no database"], webs["no redis"], webs["no worker"]):
        text = requests.get(f"{base}/metrics", headers=BEARER, timeout=PATIENCE).text
        secrets = ("S3_SECRET_ACCESS_KEY", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "S3_ENDPOINT_URL")
        assert not [name for name in secrets if os.environ[name] in text]
        assert api.team.id not in text
        assert "127.0.0.1" not in text
        assert TOKEN not in text


# --- what it says


def test_every_part_is_up_and_the_worker_has_its_engines(webs):
    def found():
        families = scrape_with(webs["good"], broker=1, database=1, store=1)
        return families if _every_pool_has_children(families) else None

    families = wait_until(found)  # a pool may be without children at the moment of a report
    workers = total(families, "automette_workers")
    assert workers >= 1
    running = values(families, "automette_engine_running")
    assert {engine for engine, _ in running} >= {"typst", "canvas"}
    assert set(running.values()) == set(values(families, "automette_engine_isolation_complete").values()) == {1}
    assert len({worker for _, worker in running}) == workers
    for key in running:
        states = {state: value for (*of, state, worker), value in _children(families) if (*of, worker) == key}
        assert set(states) == {"working", "idle", "spare"}
        assert sum(states.values()) >= 1
        assert values(families, "automette_engine_resident_bytes")[key] > 1 << 20
    ended = values(families, "automette_engine_children_ended", but=("worker", "engine"))
    assert {reason for (reason,) in ended} == REASONS


def _every_pool_has_children(families):
    resident = values(families, "automette_engine_resident_bytes")
    return bool(resident) and min(resident.values()) > 1 << 20


def _children(families):
    return values(families, "automette_engine_children").items()


def test_names_keep_to_the_conventions_of_prometheus(webs):
    """What `promtool check metrics` looks at."""
    families = scrape(webs["good"])
    assert len(families) >= 15
    for name, family in families.items():
        assert re.fullmatch(r"automette(_[a-z]+)+", name)
        assert re.fullmatch(r"\S.{15,}\.", family.documentation), name
        assert not re.search(r"_(total|sum|count|bucket|created|info|gauge|counter|histogram)$", name)
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|kilobytes|megabytes|percent)(_|$)", name)
        suffixes = {"counter": {"_total"}, "gauge": {""}, "histogram": {"_bucket", "_sum", "_count"}}[family.type]
        assert {one.name.removeprefix(name) for one in family.samples} == suffixes, name
        labels = {label for one in family.samples for label in one.labels} - {"le"}
        assert labels <= {"part", "status", "queue", "worker", "engine", "state", "reason", "outcome"}
        series = [(one.name, *sorted(one.labels.items())) for one in family.samples]
        assert len(series) == len(set(series)), name


def scrape_in_peace(base):
    """The page once every render is counted that earlier tests have left to the worker; tests have longer leases."""
    under_way = Render.objects.filter(status__in=["pending", "running"], queue__in=settings.QUEUES)
    wait_until(lambda: not under_way.exclude(lease_expires_at__gt=timezone.now() + dt.timedelta(seconds=20)).exists())
    wait_for_report()
    return scrape(base)


def wait_for_report():
    """Wait until every worker has reported twice: the first report may have been made before, and only sent now."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:

        def lives():
            return {key: client.pttl(key) for key in client.scan_iter("automette:worker:*")}

        def all_anew():
            left, now = dict(seen), lives()
            seen.update(now)
            rose.update(key for key in now if now[key] > left.get(key, 0))
            return rose >= now.keys() and now

        for _ in range(2):
            seen, rose = lives(), set()
            wait_until(all_anew)


def raised(before, after, sample, **labels):
    """By how much the workers that are still there have raised a counter."""
    found = [one for family in after.values() for one in family.samples if one.name == sample]
    workers = {one.labels["worker"] for one in found}
    return sum(
        total(after, sample, worker=worker, **labels) - total(before, sample, worker=worker, **labels)
        for worker in workers
    )


def test_renders_raise_the_counters(webs, api):
    before = scrape_in_peace(webs["good"])
    assert api.render(api.template())[1]["status"] == "completed"
    assert api.render(api.template("#panic()"))[1]["status"] == "failed"
    assert api.render(api.template("#let x = "))[1]["status"] == "failed"
    wait_for_report()
    after = scrape(webs["good"])
    attempts, seconds = "automette_render_attempts_total", "automette_render_attempt_seconds"
    assert raised(before, after, attempts, engine="typst", outcome="completed") == 1
    assert raised(before, after, attempts, engine="typst", outcome="template_error") == 2
    assert raised(before, after, attempts) == raised(before, after, f"{seconds}_count", engine="typst") == 3
    assert raised(before, after, f"{seconds}_bucket", engine="typst", le="+Inf") == 3
    assert 0 < raised(before, after, f"{seconds}_sum", engine="typst") < 60
    assert total(after, "automette_engine_forks_total", engine="typst") >= 1


def test_outcomes_begin_at_zero(webs):
    """Of a series that begins at 1, Prometheus would not see the first increase."""
    attempts = values(scrape(webs["good"]), "automette_render_attempts", but=("worker",))
    kinds = {"completed", "template_error", "resource_limit", "engine_error", "internal"}
    assert attempts.keys() >= {(engine, kind) for engine in ("typst", "canvas") for kind in kinds}
    assert 0 in attempts.values()  # of what has not happened yet


def test_what_is_no_fault_of_the_template_is_counted_as_internal():
    def internal():
        return {tuple(labels.values()): value for _, _, labels, value in counters.samples()}.get(
            ("none", "internal"), 0
        )

    before = internal()
    for error in (store.StoreUnavailableError("away"), ZeroDivisionError()):
        with pytest.raises(type(error)), counters.attempt("none"):
            raise error
    assert internal() == before + 2


def test_pending_renders_and_the_age_of_the_oldest(webs, api, accept):
    accept(api, api.template())
    pending = Render.objects.filter(status="pending").order_by("created_at")

    def found():
        before, pages, after = list(pending), [scrape(webs["good"]) for _ in range(2)], list(pending)
        return (before, *pages) if before == after else None

    rows, families, again = wait_until(found)  # a render of an earlier test may end meanwhile
    assert values(families, "automette_renders")["pending",] == len(rows)
    assert values(families, "automette_renders").keys() == {("pending",), ("running",)}
    told = total(families, "automette_oldest_pending_render_seconds")
    later = total(again, "automette_oldest_pending_render_seconds")
    assert 0 < told < later
    assert rows[0].created_at.timestamp() + told == pytest.approx(_database_time(), abs=30)


def _database_time():
    return Render.objects.raw("SELECT '' AS id, extract(epoch FROM now())::float8 AS now")[0].now


def test_finished_renders_are_found_without_reading_them(database):
    """The statement must use the index of unfinished renders: a table of millions is mostly finished ones."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {metrics._OPEN_RENDERS}")
        assert "render_to_ring" in "\n".join(line for (line,) in cursor.fetchall())


def test_messages_of_each_queue(webs, empty_redis):
    with redis.Redis.from_url(empty_redis) as client:
        client.rpush("bulk", "a", "b", "c")
        counted = values(scrape(webs["no worker"]), "automette_queue_messages")
        client.delete("bulk")
    assert (counted["bulk",], counted["interactive",], counted["docx",]) == (3, 0, 0)
    assert values(scrape(webs["no worker"]), "automette_queue_messages")["bulk",] == 0


def workers_of(client):
    return client.scan_iter("automette:worker:*")


def test_counters_of_a_worker_stay_when_another_one_ends(webs, server, empty_redis):
    """Two workers as Redis has them, one of which ends; the report is a real worker's."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        report = json.loads(wait_until(lambda: next(filter(None, map(client.get, workers_of(client))), None)))
    for pool in report["engines"].values():
        pool["counts"] |= {"forks": 7, "recycled": 3, "zygote_restarts": 2}
    with redis.Redis.from_url(empty_redis) as client:
        for name in ("one:1", "two:2"):
            client.set(f"automette:worker:{name}", json.dumps(report))
        both = scrape(webs["no worker"])
        client.delete("automette:worker:one:1")
        alone = scrape(webs["no worker"])
        client.delete("automette:worker:two:2")
    assert (total(both, "automette_workers"), total(alone, "automette_workers")) == (2, 1)
    counted = [name for name, family in both.items() if family.type in {"counter", "histogram"}]
    assert len(counted) == 5
    for name in counted:
        left = {(one.name, *one.labels.items()): one.value for one in alone[name].samples}
        assert left == {
            (one.name, *one.labels.items()): one.value
            for one in both[name].samples
            if one.labels["worker"] == "two:2"
        }
    assert values(alone, "automette_engine_forks")["typst", "two:2"] == 7
    assert values(alone, "automette_engine_zygote_restarts")["typst", "two:2"] == 2
    assert total(both, "automette_engine_forks_total", engine="typst") == 14  # what a sum without names would lose


# --- when something is away


def test_without_a_database_it_says_so_and_tells_the_rest(webs):
    families = scrape_with(webs["no database"], broker=1, database=0, store=1)
    assert "automette_renders" not in families
    assert total(families, "automette_workers") >= 1
    assert "automette_queue_messages" in families


def test_without_redis_it_says_so_and_tells_the_rest(webs):
    families = scrape_with(webs["no redis"], broker=0, database=1, store=1)
    assert "automette_renders" in families
    assert "automette_workers" not in families  # not 0: nobody knows


def test_without_a_bucket_and_without_a_worker(webs):
    families = scrape_with(webs["no worker"], broker=1, database=1, store=0)
    assert total(families, "automette_workers") == 0
    assert not values(families, "automette_engine_children")


def test_servers_that_hang_do_not_hold_the_page_up(webs):
    """Redis and the store take the connection and say nothing; the page is there before Prometheus gives up."""
    assert metrics._PATIENCE_SECONDS <= 10 / 2
    scrape(webs["silence"], timeout=18)  # the store alone would take 20: two attempts of 10 seconds each
    families = scrape_with(webs["silence"], broker=0, database=1, store=0)
    assert "automette_renders" in families


def test_control_whoever_waits_for_such_a_store_waits_longer(webs):
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{webs['silence']}/readyz", timeout=metrics._PATIENCE_SECONDS + 2)
