"""Finished pages of planners, kept by what they were made from: drawing, filter, and how far the facts reach."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

__all__ = ["KeptPage", "KeptPages", "tag_of"]

_MOST_BYTES: Final = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPage:
    """A body with what its headers need."""

    body: bytes
    media_type: str


class KeptPages:
    """The pages used last, up to a size. A new report moves the watermark, so nothing here can be out of date."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, KeptPage] = OrderedDict()
        self._bytes = 0

    def find(self, tag: str) -> KeptPage | None:
        """Return a page by its tag."""
        page = self._pages.get(tag)
        if page is not None:
            self._pages.move_to_end(tag)
        return page

    def keep(self, tag: str, page: KeptPage) -> None:
        """Keep a page; those that were not used for longest give way."""
        if tag in self._pages or len(page.body) > _MOST_BYTES // 4:
            return
        self._pages[tag] = page
        self._bytes += len(page.body)
        while self._bytes > _MOST_BYTES:
            _, gone = self._pages.popitem(last=False)
            self._bytes -= len(gone.body)


def tag_of(*parts: object) -> str:
    """Return one name for everything that a page depends on."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
