"""Tables of the geo floor (PostgreSQL schema ``geo``)."""

from __future__ import annotations

from datetime import datetime

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from geo.storage.base import Base

SCHEMA = "geo"
INSTANT = DateTime(timezone=True)


class JurisdictionRow(Base):
    """Who runs a grid: six digits of GB/T 2260, its zone, and the projected CRS in which its metres are true."""

    __tablename__ = "jurisdiction"
    __table_args__ = (CheckConstraint(r"code ~ '^\d{6}$'", name="code_six_digits"), {"schema": SCHEMA})

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name_zh: Mapped[str] = mapped_column(Text, server_default="")
    name_en: Mapped[str] = mapped_column(Text, server_default="")
    time_zone: Mapped[str] = mapped_column(Text, server_default="Asia/Shanghai")
    metric_srid: Mapped[int] = mapped_column(Integer, server_default="4547")


class GridVersionRow(Base):
    """One drawing of the grid. Non-draft versions of a jurisdiction never overlap in time."""

    __tablename__ = "grid_version"
    __table_args__ = (
        UniqueConstraint("jurisdiction", "number"),
        CheckConstraint("status IN ('draft', 'active', 'retired')", name="status"),
        CheckConstraint("status = 'draft' OR valid_from IS NOT NULL", name="validity_when_active"),
        CheckConstraint("status <> 'retired' OR valid_until IS NOT NULL", name="end_when_retired"),
        CheckConstraint("valid_until > valid_from", name="validity_order"),
        ExcludeConstraint(
            (literal_column("jurisdiction"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=text("status <> 'draft'"),
            using="gist",
            name="ex_grid_version_validity",
        ),
        Index("ix_grid_version_one_active", "jurisdiction", unique=True, postgresql_where=text("status = 'active'")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    number: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(Text, server_default="")
    status: Mapped[str] = mapped_column(Text, server_default="draft")
    code_system: Mapped[str] = mapped_column(Text, server_default="free")
    valid_from: Mapped[datetime | None] = mapped_column(INSTANT)
    valid_until: Mapped[datetime | None] = mapped_column(INSTANT)
    source: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())


class CellRow(Base):
    """A cell of one version.

    ``path`` repeats the codes from level 1 down to the cell itself: a version is immutable once active, so the
    copy cannot go stale, and a case can be filtered by any ancestor without a recursive query.
    SRID: 4326, vertices on the 1e-7° grid.
    """

    __tablename__ = "cell"
    __table_args__ = (
        UniqueConstraint("version_id", "code"),
        UniqueConstraint("version_id", "id"),
        ForeignKeyConstraint(
            ["version_id", "parent_id"], ["geo.cell.version_id", "geo.cell.id"], name="fk_cell_parent"
        ),
        CheckConstraint("kind IN ('ordinary', 'exclusive', 'micro')", name="kind"),
        CheckConstraint("level BETWEEN 1 AND 9", name="level"),
        CheckConstraint("cardinality(path) = level AND path[level] = code", name="path"),
        CheckConstraint("(level = 1) = (parent_id IS NULL)", name="parent"),
        Index("ix_cell_boundary", "boundary", postgresql_using="gist"),
        Index("ix_cell_parent", "parent_id"),
        Index("ix_cell_version_level", "version_id", "level"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("geo.grid_version.id"))
    level: Mapped[int] = mapped_column(SmallInteger)
    code: Mapped[str] = mapped_column(Text)
    name_zh: Mapped[str] = mapped_column(Text, server_default="")
    name_en: Mapped[str] = mapped_column(Text, server_default="")
    kind: Mapped[str] = mapped_column(Text, server_default="ordinary")
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    path: Mapped[list[str]] = mapped_column(ARRAY(Text))
    population: Mapped[int | None] = mapped_column(Integer)
    households: Mapped[int | None] = mapped_column(Integer)
    area_m2: Mapped[float]
    boundary: Mapped[WKBElement] = mapped_column(Geometry("MULTIPOLYGON", srid=4326, spatial_index=False))
    label_point: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
