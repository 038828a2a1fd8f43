"""Numbers, dates and amounts of money as people write them: filters over Babel with a locale.

    {{ total|number }}  {{ total|number(2) }}  {{ total|number(format="#,##0.0#") }}  {{ share|percent(1) }}
    {{ total|currency("EUR") }}  {{ total|currency("CHF", locale="de_CH") }}
    {{ due|date }}  {{ due|date("long") }}  {{ due|date("d. MMMM y", locale="de") }}  {{ at|time }}  {{ at|datetime }}

Values are JSON's: numbers, or texts that hold one; ISO 8601 texts for dates. What is missing (null, undefined, "")
prints as nothing. Amounts are rounded half up, as an invoice is, on the digits that JSON wrote. Times are printed as
they come, without turning them to another zone.
"""

import datetime as dt
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Any, Final

from babel import Locale, UnknownLocaleError, dates, localedata, numbers
from jinja2.runtime import Undefined

from workers.errors import TemplateError

DEFAULT_LOCALE: Final = "en"
_PRELOADED: Final = """
    ar ar_AE ar_EG ar_SA bg bn bs ca cs cy da da_DK de de_AT de_CH de_DE de_LI el en en_AU en_CA en_GB en_IE en_IN
    en_NZ en_US en_ZA es es_AR es_CL es_CO es_ES es_MX es_US et eu fa fi fil fr fr_BE fr_CA fr_CH fr_FR ga gl he hi hr
    hu id is it it_CH it_IT ja ka kk ko lt lv mk ms nb nl nl_BE nl_NL nn pl pl_PL pt pt_BR pt_PT ro ru sk sl sq sr
    sr_Latn sv sv_SE sw ta te th tr uk ur uz vi zh zh_Hans zh_Hans_CN zh_Hant zh_Hant_HK zh_Hant_TW
"""
_DATE_FORMATS: Final = ("short", "medium", "long", "full")
_DEFAULT_CURRENCY = "EUR"
_CURRENCY = re.compile("[A-Za-z]{3}")
_MAX_PATTERN = 100
_MAX_DECIMALS = 10
_MAX_DIGITS = 40
"""Far above any amount; below what takes noticeable time to print."""


def preload() -> None:
    """Read the data of the usual locales (some 20 MB in memory), while files may still be read."""
    for name in _PRELOADED.split():
        localedata.load(name)
    find_locale(DEFAULT_LOCALE)


def find_locale(name: Any) -> Locale:
    """The locale of a name such as `de`, `de_CH` or `de-CH`. Raises TemplateError."""
    try:
        found = Locale.parse(str(name).strip().replace("-", "_"))
        found.decimal_formats  # noqa: B018 - reads the data, which a confined child may not be able to
    except (UnknownLocaleError, ValueError, TypeError, OSError) as error:
        raise TemplateError(
            f'the locale {str(name)[:40]!r} is not known; give one such as "en", "de" or "fr_CA"'
        ) from error
    return found


def make_filters(locale: str) -> dict[str, Callable[..., str]]:
    """The filters by name; `locale` holds where a filter is not given its own. Raises TemplateError."""
    filters = LocaleFilters(find_locale(locale))
    return {
        "number": filters.number,
        "percent": filters.percent,
        "currency": filters.currency,
        "date": filters.date,
        "time": filters.time,
        "datetime": filters.datetime,
    }


class LocaleFilters:
    """The filters of one render. Each raises TemplateError for a value or a format that is none."""

    def __init__(self, usual: Locale) -> None:
        self._usual = usual

    def number(self, value: Any, decimals: Any = None, *, format: Any = None, locale: Any = None) -> str:  # noqa: A002
        exact, chosen = _number(value), self._chosen(locale)
        if exact is None:
            return ""
        pattern = _pattern(format) if format is not None else _decimal_pattern(chosen, decimals)
        return _written(numbers.format_decimal, _rounded(exact, decimals), format=pattern, locale=chosen)

    def percent(self, value: Any, decimals: Any = 0, *, locale: Any = None) -> str:
        """0.19 is 19 %."""
        exact, chosen = _number(value), self._chosen(locale)
        if exact is None:
            return ""
        pattern = chosen.percent_formats[None].pattern.replace("0", _zeros("0", decimals))
        return _written(
            numbers.format_percent, _rounded(exact, _decimals(decimals) + 2), format=pattern, locale=chosen
        )

    def currency(self, value: Any, code: Any = None, *, format: Any = None, locale: Any = None) -> str:  # noqa: A002
        exact, chosen = _number(value), self._chosen(locale)
        if exact is None:
            return ""
        code = _DEFAULT_CURRENCY if _is_missing(code) else code
        if not (isinstance(code, str) and _CURRENCY.fullmatch(code)):
            raise TemplateError(f'{str(code)[:40]!r} is not a currency; give three letters such as "EUR"')
        pattern = None if format is None else _pattern(format)
        rounded = _rounded(exact, numbers.get_currency_precision(code.upper()))
        return _written(numbers.format_currency, rounded, code.upper(), format=pattern, locale=chosen)

    def date(self, value: Any, format: Any = "medium", *, locale: Any = None) -> str:  # noqa: A002
        return self._moment(dates.format_date, value, format, locale)

    def time(self, value: Any, format: Any = "short", *, locale: Any = None) -> str:  # noqa: A002
        return self._moment(dates.format_time, value, format, locale)

    def datetime(self, value: Any, format: Any = "medium", *, locale: Any = None) -> str:  # noqa: A002
        return self._moment(dates.format_datetime, value, format, locale)

    def _moment(self, write: Callable[..., str], value: Any, form: Any, locale: Any) -> str:
        moment, chosen = _moment(value), self._chosen(locale)
        if moment is None:
            return ""
        return _written(write, moment.replace(tzinfo=None), format=_date_format(form), locale=chosen)

    def _chosen(self, locale: Any) -> Locale:
        return self._usual if locale is None else find_locale(locale)


def _written(write: Callable[..., str], *values: Any, **settings: Any) -> str:
    """Babel's answer. A pattern or locale without what is asked for is the template's fault."""
    try:
        return write(*values, **settings)
    except (ValueError, KeyError, AttributeError, InvalidOperation, IndexError, TypeError) as error:
        raise TemplateError(f"the format {str(settings['format'])[:40]!r} cannot be used here") from error


def _is_missing(value: Any) -> bool:
    return value is None or isinstance(value, Undefined) or value == ""


def _number(value: Any) -> Decimal | None:
    """The number that JSON wrote, exactly; None for what is missing. Raises TemplateError."""
    if _is_missing(value):
        return None
    try:
        exact = Decimal(str(value).strip()) if not isinstance(value, bool) else Decimal("NaN")
    except (InvalidOperation, ValueError) as error:
        raise TemplateError(f"{str(value)[:40]!r} is not a number") from error
    if not exact.is_finite() or abs(exact.adjusted()) > _MAX_DIGITS:
        raise TemplateError(f"{str(value)[:40]!r} is not a number that can be written out")
    return exact


def _rounded(value: Decimal, decimals: Any) -> Decimal:
    if decimals is None:
        return value
    with localcontext() as context:
        context.prec = 2 * _MAX_DIGITS + _MAX_DECIMALS
        return value.quantize(Decimal(1).scaleb(-_decimals(decimals)), ROUND_HALF_UP)


def _decimals(decimals: Any) -> int:
    if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= _MAX_DECIMALS:
        raise TemplateError(f"{str(decimals)[:40]!r} is not a number of decimals; give one from 0 to {_MAX_DECIMALS}")
    return decimals


def _zeros(before: str, decimals: Any) -> str:
    count = _decimals(decimals)
    return f"{before}.{'0' * count}" if count else before


def _decimal_pattern(locale: Locale, decimals: Any) -> str:
    pattern = str(locale.decimal_formats[None].pattern)
    return pattern if decimals is None else _zeros(pattern.partition(".")[0], decimals)


def _pattern(pattern: Any) -> str:
    if not isinstance(pattern, str) or not 0 < len(pattern) <= _MAX_PATTERN:
        raise TemplateError(f'{str(pattern)[:40]!r} is not a pattern; give one such as "#,##0.00"')
    return pattern


def _date_format(pattern: Any) -> str:
    if pattern in _DATE_FORMATS:
        return str(pattern)
    if not isinstance(pattern, str) or not 0 < len(pattern) <= _MAX_PATTERN:
        raise TemplateError(
            f'{str(pattern)[:40]!r} is not a format; give short, medium, long, full or a pattern such as "d MMMM y"'
        )
    return pattern


def _moment(value: Any) -> dt.datetime | None:
    """The moment that an ISO 8601 text names; None for what is missing. Raises TemplateError."""
    if _is_missing(value):
        return None
    try:
        return dt.datetime.fromisoformat(value.strip())
    except (ValueError, AttributeError) as error:
        try:
            return dt.datetime.combine(dt.date(1970, 1, 1), dt.time.fromisoformat(value.strip()))
        except (ValueError, AttributeError):
            raise TemplateError(
                f'{str(value)[:40]!r} is not a date; give one such as "2026-04-22" or "2026-04-22T12:00:00Z"'
            ) from error
