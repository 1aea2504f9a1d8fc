"""The log of changes to who answers where; filled by triggers, read by `dispatch.storage.roster`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Text, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.storage.tables import SCHEMA, Xid8
from geo.storage.base import Base
from geo.storage.tables import INSTANT


class DutyChangeRow(Base):
    """A cell or a person whose duty may have changed; neither means everything. Rows live for a day."""

    __tablename__ = "duty_change"
    __table_args__ = (Index("ix_duty_change_txid", "txid"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    cell_code: Mapped[str | None] = mapped_column(Text)
    person_id: Mapped[UUID | None]
    changed_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    txid: Mapped[int] = mapped_column(Xid8, server_default=sql("pg_current_xact_id()"))
