"""The desk behind every door that takes reports: the rules, the address, the writing, and the rehearsal of all that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from api.identity_key import IdentityVault
from dispatch.addressing import Geocoder, by_camera, find_address, with_position
from dispatch.collecting import CollectingWriter
from dispatch.intake import Moment, PreparedReport, Receipt, Report
from dispatch.photos import Photo
from dispatch.placing import LivePlacer
from dispatch.reference import ReferenceCache
from dispatch.storage.intake import write_reports
from geo.coordinates import CoordSys
from geo.errors import GridwardError, InvalidRequestError
from geo.gazetteer.places import Candidate
from geo.storage.gazetteer import search_places
from geo.storage.uow import statement_unit, write_unit

__all__ = ["ReportDesk", "real_now"]


async def real_now(_channel: str) -> datetime:
    """When a report arrives: by this process's clock."""
    return datetime.now(UTC)


def _is_new(outcome: Receipt | GridwardError) -> bool:
    return isinstance(outcome, Receipt) and not outcome.is_repeat


def _named(outcome: Receipt | GridwardError, ticket: str) -> Receipt | GridwardError:
    return replace(outcome, ticket=ticket) if isinstance(outcome, Receipt) else outcome


Write = Callable[[Sequence[PreparedReport]], Awaitable[list[Receipt | GridwardError]]]


class _RehearsedError(Exception):
    """Ends a transaction that must leave nothing behind."""


@dataclass(slots=True, kw_only=True)
class ReportDesk:
    """Takes reports in for one process.

    Parameters
    ----------
    writer
        Collects single reports of all callers; batches go past its queue.
    clock
        The present instant for a channel; in the sandbox each has its own.
    """

    engine: AsyncEngine
    jurisdiction: str
    reference: ReferenceCache
    live: LivePlacer
    writer: CollectingWriter
    vault: IdentityVault
    geocoder: Geocoder | None = None
    clock: Callable[[str], Awaitable[datetime]] = real_now

    async def prepare(
        self, report: Report, photos: Sequence[Photo] = (), moment: Moment | None = None
    ) -> PreparedReport:
        """Apply the rules, and find the place when there is no point: by the address, else by what a camera says.

        Parameters
        ----------
        moment
            The rules at the instant when the report arrived; None asks the clock now.

        Raises
        ------
        InvalidRequestError
            All faults at once.
        """
        prepared = await self._placed(report, photos, moment or await self.open_moment(report.channel))
        if report.reporter is None:
            return prepared
        keys = self.vault.keys
        return replace(
            prepared,
            digest=keys.bind(prepared.digest, report.reporter),
            reporter=keys.seal(prepared.id, report.reporter),
        )

    async def check(self, report: Report, moment: Moment | None = None) -> None:
        """Apply the rules and leave it at that: who reported is sealed only when a case comes of it.

        Raises
        ------
        InvalidRequestError
            All faults at once.
        """
        await self._placed(report, (), moment or await self.open_moment(report.channel))

    async def _placed(self, report: Report, photos: Sequence[Photo], moment: Moment) -> PreparedReport:
        # Blanks alone are what a form sends for a field that nobody filled.
        if report.address.isspace():
            report = replace(report, address="")
        has_no_place = report.x is None and report.y is None and not report.address
        camera = next((photo for photo in photos if photo.lon is not None), None) if has_no_place else None
        if camera is not None:
            placed = replace(report, x=camera.lon, y=camera.lat, coord_sys=CoordSys.WGS84)
            return by_camera(await self._apply(placed, moment), report)
        prepared = await self._apply(report, moment)
        if prepared.lon is None and prepared.address:
            prepared = with_position(prepared, await find_address(prepared.address, self._search, self.geocoder))
        return prepared

    async def open_moment(self, channel: str) -> Moment:
        """The rules at this instant, for one report of a channel or for many that come together."""
        received_at = await self.clock(channel)
        return Moment(
            reference=await self.reference.get(), jurisdiction_code=self.jurisdiction, received_at=received_at
        )

    async def _apply(self, report: Report, moment: Moment) -> PreparedReport:
        try:
            return moment.prepare(report)
        except InvalidRequestError as error:
            if moment.is_fresh or not any(fault.code.startswith("dispatch.unknown_") for fault in error.faults):
                raise
            # Category, condition, ledger or channel may have been added a moment ago, by another process. Looked for
            # once for all that came together: each look may have to wait for the next.
            moment.renew(await self.reference.get(fresh=True))
            return moment.prepare(report)

    async def take(self, report: Report, photos: Sequence[Photo] = ()) -> Receipt:
        """Take a report; the receipt comes after the commit."""
        return await self.writer.submit(await self.prepare(report, photos))

    async def rehearse(self, report: Report, photos: Sequence[Photo] = ()) -> Receipt:
        """Do everything that `take` does and leave nothing behind but an unused case number."""
        (outcome,) = await self._rehearse([await self.prepare(report, photos)])
        if isinstance(outcome, Receipt):
            return outcome
        raise outcome

    async def take_many(self, reports: Sequence[Report], moment: Moment) -> list[Receipt | GridwardError]:
        """Take a part of a batch in one transaction; one outcome for each, in order."""
        return await self._each(reports, moment, self.writer.write_many)

    async def rehearse_many(self, reports: Sequence[Report], moment: Moment) -> list[Receipt | GridwardError]:
        """Do everything that `take_many` does and leave nothing behind but unused case numbers."""
        return await self._each(reports, moment, self._rehearse)

    async def _each(self, reports: Sequence[Report], moment: Moment, write: Write) -> list[Receipt | GridwardError]:
        outcomes: list[Receipt | GridwardError | None] = []
        ready: list[PreparedReport] = []
        for report in reports:
            try:
                ready.append(await self.prepare(report, moment=moment))
                outcomes.append(None)
            except GridwardError as error:
                outcomes.append(error)
        written = iter(await write(ready) if ready else [])
        return [next(written) if outcome is None else outcome for outcome in outcomes]

    async def _rehearse(self, reports: Sequence[PreparedReport]) -> list[Receipt | GridwardError]:
        placement = await self.live.place(reports)
        firsts = {report.ticket: report for report in reversed(reports)}
        outcomes: dict[UUID, Receipt | GridwardError] = {}
        try:
            async with write_unit(self.engine) as unit:

                async def write(some: Sequence[PreparedReport]) -> None:
                    found = await write_reports(unit, some, placement)
                    outcomes.update(zip((one.id for one in some), found, strict=True))

                await write(list(firsts.values()))
                # Each is looked at as if it came alone. What a ticket that made a case already says, it says to all of
                # its reports; one that has just made one must not be in the way of the next.
                again = [report for report in reports if report.id not in outcomes]
                alone = {one.id for one in again if _is_new(outcomes[firsts[one.ticket].id])}
                if again:
                    await write([replace(one, ticket=one.id.hex) if one.id in alone else one for one in again])
                raise _RehearsedError
        except _RehearsedError:
            return [_named(outcomes[report.id], report.ticket) for report in reports]

    async def _search(self, text: str) -> Sequence[Candidate]:
        # One statement, which needs no transaction around it; a batch may ask ten thousand times.
        async with statement_unit(self.engine) as unit:
            return await search_places(unit, self.jurisdiction, text)
