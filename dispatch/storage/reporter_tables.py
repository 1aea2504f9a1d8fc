"""Table of reporters, in a schema that nothing else reads (PostgreSQL schema ``reporter``, docs/privacy.md)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary, Text, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from geo.storage.base import Base
from geo.storage.tables import INSTANT


class IdentityRow(Base):
    """Who reported a case: sealed, and as it is shown.

    No foreign key to the case: this store is read by nobody who reads cases, and a case is never deleted.
    """

    __tablename__ = "identity"
    __table_args__ = (
        CheckConstraint("erased_why IN ('expired', 'asked')", name="erased_why"),
        CheckConstraint("(erased_at IS NULL) = (erased_why IS NULL)", name="erased"),
        CheckConstraint(
            "erased_at IS NULL OR (sealed IS NULL AND name_masked || phone_masked || email_masked = '')",
            name="erased_is_empty",
        ),
        {"schema": "reporter"},
    )

    case_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel_code: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_id: Mapped[bytes] = mapped_column(LargeBinary)
    name_masked: Mapped[str] = mapped_column(Text, server_default="")
    phone_masked: Mapped[str] = mapped_column(Text, server_default="")
    email_masked: Mapped[str] = mapped_column(Text, server_default="")
    is_anonymous: Mapped[bool] = mapped_column(server_default=sql("false"))
    wants_follow_up: Mapped[bool] = mapped_column(server_default=sql("false"))
    received_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    erased_at: Mapped[datetime | None] = mapped_column(INSTANT)
    erased_why: Mapped[str | None] = mapped_column(Text)
