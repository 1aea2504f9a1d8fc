"""Table of the gazetteer."""

from __future__ import annotations

from datetime import datetime

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from geo.gazetteer.places import PlaceKind
from geo.storage.base import Base
from geo.storage.tables import INSTANT, SCHEMA

_KINDS = ", ".join(f"'{kind}'" for kind in PlaceKind)


class PlaceRow(Base):
    """A place with names. SRID: 4326. Units: ``radius_m`` metres.

    ``keys`` are the folded names; ``terms`` are what the search finds rows by (whole keys and pairs of characters).
    Both are made by `geo.gazetteer.addresses`, so a change of its rules needs the places to be imported again.
    """

    __tablename__ = "place"
    __table_args__ = (
        UniqueConstraint("jurisdiction", "source_id", name="uq_place_source"),
        CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
        CheckConstraint("radius_m > 0 AND radius_m <= 5000", name="radius"),
        CheckConstraint("cardinality(keys) > 0", name="keys"),
        Index("ix_place_terms", "terms", postgresql_using="gin"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    source_id: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text, server_default="")
    aliases: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    keys: Mapped[list[str]] = mapped_column(ARRAY(Text))
    terms: Mapped[list[str]] = mapped_column(ARRAY(Text))
    location: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
    radius_m: Mapped[float]
    updated_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
