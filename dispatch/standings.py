"""What follows from a cell and its ladder and is the same for every report there: worked out once, shared by many."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Raw

from dispatch.posts import Head, Rung, find_backup, find_head, ladder_json

__all__ = ["NOBODY_STANDS", "Standing"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Standing:
    """A chain, its ladder and who answers; with their JSON, as it is kept (``dispatch/storage/standings.py``).

    Compared by identity: whoever shows or writes standings keeps what it has made of one as long as that one lives.
    """

    #: Made of the content: whoever says the same means the same row, wherever it was worked out.
    id: UUID
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
        ladder_said = ladder_json(ladder)
        # Sorted: what comes from the database has its keys in another order than what is made here.
        content = msgspec.json.encode((chain, ladder_said), order="sorted")
        return cls(
            id=UUID(bytes=hashlib.sha256(content).digest()[:16]),
            ladder=ladder,
            head=head,
            backup=find_backup(ladder, head) if head else None,
            chain=tuple(chain),
            chain_raw=Raw(msgspec.json.encode(chain)),
            ladder_raw=Raw(msgspec.json.encode(ladder_said)),
        )


NOBODY_STANDS: Final = Standing.of((), ())
