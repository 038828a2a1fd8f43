"""Fonts of a team: `/api/v1/fonts`, and what the three engines make of them."""

import hashlib
import json
import threading
import time
from pathlib import Path

import pytest
import requests
from django.core.cache import cache
from django.db import connection

from accounts.models import AuditEntry
from automette.lib import store, worker_status
from automette.lib.ids import new_id
from automette.lib.worker_calls import WorkerUnavailableError
from templates_app import blobs
from templates_app.fonts import add_font
from templates_app.models import Font
from tests.api.uploading import send_form
from tests.api.uploading import upload as upload_word
from tests.conftest import free_port, wait_until
from tests.hostile.fonts import HOSTILE, UNREADABLE, charter, collection, lato, named, woff
from workers.docx.font_sample import sample_document
from workers.docx.office import find_program

PATH = "/api/v1/fonts"
FAMILY = "Zanzibar Test"
FONT = named(FAMILY, "Regular", FAMILY, "ZanzibarTest-Regular", FAMILY)
NOT_A_FONT = "file: This is not a font. Upload a TrueType or OpenType font (.ttf, .otf)."


def send(api, content: bytes = FONT, filename="zanzibar.ttf"):
    return send_form(api, PATH, file=(filename, content, "font/ttf"))


def upload(api, content: bytes = FONT, filename="zanzibar.ttf") -> dict:
    answer = send(api, content, filename)
    assert answer.status_code == 201, answer.content
    return answer.json()


@pytest.fixture
def row(api):
    """Put a font in the database as an upload does, without a worker."""

    def make(team=api.team, content=FONT) -> Font:
        sha256 = blobs.put(team.id, content)
        return Font.objects.create(
            team=team, filename="z.ttf", families=[FAMILY], size_bytes=len(content), sha256=sha256
        )

    return make


# ---- Upload, list, read, fetch, delete -----------------------------------------------------------------


def test_upload_is_201_with_what_is_known_of_the_font(server, api):
    answer = send(api)
    body = answer.json()
    assert answer.status_code == 201, body
    assert body == {
        "id": body["id"],
        "self": f"http://localhost:8000{PATH}/{body['id']}",
        "filename": "zanzibar.ttf",
        "families": [FAMILY],
        "faces": [{"family": FAMILY, "style": "normal", "weight": 400}],
        "warnings": [],
        "size_bytes": len(FONT),
        "sha256": hashlib.sha256(FONT).hexdigest(),
        "created_at": body["created_at"],
    }
    assert api.get(f"{PATH}/{body['id']}").json() == body
    assert store.get(blobs.key_of(api.team.id, body["sha256"])) == FONT


def test_over_the_network_as_curl_sends_it(server, api):
    answer = requests.post(
        f"{server}{PATH}",
        files={"file": ("charter.otf", charter(), "application/octet-stream")},
        headers={"Authorization": f"Bearer {api.key}"},
        timeout=100,
    )
    assert (answer.status_code, answer.json()["families"]) == (201, ["XCharter"])
    assert answer.json()["faces"] == [{"family": "XCharter", "style": "normal", "weight": 700}]


def test_same_file_again_is_200_with_the_row_that_is_there(server, api, other_api, nothing_changes):
    first = upload(api)
    with nothing_changes(api):
        again = send(api, filename="another-name.ttf")
    assert (again.status_code, again.json()) == (200, first)
    assert upload(other_api)["id"] != first["id"]
    assert AuditEntry.objects.filter(team=api.team, action="font.created").count() == 1


def test_list_is_a_bare_array_oldest_first(server, api, other_api):
    upload(other_api)
    bodies = [upload(api), upload(api, charter(), "a.otf")]
    assert api.get(PATH).json() == bodies


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("C:\\fonts\\a.ttf", "a.ttf"), ("ä ö.ttf", "ä ö.ttf"), ("a\x00\u202eb.ttf", "ab.ttf"), ("x" * 250, "x" * 200)],
)
def test_filename_is_for_people_only(server, api, sent, kept):
    assert upload(api, filename=sent)["filename"] == kept


def test_deleting_forgets_it_and_a_second_time_is_404(api, row):
    font = row()
    answer = api.send("DELETE", f"{PATH}/{font.id}")
    assert (answer.status_code, answer.json()) == (200, {"id": font.id, "deleted": True})
    assert api.send("DELETE", f"{PATH}/{font.id}").status_code == 404
    assert api.get(PATH).json() == []


def test_file_is_fetched_as_an_attachment_by_an_address_that_needs_no_key(api, row):
    answer = api.get(f"{PATH}/{row().id}", download="true")
    assert (answer.status_code, answer["Cache-Control"]) == (302, "no-store")
    file = requests.get(answer["Location"], timeout=60)
    assert (file.status_code, file.content, file.headers["Content-Type"]) == (200, FONT, "font/sfnt")
    assert file.headers["Content-Disposition"] == 'attachment; filename="z.ttf"'


def test_every_change_is_in_the_audit_trail(server, api):
    body = upload(api)
    api.send("DELETE", f"{PATH}/{body['id']}")
    entries = AuditEntry.objects.filter(team=api.team, subject=body["id"]).order_by("id")
    assert [entry.action for entry in entries] == ["font.created", "font.deleted"]
    assert entries[0].detail == {"filename": "zanzibar.ttf", "families": [FAMILY], "sha256": body["sha256"]}


def test_another_teams_font_is_nobodys(api, other_api, row, nothing_changes):
    font = row(other_api.team)
    with nothing_changes(api, other_api):
        for method, more in [("GET", ""), ("GET", "?download=true"), ("DELETE", "")]:
            real = api.send(method, f"{PATH}/{font.id}{more}")
            made_up = api.send(method, f"{PATH}/{new_id()}{more}")
            assert (real.status_code, real.content) == (404, b'{"error":"Not found."}')
            assert real.content == made_up.content
    assert api.get(PATH).json() == []


# ---- Refusals ------------------------------------------------------------------------------------------

REFUSED_AT_ONCE = {
    "empty": (b"", NOT_A_FONT),
    "text": (b"true words of a text", NOT_A_FONT),
    "picture": (b"\x89PNG\r\n\x1a\n", NOT_A_FONT),
    "WOFF": (woff(), "file: This is a WOFF font, made for web pages. Convert it to TTF or OTF, then upload that."),
    "WOFF2": (
        b"wOF2" + bytes(100),
        "file: This is a WOFF2 font, made for web pages. Convert it to TTF or OTF, then upload that.",
    ),
    "TTC": (
        collection(lato(), lato()),
        "file: This is a collection of fonts (TTC). Upload each of its fonts as a TTF or OTF file.",
    ),
}


@pytest.mark.parametrize("kind", REFUSED_AT_ONCE)
def test_what_does_not_begin_as_a_font_is_422_without_a_worker(api, nothing_changes, kind):
    content, sentence = REFUSED_AT_ONCE[kind]
    with nothing_changes(api):
        answer = send(api, content)
    assert (answer.status_code, answer.json()) == (422, {"error": sentence})
    assert store.list_keys(f"blobs/{api.team.id}/") == []


def test_what_only_begins_as_a_font_is_422(server, api, nothing_changes):
    with nothing_changes(api):
        answer = send(api, b"\0\1\0\0" + bytes(1000))
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "file: the file is not a TrueType or OpenType font (.ttf, .otf) that can be used"},
    )


def test_missing_file_is_400_and_a_file_that_is_none_422(api, nothing_changes):
    with nothing_changes(api):
        missing, text = send_form(api, PATH, name="x"), send_form(api, PATH, file="x")
        as_json = api.post(PATH, {"file": "x"})
    assert (missing.status_code, missing.json()) == (400, {"error": "file: This field is required."})
    assert (text.status_code, text.json()) == (422, {"error": "file: Must be a file: a part with a file name."})
    assert as_json.status_code == 415


def test_too_large_a_file_is_413_and_says_the_limit(api, settings, nothing_changes):
    settings.MAX_FONT_BYTES = 1000
    with nothing_changes(api):
        answer = send(api)
    assert (answer.status_code, answer.json()) == (413, {"error": "file: larger than 1,000 bytes."})


def test_team_may_have_so_many_fonts(api, other_api, settings, row, nothing_changes):
    settings.MAX_FONTS = 1
    first = row()
    with nothing_changes(api):
        answer = send(api, charter())
    assert answer.status_code == 422
    assert answer.json() == {"error": "This team has 1 fonts, as many as it may. Delete one first."}
    assert send(api).json()["id"] == first.id, "what is there needs no room"


def test_team_may_have_so_many_bytes(api, settings, row, nothing_changes):
    settings.MAX_FONTS_BYTES = len(FONT) + len(charter()) - 1
    row()
    with nothing_changes(api):
        answer = send(api, charter())
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"This team's fonts would have more than {settings.MAX_FONTS_BYTES:,} b")


def test_limit_and_single_row_hold_when_uploads_meet(server, api, settings):
    settings.MAX_FONTS = 2
    fonts = [named(f"Font {number}") for number in range(3)] * 2
    barrier, results = threading.Barrier(len(fonts)), []

    def add(content: bytes) -> bool:
        while True:
            try:
                return add_font(team=api.team, actor="test", content=content, filename="a.ttf")[1]
            except (store.StoreUnavailableError, WorkerUnavailableError):
                time.sleep(0.1)  # the embedded store may refuse what comes twice at once; a worker may be busy

    def run(content: bytes) -> None:
        barrier.wait(60)
        try:
            results.append(add(content))
        except Exception as error:  # noqa: BLE001 (the test judges it)
            results.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[content]) for content in fonts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert results.count(True) == 2
    assert set(results) <= {True, False, "InvalidValueError"}
    assert Font.objects.filter(team=api.team).count() == 2


@pytest.mark.parametrize(
    ("away", "message"),
    [
        ("REDIS_URL", "No worker could look at it just now. Try again in a moment."),
        ("S3_ENDPOINT_URL", "The file store is not reachable. Try again."),
    ],
)
def test_without_broker_or_store_it_is_503_and_nothing_was_made(api, start_web, nothing_changes, away, message):
    scheme = "redis" if away == "REDIS_URL" else "http"
    base = start_web(**{away: f"{scheme}://127.0.0.1:{free_port()}"})
    started = time.monotonic()
    with nothing_changes(api):
        answer = requests.post(
            f"{base}{PATH}",
            files={"file": ("a.ttf", FONT)},
            headers={"Authorization": f"Bearer {api.key}"},
            timeout=100,
        )
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, {"error": message}, "2")
    assert time.monotonic() - started < 25  # a worker that was asked may take 30


# ---- Use -----------------------------------------------------------------------------------------------

LAYER = {"type": "text", "x": 0, "y": 0, "width": 200, "height": 60, "text": "Hello, World"}


def template_of(api, engine: str, family: str = FAMILY) -> str:
    if engine == "docx":
        answer = upload_word(api, sample_document(family))
        assert answer.status_code == 201, answer.content
        return answer.json()["id"]
    if engine == "canvas":
        layers = [{**LAYER, "font_family": family}]
        return api.template({"width": 200, "height": 60, "layers": layers}, engine="canvas")
    return api.template(f"#set text(font: {json.dumps(family)})\nHello, World")


def fonts_of(api, template_id: str) -> tuple[list[str], list[str]]:
    status, body = api.render(template_id, format="pdf")
    assert status == 200, body
    render = api.team.renders.get(pk=body["id"])
    assert FAMILY in render.report["fonts_asked"]
    return render.report["fonts_used"], render.report["warnings"]


@pytest.mark.parametrize("engine", ["typst", "canvas", "docx"])
def test_every_engine_uses_it_for_its_team_until_it_is_deleted(server, api, other_api, engine):
    mine, theirs = template_of(api, engine), template_of(other_api, engine)
    if engine == "docx" and find_program() is None:
        return
    assert FAMILY not in fonts_of(api, mine)[0]
    font = upload(api)
    assert fonts_of(api, mine)[0] == [FAMILY]
    assert FAMILY not in fonts_of(other_api, theirs)[0]
    api.send("DELETE", f"{PATH}/{font['id']}")
    used, warnings = fonts_of(api, mine)
    assert FAMILY not in used
    assert warnings or engine == "docx"


def test_families_are_the_servers_and_the_teams(server, api, other_api):
    cache.clear()
    upload(api)
    mine, theirs = (each.get("/api/v1/font_families").json() for each in (api, other_api))
    assert {"family": FAMILY, "source": "team"} in mine
    assert [each for each in mine if each["source"] == "server"] == theirs
    assert {"family": "Source Sans 3", "source": "server"} in theirs
    assert [each["family"] for each in mine] == sorted((each["family"] for each in mine), key=str.casefold)


def test_family_that_both_have_is_the_teams(server, api):
    upload(api, lato(), "lato.ttf")
    listed = api.get("/api/v1/font_families").json()
    assert [each["source"] for each in listed if each["family"] == "Lato"] == ["team"]


# ---- Hostile files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_or_does_no_harm(server, api, other_api, settings, name):
    settings.SYNC_WAIT_SECONDS = 90  # an engine may run into its limit of time, more than once
    content, living = HOSTILE[name]()[:20_000_000], wait_until(workers_alive)
    answer = send(api, content)
    assert answer.status_code in ({422} if name in UNREADABLE else {201, 422}), answer.content
    for secret in (b"/dev/shm", b"/tmp", b"automette-engine", b"Traceback", b"root:x"):
        assert secret not in answer.content
    if answer.status_code == 422:
        assert Font.objects.filter(team=api.team).count() == 0
    else:
        for engine in ("typst", "canvas", "docx"):
            status, body = api.render(template_of(api, engine, answer.json()["families"][0]), format="pdf")
            assert status in {200, 422}, body
        assert api.render(api.template())[0] == 200, "other templates of the team go on"
    assert other_api.render(other_api.template())[0] == 200
    wait_until(lambda: living <= workers_alive())  # a report that is late is no death


def workers_alive() -> set[str]:
    """The workers that have reported, by host and process, as far as their processes are there."""
    return {name for name in worker_status.workers() if Path("/proc", name.rpartition(":")[2]).exists()}


def test_control_font_that_typst_takes_ends_libreoffice(server, api, nothing_changes):
    """What trying LibreOffice out is for; without the trial, every Word template that names the font would fail."""
    if find_program() is None:
        return
    content = HOSTILE["without outlines"]()
    with nothing_changes(api):
        assert send(api, content).json()["error"].startswith("file: An engine failed to set text in this font.")
    font = Font.objects.create(
        team=api.team, filename="a.ttf", families=["Lato"], size_bytes=1, sha256=blobs.put(api.team.id, content)
    )
    assert api.render(api.template('#set text(font: "Lato")\nHello'))[0] == 200
    template = upload_word(api, sample_document("Lato")).json()["id"]
    assert api.render(template)[0] == 422
    font.delete()
    assert api.render(template)[0] == 200


def test_font_that_only_libreoffice_does_not_use_is_kept_with_a_warning(server, api):
    font = upload(api, HOSTILE["name like code"]())
    expected = "LibreOffice does not set text in this font: Word templates that name it get another one."
    assert font["warnings"] == ([expected] if find_program() else [])
