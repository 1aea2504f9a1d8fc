"""Three hundred texts in the pages that are forms: each is in its field as it was typed, and makes nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from api.templating import text_of
from maps.i18n import catalogue
from tests.browser.hostile_texts import MANY

_TEXTS = dict(catalogue("zh-CN"))
_PAGE: dict[str, Any] = {
    "locale": "zh-CN",
    "other_locale": "en",
    "other_language": "English",
    "root": "",
    "texts": _TEXTS,
}


class Skeleton(HTMLParser):
    """Tags and attributes of a page, and what stands in them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shape: list[tuple[str, ...]] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, *(name for name, _ in attrs)))
        self.said += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def _read(template: str, context: dict[str, Any]) -> Skeleton:
    skeleton = Skeleton()
    skeleton.feed(text_of(template, _PAGE | context))
    skeleton.close()
    return skeleton


def _sign_in(text: str) -> dict[str, Any]:
    role = {"id": text, "role": "planner", "area": text}
    return {
        "place": text,
        "problem": text,
        "stage": "password",
        "is_possible": True,
        "login": text,
        "next": text,
        "oidc_name": text,
        "roles": [role],
    }


def _error(text: str) -> dict[str, Any]:
    return {
        "status": 404,
        "heading": text,
        "detail": text,
        "faults": [text, text],
        "home": "/",
        "again": "?" + text,
        "is_person": True,
    }


def _account(text: str) -> dict[str, Any]:
    session = {"id": text, "is_here": False, "device": text, "since": text, "seen": text}
    return {
        "home": "/",
        "name": text,
        "login": text,
        "problem": text,
        "done": text,
        "codes": [text],
        "must_change": False,
        "has_password": True,
        "grants": [{"role": "planner", "area": text, "until": text}],
        "secret": text,
        "qr": "data:,",
        "has_second_factor": False,
        "codes_left": 1,
        "administration": None,
        "sessions": [session],
    }


@pytest.mark.parametrize(
    ("template", "make"), [("sign_in.html", _sign_in), ("account.html", _account), ("error.html", _error)]
)
def test_nothing_typed_becomes_a_part_of_the_page(template: str, make: Any) -> None:
    plain = _read(template, make("plain"))
    assert plain.shape
    for text in MANY:
        found = _read(template, make(text))
        assert found.shape == plain.shape, text
        assert any(text in said for said in found.said), text
