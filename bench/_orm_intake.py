"""The baseline of ``bench intake``: the same write as most would write it, one ORM session per request.

Same tables, same rules, same answer; SQLAlchemy's unit of work, one round trip per question.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from geoalchemy2 import WKTElement
from geoalchemy2.functions import ST_Covers
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from uuid_utils.compat import uuid7

from api.access import require
from api.accounts.keys import Caller, Scope
from api.container import Container, open_container
from api.schemas import ReportIn
from api.settings import Settings
from dispatch.intake import Report, prepare
from dispatch.posts import find_head
from dispatch.queries import responsible_at
from dispatch.storage.tables import CaseEventRow, CaseRow, OutboxRow
from geo.storage.tables import CellRow, GridVersionRow
from geo.storage.uow import Unit


def create_app(settings: Settings) -> FastAPI:
    """Make the baseline application with one route."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_container(settings) as container:
            app.state.container = container
            # The engine with the service's own rights, like the real intake.
            app.state.sessions = async_sessionmaker(container.desk.engine, expire_on_commit=False)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/reports", status_code=201)
    async def create_report(
        body: ReportIn,
        caller: Caller = Depends(require(Scope.REPORTS_CREATE)),  # noqa: B008
    ) -> dict[str, object]:
        container: Container = app.state.container
        async with app.state.sessions() as session, session.begin():
            return await _write(session, container, caller, body)

    return app


async def _write(session: AsyncSession, container: Container, caller: Caller, body: ReportIn) -> dict[str, object]:
    known = await session.scalar(
        select(CaseRow).where(CaseRow.channel_code == caller.channel, CaseRow.ticket == body.ticket)
    )
    if known is not None:
        raise HTTPException(409)
    assert caller.channel is not None
    report = Report(
        channel=caller.channel,
        ticket=body.ticket,
        text=body.text,
        category=body.category,
        x=body.lon,
        y=body.lat,
        coord_sys=body.coord_sys,
    )
    now = datetime.now(UTC)
    ready = prepare(report, await container.reference.get(), container.settings.jurisdiction, now)
    point = WKTElement(f"POINT({ready.lon} {ready.lat})", srid=4326)
    version = (await session.scalars(select(GridVersionRow).where(GridVersionRow.status == "published"))).one()
    covers: ColumnElement[bool] = ST_Covers(CellRow.boundary, point)
    cell = (
        await session.scalars(
            select(CellRow)
            .where(CellRow.version_id == version.id, covers)
            .order_by(CellRow.level.desc(), CellRow.code)
            .limit(1)
        )
    ).first()
    path = list(cell.path) if cell else []
    connection = await session.connection()
    ladder = await responsible_at(Unit(connection=connection), ready.jurisdiction, tuple(path), now)
    head = find_head(ladder)
    number = await session.scalar(select(func.nextval("dispatch.case_number")))
    is_dispatched = ready.is_certain and cell is not None and head is not None
    case = CaseRow(
        id=uuid7(),
        jurisdiction=ready.jurisdiction,
        ref=f"{now:%Y%m%d}-{number:07d}",
        channel_code=caller.channel,
        ticket=body.ticket,
        request_digest=bytes.fromhex(ready.digest),
        category_code=body.category,
        condition_number=ready.condition,
        text=body.text,
        location=point,
        raw_x=body.lon,
        raw_y=body.lat,
        coord_sys=ready.coord_sys,
        grid_version_id=version.id,
        cell_id=cell.id if cell else None,
        cell_path=path,
        located_how="covers" if cell else "out_of_grid",
        state="dispatched" if is_dispatched else "reported",
        reported_at=now,
        dispatched_at=now if is_dispatched else None,
        due_at=ready.due_at if is_dispatched else None,
        warn_at=ready.warn_at if is_dispatched else None,
        owner_post_id=head.rung.post_id if head and is_dispatched else None,
        owner_person_id=head.rung.person_id if head and is_dispatched else None,
    )
    session.add(case)
    await session.flush()
    event = CaseEventRow(
        case_id=case.id,
        seq=1,
        type="case.dispatched.v1",
        moves=["report", "accept", "file", "dispatch"],
        to_state=case.state,
        occurred_at=now,
        actor_kind="channel",
        actor_id=caller.channel,
        payload={"path": path},
    )
    session.add(event)
    await session.flush()
    session.add(OutboxRow(event_id=event.id))
    await session.flush()
    return {"case": case.ref, "path": path, "status": case.state}


if __name__ == "__main__":
    uvicorn.run(create_app(Settings()), port=int(os.environ["GRIDWARD_PORT"]), log_config=None, access_log=False)
