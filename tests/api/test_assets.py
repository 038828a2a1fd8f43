"""Uploading files for templates: `/api/v1/assets`."""

import hashlib
import threading
import unicodedata

import pytest
import requests
from django.db import connection, transaction

from accounts.models import AuditEntry
from automette.lib import store
from automette.lib.ids import new_id
from templates_app import blobs
from templates_app.assets import _check_room, save_asset
from templates_app.models import Asset
from tests.api.asset_calls import END, FILE, PATH, NoAssetChanges, picture, raw, send, upload


def test_upload_is_201_with_what_is_known_of_the_file(api):
    answer = send(api, picture(), "logo.png")
    body = answer.json()
    assert answer.status_code == 201
    assert body == {
        "id": body["id"],
        "self": f"http://localhost:8000{PATH}/{body['id']}",
        "name": "logo.png",
        "template_id": None,
        "media_type": "image/png",
        "size_bytes": len(picture()),
        "sha256": hashlib.sha256(picture()).hexdigest(),
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
    }
    assert api.get(f"{PATH}/{body['id']}").json() == body
    assert store.get(blobs.key_of(api.team.id, body["sha256"])) == picture()


def test_name_and_template_can_be_given(api):
    template_id = api.template()
    body = upload(api, filename="x.csv", name="data/rows.csv", template_id=template_id)
    assert (body["name"], body["template_id"]) == ("data/rows.csv", template_id)


@pytest.mark.parametrize(
    ("sent", "kept"), [("C:\\fakepath\\a.png", "a.png"), ("/etc/a.png", "a.png"), ("ä ö.csv", "ä ö.csv")]
)
def test_default_name_is_the_files_without_folders(api, sent, kept):
    assert upload(api, filename=sent)["name"] == kept


def test_decomposed_name_is_composed(api):
    body = upload(api, name=unicodedata.normalize("NFD", "Überschrift.csv"))
    assert body["name"] == unicodedata.normalize("NFC", "Überschrift.csv")


def test_type_is_told_by_the_content_not_by_the_sender(api):
    assert upload(api, b"<html><script>", "logo.png")["media_type"] == "text/plain; charset=utf-8"


def test_same_name_in_the_same_place_replaces_the_content(api):
    first = upload(api, b"one", "a.txt")
    answer = send(api, b"three", "a.txt")
    second = answer.json()
    assert answer.status_code == 200
    assert (second["id"], second["created_at"]) == (first["id"], first["created_at"])
    assert second["updated_at"] >= first["updated_at"]
    assert (second["size_bytes"], second["sha256"]) == (5, hashlib.sha256(b"three").hexdigest())
    row = Asset.objects.get(pk=first["id"])
    assert row.updated_at > row.created_at


def test_same_name_in_another_place_is_another_asset(api, other_api):
    template_id = api.template()
    ids = [upload(api)["id"], upload(api, template_id=template_id)["id"], upload(other_api)["id"]]
    assert len(set(ids)) == 3


def test_list_is_a_bare_array_oldest_first_and_can_be_filtered(api, other_api):
    template_id = api.template()
    upload(other_api)
    bodies = [upload(api, name="b"), upload(api, name="a", template_id=template_id), upload(api, name="c")]
    assert api.get(PATH).json() == bodies
    assert api.get(PATH, template_id=template_id).json() == [bodies[1]]
    assert api.get(PATH, template_id=new_id()).json() == []


def test_deleting_forgets_it_and_a_second_time_is_404(api):
    body = upload(api)
    answer = api.send("DELETE", f"{PATH}/{body['id']}")
    assert (answer.status_code, answer.json()) == (200, {"id": body["id"], "deleted": True})
    assert api.send("DELETE", f"{PATH}/{body['id']}").status_code == 404
    assert api.get(PATH).json() == []


def test_content_is_fetched_as_an_attachment_by_an_address_that_needs_no_key(api):
    body = upload(api, b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x.svg", name='logos/my "logo" ö.svg')
    answer = api.get(f"{PATH}/{body['id']}", download="true")
    assert (answer.status_code, answer["Cache-Control"]) == (302, "no-store")
    assert answer["X-Content-Type-Options"] == "nosniff"
    file = requests.get(answer["Location"], timeout=60)
    assert (file.status_code, file.content) == (200, b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert file.headers["Content-Type"] == "image/svg+xml"
    assert file.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''my%20%22logo%22%20%C3%B6.svg")


def test_object_is_not_readable_without_a_signature(api):
    location = api.get(f"{PATH}/{upload(api)['id']}", download="true")["Location"]
    assert requests.get(location.partition("?")[0], timeout=60).status_code in {400, 403}


def test_every_change_is_in_the_audit_trail(api):
    body = upload(api)
    upload(api, b"new")
    api.send("DELETE", f"{PATH}/{body['id']}")
    entries = AuditEntry.objects.filter(team=api.team, subject=body["id"]).order_by("id")
    assert [entry.action for entry in entries] == ["asset.created", "asset.replaced", "asset.deleted"]
    assert entries[0].detail["name"] == "rows.csv"


UNSAFE = [
    "../a",
    "/etc/a",
    "a/../b",
    "./a",
    "a//b",
    "a/",
    ".",
    "..",
    "a\\b",
    "a\nb",
    ".automette/data.json",
    "a\u202eb",
]


@pytest.mark.parametrize("name", [*UNSAFE, "x" * 201, "a\0b"])
def test_name_that_cannot_be_one_is_422(api, nothing_changes, name):
    with nothing_changes(api), NoAssetChanges(api):
        answer = send(api, name=name)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("name: ")


def test_file_without_a_name_needs_one(api):
    with NoAssetChanges(api):
        answer = raw(api, FILE.replace("a.txt", "") + END)
    assert (answer.status_code, answer.json()) == (422, {"error": "name: Must have 1 to 200 characters."})


def test_nothing_can_be_a_file_and_a_folder(api):
    upload(api, name="a/b.png")
    template_id = api.template()
    with NoAssetChanges(api):
        for name in ("a", "a/b.png/c"):
            answer = send(api, name=name)
            assert (answer.status_code, answer.json()["error"]) == (
                422,
                "name: It would be a file and a folder at once.",
            )
    assert send(api, name="a", template_id=template_id).status_code == 201, "another place"
    assert send(api, name="ab").status_code == 201
    assert send(api, name="a/b.png").status_code == 200


def test_too_large_a_file_is_413_and_says_the_limit(api, settings):
    settings.MAX_ASSET_BYTES = 1000
    with NoAssetChanges(api):
        answer = send(api, b"x" * 1001)
    assert (answer.status_code, answer.json()) == (413, {"error": "file: larger than 1,000 bytes."})
    assert send(api, b"x" * 1000).status_code == 201


def test_team_may_have_so_many_assets(api, other_api, settings):
    settings.MAX_ASSETS = 2
    upload(api, name="1")
    upload(api, name="2", template_id=api.template())
    with NoAssetChanges(api):
        answer = send(api, name="3")
    assert answer.status_code == 422
    assert answer.json()["error"] == "This team has 2 assets, as many as it may. Delete one first."
    assert send(api, b"new", name="1").status_code == 200
    assert send(other_api).status_code == 201


def test_team_may_have_so_many_bytes(api, settings):
    settings.MAX_ASSETS_BYTES = 1000
    upload(api, b"x" * 600, name="1")
    with NoAssetChanges(api):
        answer = send(api, b"x" * 401, name="2")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("This team's assets would have more than 1,000 bytes")
    assert send(api, b"x" * 1000, name="1").status_code == 200, "replacing counts the new size only"


def together(api, count: int, act) -> list:
    """Run `act(number)` in threads that begin at the same time; return what each gave or raised.

    The team's folder is there before: the embedded store fails where it is to make one several times at once.
    """
    blobs.put(api.team.id, b"the first")
    barrier, results = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        barrier.wait(60)
        try:
            results[number] = act(number)
        except Exception as error:  # noqa: BLE001 (the test judges it)
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    return results


def test_limit_holds_when_uploads_meet(api, settings):
    settings.MAX_ASSETS = 3

    def save(number: int) -> bool:
        # Of its own content: the embedded store may refuse one that is uploaded several times at once.
        return save_asset(team=api.team, actor="test", content=b"%d" % number, name=f"{number}.txt")[1]

    results = together(api, 8, save)
    assert results.count(True) == 3
    assert Asset.objects.filter(team=api.team).count() == 3


def test_control_without_the_lock_they_pass_the_limit(api, settings):
    settings.MAX_ASSETS = 3
    all_judged = threading.Barrier(8)

    def save(number: int) -> bool:
        words = {"media_type": "text/plain", "size_bytes": 1, "sha256": "0" * 64}
        with transaction.atomic():
            _check_room(api.team, None, f"{number}.txt", 1)
            all_judged.wait(60)
            Asset.objects.create(team=api.team, name=f"{number}.txt", **words)
        return True

    assert together(api, 8, save) == [True] * 8
    assert Asset.objects.filter(team=api.team).count() == 8


def test_same_name_from_many_at_once_is_one_asset(api):
    results = together(
        api, 8, lambda number: save_asset(team=api.team, actor="test", content=b"%d" % number, name="a.txt")[1]
    )
    assert sorted(results) == [False] * 7 + [True]
    assert Asset.objects.filter(team=api.team).count() == 1


def test_another_teams_template_is_404_and_nothing_changes(api, other_api):
    with NoAssetChanges(api, other_api):
        real = send(api, template_id=other_api.template())
        made_up = send(api, template_id=new_id())
    assert (real.status_code, real.content) == (404, b'{"error":"Not found."}')
    assert real.content == made_up.content


def test_store_that_is_away_is_503_and_nothing_changes(api, settings):
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:9"
    with NoAssetChanges(api):
        answer = send(api)
    assert (answer.status_code, answer.json()) == (503, {"error": "The file store is not reachable. Try again."})
    assert answer["Retry-After"] == "2"
