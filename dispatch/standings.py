"""What follows from a cell and its ladder and is the same for every report there: worked out once, shared by many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from dispatch.posts import Head, Rung, find_backup, find_head, ladder_json

__all__ = ["NOBODY_STANDS", "Standing"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Standing:
    """A chain, its ladder and who answers; with their JSON, as events keep it.

    Compared by identity: whoever shows or writes standings keeps what it has made of one as long as that one lives.
    """

    ladder: tuple[Rung, ...]
    head: Head | None
    backup: Rung | None
    chain: tuple[Mapping[str, Any], ...]
    chain_raw: Raw
    ladder_raw: Raw

    @classmethod
    def of(cls, chain: Sequence[Mapping[str, Any]], ladder: tuple[Rung, ...]) -> Standing:
        """Work it out."""
        head = find_head(ladder)
        return cls(
            ladder=ladder,
            head=head,
            backup=find_backup(ladder, head) if head else None,
            chain=tuple(chain),
            chain_raw=Raw(msgspec.json.encode(chain)),
            ladder_raw=Raw(msgspec.json.encode(ladder_json(ladder))),
        )


NOBODY_STANDS: Final = Standing.of((), ())
