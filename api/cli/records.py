"""What commands leave in the audit trail: the command, what it was about, and the machine's account that ran it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from api.audit.trail import Kind, record
from geo.storage.uow import write_unit

__all__ = ["note"]


async def note(engine: AsyncEngine, kind: Kind, command: str, **detail: Any) -> None:
    """Record a command in a transaction of its own.

    For what is written in several transactions, afterwards; and for what leaves as a file, before the file is there:
    what cannot be recorded does not leave.
    """
    async with write_unit(engine) as unit:
        await record(unit, kind, command, **detail)
