"""What every administration page works with: who asks, in which language and zone, and the interface behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request
from starlette.datastructures import FormData

from api.accounts.callers import Caller
from api.admin.forms import Choice, Field, Form, Kind, local_of
from api.admin.inside import Answer, InsideError, ask, path_of
from api.container import Container
from maps.i18n import Locale, catalogue, translate

__all__ = ["Desk"]

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One request of an administration page."""

    request: Request
    container: Container
    caller: Caller
    locale: Locale
    zone: ZoneInfo
    place: str
    typed: FormData | None = None

    def t(self, key: str, /, **params: object) -> str:
        """A text in the caller's language."""
        return translate(self.locale, key, **params)

    def named(self, prefix: str, word: str) -> str:
        """The name of a code, or the code itself where it has none."""
        return catalogue(self.locale).get(f"{prefix}{word}", word)

    @property
    def area(self) -> str:
        """Which part of the office its administrator keeps; empty for all of it."""
        if self.caller.office.is_everything:
            return ""
        said = (" · ".join(part for part in (one.cell, one.department) if part) for one in self.caller.office.areas)
        return "; ".join(said)

    def at(self, name: str) -> str:
        """A part of the page's address."""
        return str(self.request.path_params[name])

    def asked(self, name: str) -> str:
        """What the page's query says; nothing typed is nothing."""
        return self.request.query_params.get(name, "").strip()

    def kept(self, *names: str) -> dict[str, str]:
        """What of the page's query goes along to its next part."""
        return {name: text for name in names if (text := self.asked(name))}

    async def find(self, template: str, *, query: Mapping[str, object] | None = None, **parts: object) -> Answer:
        """Read from the interface, whatever it answers."""
        return await ask(self.request, self.locale, "GET", path_of(template, **parts), query=query)

    async def get(self, template: str, *, query: Mapping[str, object] | None = None, **parts: object) -> Any:
        """Read from the interface what the page cannot do without.

        Raises
        ------
        InsideError
            It was refused.
        """
        answer = await self.find(template, query=query, **parts)
        if not answer.is_good:
            raise InsideError(answer)
        return answer.body

    def local(self, instant: str | None) -> str:
        """An instant as people read it."""
        return local_of(instant, self.zone).replace("T", " ")

    def wall_times(self, sentence: str) -> str:
        """A sentence of the interface with its instants as the jurisdiction's clocks show them."""

        def said(found: re.Match[str]) -> str:
            try:
                return self.local(found[0])
            except ValueError:  # somebody has typed what only looks like an instant
                return found[0]

        return _INSTANT.sub(said, sentence)

    def span(self, first: str | None, last: str | None) -> str:
        """From when until when."""
        if last:
            return self.t("admin.span", first=self.local(first), last=self.local(last))
        return self.t("admin.since", first=self.local(first))

    def field(self, name: str, key: str, kind: Kind = Kind.LINE, **more: Any) -> Field:
        """A field whose label, and hint if it has one, stand in the catalogue under a key."""
        hint = catalogue(self.locale).get(f"{key}.hint", "")
        return Field(name=name, label=self.t(key), kind=kind, **{"hint": hint, **more})

    def search(self, *fields: Field) -> Form:
        """The form that narrows a page's list; it changes nothing, so it asks by the address."""
        return Form(name="search", legend="", button=self.t("admin.search.go"), method="GET", path="", fields=fields)

    def choices(self, prefix: str, words: tuple[str, ...], *, none: str = "") -> tuple[Choice, ...]:
        """Codes to choose from, by their names; first, if named, the choice of none."""
        first = (Choice(value="", text=self.t(none)),) if none else ()
        return (*first, *(Choice(value=word, text=self.named(prefix, word)) for word in words))
