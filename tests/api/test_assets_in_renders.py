"""What renders make of assets: through the whole application."""

import csv
import io
import json

import pytest
import requests
from PIL import Image

from renders import statements
from templates_app import blobs
from templates_app.models import TemplateVersion
from templates_app.offered_files import FEW_ASSETS, AssetInUse, without_clashes
from templates_app.offered_files import offered as offered_of
from tests.api.asset_calls import PATH, picture, upload

POSTER = """
#set page(width: 40pt, height: 20pt, margin: 0pt, fill: white)
#assert.eq(csv("data/rows.csv").at(1), ("1", "2"))
#image("images/logo.png", width: 40pt, height: 20pt)
"""
CARD = {
    "width": 40,
    "height": 20,
    "layers": [
        {"type": "image", "src": "images/logo.png", "field": "picture", "x": 0, "y": 0, "width": 40, "height": 20}
    ],
}


def rendered(server, api, template_id, **more) -> tuple:
    """Render to PNG and return the colour in the middle."""
    status, body = api.render(template_id, format="png", **more)
    assert status == 200, body
    content = requests.get(f"{server}/renders/{body['id']}.png", timeout=60).content
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB").getpixel((image.width // 2, image.height // 2))


def table(*rows) -> bytes:
    target = io.StringIO()
    csv.writer(target).writerows(rows)
    return target.getvalue().encode()


def refused(api, template_id, **more) -> str:
    status, body = api.render(template_id, **more)
    assert status == 422, body
    return body["error"]


def card(api) -> str:
    return api.template(CARD, engine="canvas")


RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def test_typst_template_shows_a_picture_and_reads_a_table(server, api):
    upload(api, picture("red"), "logo.png", name="images/logo.png")
    upload(api, table(("a", "b"), (1, 2)), "rows.csv", name="data/rows.csv")
    assert rendered(server, api, api.template(POSTER)) == RED


def test_typst_template_can_import_a_module_that_uses_another_asset(server, api):
    upload(api, b'#let logo = image("logo.png", width: 40pt)\n', "x", name="lib/theme.typ")
    upload(api, picture("green"), "x", name="lib/logo.png")
    source = '#import "lib/theme.typ": logo\n#set page(width: 40pt, height: 20pt, margin: 0pt)\n#logo'
    assert rendered(server, api, api.template(source)) == GREEN


def test_canvas_document_shows_an_asset_named_by_itself_or_by_the_data(server, api):
    template_id = card(api)
    upload(api, picture("red"), name="images/logo.png")
    upload(api, picture("blue"), name='images/my "best" ö.png')
    assert rendered(server, api, template_id) == RED
    assert rendered(server, api, template_id, data={"picture": 'images/my "best" ö.png'}) == BLUE


def test_replaced_asset_is_in_the_next_render(server, api):
    template_id = card(api)
    for color, pixel in (("red", RED), ("green", GREEN), ("red", RED)):
        upload(api, picture(color), name="images/logo.png")
        assert rendered(server, api, template_id) == pixel


def test_asset_of_the_template_hides_the_teams(server, api):
    template_id, other_id = card(api), card(api)
    upload(api, picture("red"), name="images/logo.png")
    own = upload(api, picture("green"), name="images/logo.png", template_id=template_id)
    assert rendered(server, api, template_id) == GREEN
    assert rendered(server, api, other_id) == RED
    api.send("DELETE", f"{PATH}/{own['id']}")
    assert rendered(server, api, template_id) == RED


@pytest.mark.parametrize("engine", ["typst", "canvas"])
def test_asset_of_another_team_is_not_found_and_costs_nothing(server, api, other_api, engine):
    upload(other_api, picture(), name="images/logo.png")
    upload(other_api, table(("a", "b"), (1, 2)), name="data/rows.csv")
    template_id = card(api) if engine == "canvas" else api.template('#image("images/logo.png")')
    before = api.credits()
    assert "images/logo.png" in refused(api, template_id)
    assert api.credits() == before


def test_deleted_asset_is_not_found(server, api):
    template_id = card(api)
    asset = upload(api, picture(), name="images/logo.png")
    assert rendered(server, api, template_id) == RED
    api.send("DELETE", f"{PATH}/{asset['id']}")
    assert "images/logo.png" in refused(api, template_id)


def test_asset_of_another_template_is_not_found(server, api):
    upload(api, picture(), name="images/logo.png", template_id=card(api))
    assert "images/logo.png" in refused(api, card(api))


def test_file_of_the_version_hides_an_asset(server, api):
    template_id = api.template('#set page(width: 40pt, height: 20pt, margin: 0pt)\n#image("a.png", width: 40pt)')
    TemplateVersion.objects.filter(template_id=template_id).update(
        files={"a.png": blobs.put(api.team.id, picture("green"))}
    )
    upload(api, picture("red"), name="a.png", template_id=template_id)
    assert rendered(server, api, template_id) == GREEN


def test_missing_blob_is_tried_again_and_gives_the_credit_back(server, api, wait):
    asset = upload(api, picture("blue"), name="images/logo.png")
    blobs.store.delete([blobs.key_of(api.team.id, asset["sha256"])])
    before = api.credits()
    body = api.post("/api/v1/renders", {"template_id": card(api)}).json()
    finished = wait(api, body["id"])
    assert (finished["status"], finished["error"]) == ("failed", "The file store was not reachable.")
    assert api.team.renders.get(pk=body["id"]).attempt == 3
    assert api.credits() == before


# --- what a claim brings along


def claimed(api, accept, template_id, **more):
    render = accept(api, template_id, **more)
    return statements.claim(render.id, lease_seconds=60)


def test_claim_names_assets_fonts_and_files(api, other_api, accept):
    template_id, other_id = api.template(), api.template()
    TemplateVersion.objects.filter(template_id=template_id).update(files={"x.typ": "f" * 64})
    api.team.fonts.create(filename="b.ttf", size_bytes=1, sha256="b" * 64)
    api.team.fonts.create(filename="a.ttf", size_bytes=1, sha256="a" * 64)
    other_api.team.fonts.create(filename="c.ttf", size_bytes=1, sha256="c" * 64)
    upload(api, b"team's", name="a.txt")
    upload(api, b"own", name="a.txt", template_id=template_id)
    upload(api, b"another template's", name="b.txt", template_id=other_id)
    upload(other_api, b"another team's", name="c.txt")
    taken = claimed(api, accept, template_id, formats=["pdf"])
    assert [(asset.name, asset.own, asset.size_bytes) for asset in taken.assets] == [
        ("a.txt", True, 3),
        ("a.txt", False, 6),
    ]
    assert (taken.fonts, taken.version_files) == (("a" * 64, "b" * 64), {"x.typ": "f" * 64})
    assert taken.formats == ["pdf"]


def test_claim_of_a_team_without_files_is_empty(api, accept):
    taken = claimed(api, accept, api.template())
    assert (taken.assets, taken.fonts, taken.version_files) == ((), (), {})


def offered(api, accept, source, assets, **more) -> set[str]:
    taken = claimed(api, accept, api.template(source), **more)
    text = taken.source + taken.data
    return offered_of(engine=taken.engine, text=text, assets={asset.name: asset for asset in assets})


def many(count, size=1) -> list[AssetInUse]:
    return [AssetInUse(f"images/{number}.png", "0" * 64, size, own=False) for number in range(count)]


def test_few_assets_are_all_offered(api, accept):
    assert len(offered(api, accept, "Hi", many(FEW_ASSETS))) == FEW_ASSETS


@pytest.mark.parametrize("assets", [many(FEW_ASSETS + 1), many(3, 10_000_000)], ids=["many", "large"])
def test_of_many_assets_the_named_ones_are_offered_and_the_templates_own(api, accept, assets):
    own = AssetInUse("own.txt", "0" * 64, 1, own=True)
    source, data = '#image("images/1.png")', json.dumps({"a": {"b": "2.png"}})
    found = offered(api, accept, source, [*assets, own], data=data)
    assert found == {"images/1.png", "images/2.png", "own.txt"}


def test_clashing_names_are_left_out_so_that_a_render_is_never_refused_for_them():
    own, teams = (
        {name: AssetInUse(name, "0" * 64, 1, mine) for name in names}
        for mine, names in ((True, ["a/b", "v/w"]), (False, ["a", "a/c", "a/b/c", "file/x", "d"]))
    )
    kept = without_clashes({"file": "0" * 64, "v": "0" * 64}, {**teams, **own})
    assert sorted(kept) == ["a/b", "a/c", "d"]
