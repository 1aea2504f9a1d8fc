"""Table of photos."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.photos import PhotoKind
from dispatch.storage.reference_tables import SCHEMA, one_of
from geo.storage.base import Base
from geo.storage.tables import INSTANT


class CasePhotoRow(Base):
    """A photo of a case, written anew by us: nothing of the sent file is kept but its pixels and its digest.

    SRID: ``location`` 4326, what the camera said. ``digest`` is SHA-256 of ``image``, ``sent_digest`` of the file as it
    was sent; the same file twice on one case is one photo.
    """

    __tablename__ = "case_photo"
    __table_args__ = (
        UniqueConstraint("case_id", "sent_digest", name="uq_case_photo_once"),
        CheckConstraint(one_of("kind", PhotoKind), name="kind"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"))
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    sent_digest: Mapped[bytes] = mapped_column(LargeBinary)
    kind: Mapped[str] = mapped_column(Text)
    width: Mapped[int]
    height: Mapped[int]
    taken_at: Mapped[str | None] = mapped_column(Text)
    location: Mapped[WKBElement | None] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
    added_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    added_by: Mapped[str] = mapped_column(Text)
    image: Mapped[bytes] = mapped_column(LargeBinary)
    preview: Mapped[bytes] = mapped_column(LargeBinary)
