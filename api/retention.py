"""What is kept no longer than it has to be: reporters, photos, kept answers, logs. A duty of the worker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from api.audit.trail import Head, Kind, find_head, record
from api.cli.data_dir import resolve_data_dir
from api.settings import Settings
from dispatch.states import FINAL_STATES
from dispatch.storage.reporters import forget_identities, list_expired
from geo.storage.uow import Unit, WriteUnit, read_unit, write_unit

__all__ = ["HEADS_FILE", "RetentionDuty", "parse_head", "read_heads"]

HEADS_FILE: Final = "audit-heads.log"
_EVERY_S: Final = 600.0
#: What was cut off the trail's end since its head was last written down is not noticed.
_HEAD_EVERY_S: Final = 60.0
_BATCH: Final = 500
#: Setting → what it deletes. Bounded, so that no transaction is long; what is left comes with the next look.
_DELETIONS: Final = {
    "photo_days": (
        "DELETE FROM dispatch.case_photo WHERE id IN (SELECT p.id FROM dispatch.case_photo AS p"
        " JOIN dispatch.dispatch_case AS c ON c.id = p.case_id WHERE p.added_at < %(before)s"
        " AND c.state = ANY (%(final)s) AND coalesce(c.closed_at,"
        " (SELECT max(e.occurred_at) FROM dispatch.case_event AS e WHERE e.case_id = c.id))"
        " < %(before)s LIMIT %(most)s)",
    ),
    "answer_days": (
        "DELETE FROM api.idempotency_key WHERE (channel_code, key) IN (SELECT channel_code, key"
        " FROM api.idempotency_key WHERE status IS NOT NULL AND begun_at < %(before)s LIMIT %(most)s)",
    ),
    "delivery_log_days": (
        "DELETE FROM api.webhook_delivery WHERE id IN (SELECT id FROM api.webhook_delivery"
        " WHERE state <> 'waiting' AND finished_at < %(before)s LIMIT %(most)s)",
        "DELETE FROM api.session WHERE id IN (SELECT id FROM api.session"
        " WHERE least(ended_at, expires_at) < %(before)s LIMIT %(most)s)",
    ),
}


@dataclass(slots=True, kw_only=True)
class RetentionDuty:
    """Looks every ten minutes, of several workers one; writes the head of the audit trail down every minute."""

    engine: AsyncEngine
    settings: Settings
    place: Path | None = None
    name: str = "retention"
    _looked_at: float = field(default=float("-inf"))
    _written_at: float = field(default=float("-inf"))
    _written: int = -1

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Delete what is over; how many rows."""
        if time.monotonic() - self._written_at >= _HEAD_EVERY_S:
            await self._write_head()
            self._written_at = time.monotonic()
        if time.monotonic() - self._looked_at < _EVERY_S:
            return 0
        done = await self.forget_reporters()
        for setting, statements in _DELETIONS.items():
            if not stopping.is_set():
                done += await self._delete(setting, statements)
        if done < _BATCH:
            self._looked_at = time.monotonic()
        return done

    async def forget_reporters(self) -> int:
        """Forget the reporters of cases that ended long enough ago; how many."""
        before = self._before("identity_days")
        if before is None:
            return 0
        async with write_unit(self.engine) as unit:
            if not await _is_first(unit):
                return 0
            cases = await list_expired(unit, before, _BATCH)
            forgotten = await forget_identities(unit, cases, "expired") if cases else 0
            if forgotten:
                await record(unit, Kind.RETAINED_ENDED, "identity_days", deleted=forgotten)
        return forgotten

    async def _delete(self, setting: str, statements: tuple[str, ...]) -> int:
        before = self._before(setting)
        if before is None:
            return 0
        deleted = 0
        async with write_unit(self.engine) as unit:
            if not await _is_first(unit):
                return 0
            driver = await unit.driver()
            for statement in statements:
                values = {"before": before, "final": sorted(FINAL_STATES), "most": _BATCH}
                deleted += (await driver.execute(statement.encode(), values)).rowcount
            if deleted:
                await record(unit, Kind.RETAINED_ENDED, setting, deleted=deleted)
        return deleted

    def _before(self, setting: str) -> datetime | None:
        days = getattr(self.settings, setting)
        return datetime.now(UTC) - timedelta(days=days) if days else None

    async def _write_head(self) -> None:
        """Write the head of the audit trail down outside the database, so that a cut end is noticed."""
        async with read_unit(self.engine) as unit:
            head = await find_head(unit)
        place = self.place or resolve_data_dir()
        if head is None or head.number <= self._written or not place.is_dir():
            return
        known = read_heads(place)
        self._written = max([head.number, *(one.number for one in known)])
        if not known or known[-1].number < head.number:
            with (place / HEADS_FILE).open("a", encoding="ascii") as file:
                file.write(f"{head} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n")


def read_heads(place: Path) -> list[Head]:
    """Heads that were written down in a data directory; lines that are none are left out."""
    try:
        lines = (place / HEADS_FILE).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    return [head for line in lines if (head := parse_head(line.partition(" ")[0])) is not None]


def parse_head(text: str) -> Head | None:
    """Read ``number:digest``; None when it is not one."""
    number, _, digest = text.strip().partition(":")
    if not number.isdecimal() or len(digest) != 64 or any(letter not in "0123456789abcdef" for letter in digest):
        return None
    return Head(number=int(number), digest=digest)


async def _is_first(unit: WriteUnit | Unit) -> bool:
    driver = await unit.driver()
    row = await (await driver.execute("SELECT pg_try_advisory_xact_lock(hashtext('gridward retention'))")).fetchone()
    return bool(row and row[0])
