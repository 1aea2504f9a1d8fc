"""Filling in the forms of the administration pages as a browser without scripts does."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

__all__ = ["Drawn", "Seen", "open_page", "send"]


@dataclass
class Seen:
    """A form as a browser would send it: names and the values that stand in it."""

    values: dict[str, list[str]] = field(default_factory=dict)
    method: str = "get"
    is_in_parts: bool = False

    @property
    def act(self) -> str:
        """Which form of the page it is."""
        return self.values.get("_act", [""])[0]


class Drawn(HTMLParser):
    """A page: its forms, its words, and every element that would run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Seen] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.alive: list[str] = []
        self._form: Seen | None = None
        self._select = self._area = ""
        self._silent = False
        self.feed(text)

    def form(self, act: str) -> Seen:
        """The form of that name."""
        return next(one for one in self.forms if one.act == act)

    @property
    def text(self) -> str:
        """What can be read on it."""
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, links, and what would be executed."""
        has = {name: value or "" for name, value in attrs}
        if any(name.startswith("on") or name == "style" for name in has) or (tag == "script" and "src" not in has):
            self.alive.append(tag)
        if tag == "a":
            self.links.append(has.get("href", ""))
            if has.get("href", "").lower().startswith("javascript:"):
                self.alive.append(tag)
        if tag == "form":
            self._form = Seen(method=has.get("method", "get"), is_in_parts="multipart" in has.get("enctype", ""))
            self.forms.append(self._form)
        if self._form is not None:
            self._field(tag, has)
        self._silent = tag in {"script", "style"}

    def _field(self, tag: str, has: dict[str, str]) -> None:
        assert self._form is not None
        values, name = self._form.values, has.get("name", "")
        if tag == "input" and name and has.get("type") not in {"file", "submit"}:
            is_box = has.get("type") in {"checkbox", "radio"}
            if not is_box or "checked" in has:
                values.setdefault(name, []).append(has.get("value", ""))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in has or self._select not in values):
            values[self._select] = [has.get("value", "")]
        elif tag == "textarea":
            self._area = name
            values[name] = [""]

    def handle_endtag(self, tag: str) -> None:
        """Leave what was open."""
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""
        self._silent = False

    def handle_data(self, data: str) -> None:
        """Keep words, and the text of a text area."""
        if self._area and self._form is not None:
            self._form.values[self._area][0] += data.removeprefix("\n")
        elif not self._silent:
            self.words.append(data)


async def open_page(client: httpx.AsyncClient, path: str, *, status: int = 200) -> Drawn:
    """Open a page; it must answer as expected and hold nothing that would run."""
    answer = await client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:2000]}"
    drawn = Drawn(answer.text)
    assert drawn.alive == [], path
    return drawn


async def send(
    client: httpx.AsyncClient,
    path: str,
    act: str,
    typed: dict[str, Any] | None = None,
    *,
    files: dict[str, tuple[str, bytes]] | None = None,
    on: Drawn | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[httpx.Response, Drawn]:
    """Open a page, change some fields of a form, send it; what was already there is sent as it stood.

    Parameters
    ----------
    on
        The page as it was opened before, for two people who change the same thing.
    """
    form = (on or await open_page(client, path)).form(act)
    assert form.method == "post"
    values: dict[str, Any] = form.values | {
        name: value if isinstance(value, list) else [value] for name, value in (typed or {}).items()
    }
    data = {name: value for name, value in values.items() if value != [None]}
    answer = await client.post(
        path.partition("?")[0], data=data, files=files, headers={"Accept": "text/html", **(headers or {})}
    )
    assert answer.status_code < 500, answer.text[:2000]
    drawn = Drawn(answer.text)
    assert drawn.alive == [], path
    return answer, drawn
