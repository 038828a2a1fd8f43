"""The quote in Carbone's own language: the starter's Word file with each tag replaced, and the data for it.

Amounts and dates come ready as text, which both spares Carbone the formatting and makes the two documents equal to
the letter. Loops are Carbone's: the first row of a pair is the pattern, the second shows where it ends.
"""

from __future__ import annotations

import copy
import io
from typing import Any

from docx import Document
from docx.oxml.ns import qn

from workers.docx.locale_filters import make_filters

_TAGS = {
    "{{ company.name }}": "{d.company.name}",
    "{{ company.tagline }}": "{d.company.tagline}",
    "{{ company.name }} · {{ company.address }} · {{ company.email }} · Page ": (
        "{d.company.name} · {d.company.address} · {d.company.email} · Page "
    ),
    "{{ customer.name }}": "{d.customer.name}",
    "{{ line }}": "{d.customer.address[i].text}",
    "{{ number }}": "{d.number}",
    "{{ date|date('long') }}": "{d.date}",
    "{{ valid_until|date('long') }}": "{d.valid_until}",
    "{{ subject }}": "{d.subject}",
    "{{ introduction }}": "{d.introduction}",
    "{{ loop.index }}": "{d.lines[i].no}",
    "{{ line.name }}": "{d.lines[i].name}",
    "{{ line.details }}": "{d.lines[i].details}",
    "{{ line.quantity|number }} {{ line.unit }}": "{d.lines[i].quantity} {d.lines[i].unit}",
    "{{ line.price|currency(currency) }}": "{d.lines[i].price}",
    "{{ (line.quantity * line.price)|currency(currency) }}": "{d.lines[i].amount}",
    "{{ total.net|currency(currency) }}": "{d.net}",
    "VAT {{ tax_rate|percent(1) }}": "VAT {d.tax_rate}",
    "{{ (total.net * (tax_rate or 0))|currency(currency) }}": "{d.tax}",
    "{{ (total.net * (1 + (tax_rate or 0)))|currency(currency) }}": "{d.total}",
    "{{ note }}": "{d.notes[i].text}",
    "{{ closing }}": "{d.closing}",
}


def carbone_template(content: bytes) -> bytes:
    """Return the quote for Carbone. Raises ValueError when the starter holds a tag that is not known here."""
    document = Document(io.BytesIO(content))
    section = document.sections[0]
    for root in (document.element.body, section.header._element, section.footer._element):  # noqa: SLF001 - no other way
        _translate(root)
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def _translate(root: Any) -> None:
    for text in list(root.iter(qn("w:t"))):
        said = text.text or ""
        if "{%" in said:
            _remove(text, "w:tr" if said.startswith("{%tr") else "w:p" if said.startswith("{%p") else "w:t")
        elif "{{" in said:
            if said not in _TAGS:
                raise ValueError(f"bench/carbone_template.py does not know {said}, which the quote holds by now")
            text.text = _TAGS[said]
    rows = [row for row in root.iter(qn("w:tr")) if "lines[i]" in _text_of(row)]
    loops = rows + [one for one in root.iter(qn("w:p")) if "[i]" in _text_of(one) and not _inside(one, rows)]
    for pattern in loops:
        end = copy.deepcopy(pattern)
        for text in end.iter(qn("w:t")):
            text.text = (text.text or "").replace("[i]", "[i+1]")
        pattern.addnext(end)


def _remove(element: Any, tag: str) -> None:
    while element.tag != qn(tag):
        element = element.getparent()
    element.getparent().remove(element)


def _text_of(element: Any) -> str:
    return "".join(text.text or "" for text in element.iter(qn("w:t")))


def _inside(element: Any, rows: list[Any]) -> bool:
    return any(ancestor in rows for ancestor in element.iterancestors())


def carbone_data(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a quote with everything as it is to be read."""
    filters = make_filters("en")

    def money(value: float) -> str:
        return filters["currency"](value, data["currency"])

    net = sum(line["quantity"] * line["price"] for line in data["lines"])
    lines = [
        {
            **line,
            "no": place,
            "quantity": filters["number"](line["quantity"]),
            "price": money(line["price"]),
            "amount": money(line["quantity"] * line["price"]),
        }
        for place, line in enumerate(data["lines"], 1)
    ]
    return {
        **data,
        "customer": {**data["customer"], "address": [{"text": line} for line in data["customer"]["address"]]},
        "date": filters["date"](data["date"], "long"),
        "valid_until": filters["date"](data["valid_until"], "long"),
        "lines": lines,
        "net": money(net),
        "tax": money(net * data["tax_rate"]),
        "total": money(net * (1 + data["tax_rate"])),
        "tax_rate": filters["percent"](data["tax_rate"], 1),
        "notes": [{"text": note} for note in data["notes"]],
    }
