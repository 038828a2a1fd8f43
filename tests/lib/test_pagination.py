import pytest

from automette.lib.errors import InvalidValueError
from automette.lib.pagination import page_by_id
from templates_app.models import Template


def test_pages_follow_each_other_without_gap_or_overlap(api):
    ids = sorted((api.template() for _ in range(7)), reverse=True)
    rows = Template.objects.filter(team=api.team)
    seen, cursor = [], None
    while True:
        page, cursor = page_by_id(rows, known=rows, limit=3, cursor=cursor)
        seen.append([row.id for row in page])
        if cursor is None:
            break
    assert seen == [ids[:3], ids[3:6], ids[6:]]


def test_cursor_must_be_a_known_row_though_not_one_of_the_filtered(api, other_api):
    mine, theirs = api.template(), other_api.template()
    known = Template.objects.filter(team=api.team)
    assert page_by_id(known.none(), known=known, limit=1, cursor=mine) == ([], None)
    with pytest.raises(InvalidValueError, match="cursor: unknown"):
        page_by_id(known, known=known, limit=1, cursor=theirs)
