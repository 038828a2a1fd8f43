import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import psycopg
import pytest
import redis
import requests
import time_machine
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.stack.conftest import PROJECT, SECONDS, StartStack, stack_command

pytestmark = pytest.mark.timeout(300)
COUNT_ROWS = "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"


def object_store(variables: dict[str, str], secret: str | None = None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=variables["S3_ENDPOINT_URL"],
        region_name=variables["S3_REGION"],
        aws_access_key_id=variables["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or variables["S3_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1}),
    )


def test_the_three_servers_start_and_answer(shared_variables: dict[str, str]) -> None:
    with psycopg.connect(shared_variables["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT current_database(), current_setting('server_version_num')::int / 10000, current_setting('fsync')"
        ).fetchone()
        assert row == ("automette", 18, "on")
    with redis.Redis.from_url(shared_variables["REDIS_URL"]) as broker:
        assert broker.ping() is True
        assert broker.config_get("appendonly") == {"appendonly": "yes"}
        assert broker.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    store = object_store(shared_variables)
    store.put_object(
        Bucket=shared_variables["S3_BUCKET"], Key="a/b.pdf", Body=b"bytes", ContentType="application/pdf"
    )
    answer = store.get_object(Bucket=shared_variables["S3_BUCKET"], Key="a/b.pdf")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"bytes", "application/pdf")


def test_a_presigned_url_works_until_its_lifetime_is_over_and_nothing_works_unsigned(
    shared_variables: dict[str, str],
) -> None:
    store, bucket = object_store(shared_variables), shared_variables["S3_BUCKET"]
    store.put_object(Bucket=bucket, Key="secret.pdf", Body=b"bytes")

    def signed(minutes_ago: int) -> str:
        """A URL that was made so many minutes ago, to work for an hour."""
        with time_machine.travel(time.time() - 60 * minutes_ago):
            return store.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": "secret.pdf"}, ExpiresIn=3600
            )

    url = signed(minutes_ago=30)
    assert requests.get(url, timeout=SECONDS).content == b"bytes"
    plain = requests.get(url.partition("?")[0], timeout=SECONDS)
    assert plain.status_code in {400, 403}
    assert b"bytes" not in plain.content
    with pytest.raises(ClientError):
        object_store(shared_variables, secret="x" * 48).get_object(Bucket=bucket, Key="secret.pdf")
    late = requests.get(signed(minutes_ago=61), timeout=SECONDS)
    assert late.status_code in {400, 403}
    assert b"bytes" not in late.content


def test_a_bucket_outlives_its_last_object(shared_variables: dict[str, str]) -> None:
    store = object_store(shared_variables)
    store.create_bucket(Bucket="another")
    store.put_object(Bucket="another", Key="folder/only.pdf", Body=b"bytes")
    store.delete_object(Bucket="another", Key="folder/only.pdf")
    assert [entry["Name"] for entry in store.list_buckets()["Buckets"]] == ["another", shared_variables["S3_BUCKET"]]
    store.put_object(Bucket="another", Key="next.pdf", Body=b"bytes")


def test_nobody_gets_into_redis_without_the_password(shared_variables: dict[str, str]) -> None:
    address = urlsplit(shared_variables["REDIS_URL"])
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
        connection.sendall(b"GET key\r\n")
        assert connection.recv(100) == b"-NOAUTH Authentication required.\r\n"


@pytest.mark.parametrize(
    ("given", "program"),
    [
        ({"DATABASE_URL": "postgresql://elsewhere/db"}, "postgres"),
        ({"REDIS_URL": "redis://elsewhere/0"}, "redis-server"),
        ({"S3_ENDPOINT_URL": "http://elsewhere", "S3_BUCKET": "theirs"}, "rclone"),
    ],
)
def test_each_server_is_replaced_by_its_variable_on_its_own(
    given: dict[str, str], program: str, start_stack: StartStack
) -> None:
    stack = start_stack("--temporary", **given)
    assert given.items() <= stack.variables.items()
    children = Path(f"/proc/{stack.process.pid}/task/{stack.process.pid}/children").read_text().split()
    running = {Path(f"/proc/{child}/comm").read_text().strip() for child in children}
    assert {"postgres", "redis-server", "rclone"} - running == {program}


def test_nothing_is_started_when_all_three_are_named(clean_environment: dict[str, str], tmp_path: Path) -> None:
    given = {"DATABASE_URL": "postgresql://x/y", "REDIS_URL": "redis://x", "S3_BUCKET": "amazons"}
    empty = tmp_path / "empty"
    empty.mkdir()
    code = "import os, automette.stack as s\nwith s.environment(): print(os.environ.get('SECRET_KEY'), os.listdir())"
    answer = subprocess.run(
        [*stack_command()[:1], "-c", code],
        env=clean_environment | given | {"AUTOMETTE_DATA": "d", "PYTHONPATH": str(PROJECT)},
        cwd=empty,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert answer.stdout.split() == ["None", "[]"]


def test_data_and_secrets_are_kept_between_runs(start_stack: StartStack, tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    first = start_stack("--data", folder)
    with psycopg.connect(first.variables["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept ()")
    with redis.Redis.from_url(first.variables["REDIS_URL"]) as broker:
        broker.set("kept", "yes")
    object_store(first.variables).put_object(Bucket="automette", Key="kept.pdf", Body=b"bytes")
    assert first.finish() == 0
    second = start_stack("--data", folder)
    with psycopg.connect(second.variables["DATABASE_URL"]) as connection:
        assert connection.execute(COUNT_ROWS).fetchone() == (1,)
    with redis.Redis.from_url(second.variables["REDIS_URL"]) as broker:
        assert broker.get("kept") == b"yes"
    answer = object_store(second.variables).get_object(Bucket="automette", Key="kept.pdf")
    assert (answer["Body"].read(), answer["ContentType"]) == (b"bytes", "application/pdf")
    assert first.variables["SECRET_KEY"] == second.variables["SECRET_KEY"]
    assert Path(folder, "secrets.json").stat().st_mode & 0o777 == 0o600


def test_two_stacks_run_side_by_side_and_a_second_one_on_the_same_folder_is_refused(
    start_stack: StartStack, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    folder = str(tmp_path / "data")
    one, other = start_stack("--data", folder), start_stack("--temporary")
    for name in ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL", "S3_SECRET_ACCESS_KEY", "SECRET_KEY"):
        assert one.variables[name] != other.variables[name]
    refused = subprocess.run(
        stack_command("exec", "--data", folder, "--", "true"),
        env=clean_environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Another Automette stack (process {one.process.pid}) is at work in {folder}.")
    with psycopg.connect(one.variables["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_command_in_another_terminal_uses_the_servers_that_already_run(
    start_stack: StartStack, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    folder = str(tmp_path / "data")
    stack = start_stack("--data", folder)
    code = "import os, json, automette.stack as s\nwith s.environment(): print(json.dumps(dict(os.environ)))"
    answer = subprocess.run(
        [*stack_command()[:1], "-c", code],
        env=clean_environment | {"AUTOMETTE_DATA": folder},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    theirs = json.loads(answer.stdout)
    for name in ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL", "S3_SECRET_ACCESS_KEY", "SECRET_KEY"):
        assert theirs[name] == stack.variables[name]


def test_a_long_path_gets_its_socket_elsewhere_and_that_is_removed(start_stack: StartStack, tmp_path: Path) -> None:
    stack = start_stack("--data", str(tmp_path / ("long" * 25)))
    sockets = Path(parse_qs(urlsplit(stack.variables["DATABASE_URL"]).query)["host"][0])
    assert sockets.stat().st_mode & 0o777 == 0o700
    with psycopg.connect(stack.variables["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert stack.finish() == 0
    assert not sockets.exists()


def test_a_path_with_quotes_and_spaces_works(start_stack: StartStack, tmp_path: Path) -> None:
    stack = start_stack("--data", str(tmp_path / 'it\'s "a" folder'))
    with psycopg.connect(stack.variables["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(stack.variables["REDIS_URL"]) as broker:
        assert broker.ping() is True


def test_a_stale_process_number_of_a_crash_does_not_stop_postgresql(start_stack: StartStack, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert start_stack("--data", str(folder)).finish() == 0
    cluster = folder / "postgres"
    stale = cluster / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{cluster}\n1700000000\n5432\n/nowhere\n\n  1234567   1\nready   \n")
    os.chown(stale, cluster.stat().st_uid, cluster.stat().st_gid)
    with psycopg.connect(start_stack("--data", str(folder)).variables["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_end_of_the_log_is_shown_when_a_server_does_not_start(
    start_stack: StartStack, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    assert start_stack("--data", str(folder)).finish() == 0
    with (folder / "postgres" / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")
    answer = subprocess.run(
        stack_command("exec", "--data", str(folder), "--", "true"),
        env=clean_environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert answer.returncode == 1
    assert "PostgreSQL did not start." in answer.stderr
    assert 'unrecognized configuration parameter "no_such_setting"' in answer.stderr


def test_the_object_store_refuses_a_listing_without_a_key(shared_variables: dict[str, str]) -> None:
    address = urlsplit(shared_variables["S3_ENDPOINT_URL"])
    connection = http.client.HTTPConnection(address.netloc, timeout=SECONDS)
    connection.request("GET", "/")
    assert connection.getresponse().status in {400, 403}
    connection.close()
