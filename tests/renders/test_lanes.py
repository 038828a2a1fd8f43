"""Queues: who waits for an answer is served before who does not."""

from renders.models import Render

# About a tenth of a second of work that Typst cannot remember from the render before.
SLOW = '#let n = data.at("n", default: 0)\n#let s = 0\n#for i in range(150000) { s += calc.rem(i * n, 7) }\n#s'


def test_sync_render_overtakes_a_long_queue(server, api, other_api):
    slow = api.template(SLOW)
    for number in range(60):
        assert api.post("/api/v1/renders", {"template_id": slow, "data": {"n": number + 1}}).status_code == 202
    status, _ = other_api.render(other_api.template())
    assert status == 200
    assert api.team.renders.filter(status=Render.Status.PENDING).count() > 30
