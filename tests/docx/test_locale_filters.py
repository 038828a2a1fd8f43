"""Numbers, money and dates as people of a place write them."""

import json

import pytest
from word_files import texts, word_file

from tests.docx.word_files import fill
from workers.errors import TemplateError


def printed(template: str, data=None, locale="en") -> str:
    (text,) = texts(fill(word_file(template), json.dumps(data or {}).encode(), lambda _: None, locale)[0])
    return text.replace("\xa0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("template", "locale", "text"),
    [
        ("{{ 1234567.891|number }}", "en", "1,234,567.891"),
        ("{{ 1234567.891|number }}", "de", "1.234.567,891"),
        ("{{ 1234567.891|number(2) }}", "de_CH", "1’234’567.89"),  # noqa: RUF001
        ("{{ 1234567.891|number(0) }}", "fr", "1 234 568"),
        ("{{ 12345678|number(2) }}", "en_IN", "1,23,45,678.00"),
        ("{{ 5|number(2) }}", "en", "5.00"),
        ("{{ 2.675|number(2) }}", "en", "2.68"),
        ("{{ '12.5'|number(1) }}", "de", "12,5"),
        ("{{ 1234.5|number(format='#,##0.00') }}", "de", "1.234,50"),
        ("{{ 1234.5|number(locale='de') }}", "en", "1.234,5"),
        ("{{ 1234.5|currency('EUR') }}", "en", "€1,234.50"),
        ("{{ 1234.5|currency('EUR') }}", "de", "1.234,50 €"),
        ("{{ 1234.5|currency('usd') }}", "en", "$1,234.50"),
        ("{{ 1234.5|currency('JPY') }}", "ja", "￥1,235"),
        ("{{ 1234.5|currency('CHF') }}", "de-CH", "CHF 1’234.50"),  # noqa: RUF001
        ("{{ 0.005|currency }}", "de", "0,01 €"),
        ("{{ 59.969999999999995|currency('GBP', locale='en_GB') }}", "de", "£59.97"),
        ("{{ 10|currency('EUR', format='#,##0.00 ¤¤') }}", "de", "10,00 EUR"),
        ("{{ 0.19|percent }}", "en", "19%"),
        ("{{ 0.1925|percent(1) }}", "de", "19,3 %"),
        ("{{ '2026-04-22'|date }}", "en", "Apr 22, 2026"),
        ("{{ '2026-04-22'|date }}", "de", "22.04.2026"),
        ("{{ '2026-04-22'|date('long') }}", "fr", "22 avril 2026"),
        ("{{ '2026-04-22'|date('full') }}", "de", "Mittwoch, 22. April 2026"),
        ("{{ '2026-04-22'|date('d. MMMM y', locale='de') }}", "en", "22. April 2026"),
        ("{{ '2026-04-22T23:30:00Z'|date('short') }}", "de", "22.04.26"),
        ("{{ '2026-04-22T14:05:00'|time }}", "de", "14:05"),
        ("{{ '14:05'|time }}", "en", "2:05 PM"),
        ("{{ '2026-04-22T14:05:00+02:00'|datetime('short') }}", "de", "22.04.26, 14:05"),
    ],
)
def test_value_is_written_as_in_the_locale(template, locale, text):
    assert printed(template, locale=locale) == text


@pytest.mark.parametrize("name", ["number", "currency", "percent", "date", "time", "datetime"])
def test_what_is_missing_prints_nothing(name):
    template = "<{{ nothing|%s }}{{ empty|%s }}{{ missing|%s }}>" % (name, name, name)  # noqa: UP031 - braces
    assert printed(template, {"nothing": None, "empty": ""}) == "<>"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ 'x'|number }}", "'x' is not a number"),
        ("{{ true|number }}", "'True' is not a number"),
        ("{{ [1]|number }}", "'[1]' is not a number"),
        ("{{ '1e999999999'|number }}", "is not a number that can be written out"),
        ("{{ 'nan'|currency }}", "is not a number that can be written out"),
        ("{{ 1|number(99) }}", "'99' is not a number of decimals"),
        ("{{ 1|number('two') }}", "'two' is not a number of decimals"),
        ("{{ 1|number(format='') }}", "is not a pattern"),
        ("{{ 1|number(format='#' * 1000) }}", "is not a pattern"),
        ("{{ 1|currency('euro') }}", "'euro' is not a currency"),
        ("{{ 1|number(locale='xx') }}", "the locale 'xx' is not known"),
        ("{{ 1|number(locale='../../etc/passwd') }}", "is not known"),
        ("{{ 1|number(locale=5) }}", "is not known"),
        ("{{ '22.4.2026'|date }}", "'22.4.2026' is not a date"),
        ("{{ 5|date }}", "'5' is not a date"),
        ("{{ '2026-04-22'|date('') }}", "'' is not a format"),
        ("{{ '2026-04-22'|date(5) }}", "'5' is not a format"),
        ("{{ '2026-04-22'|date('H:mm') }}", "the format 'H:mm' cannot be used here"),
    ],
)
def test_value_that_is_none_is_refused(template, said):
    with pytest.raises(TemplateError) as caught:
        printed(template)
    assert said in caught.value.message
    assert caught.value.message.startswith("body, paragraph 1 (")


def test_unknown_locale_of_a_render_is_refused():
    with pytest.raises(TemplateError, match="the locale 'tlh' is not known"):
        printed("{{ 1 }}", locale="tlh")
