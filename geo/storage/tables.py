"""Tables of the geo floor (PostgreSQL schema ``geo``)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

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
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
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
    """One drawing of the grid. Published versions of a jurisdiction never overlap in time (decision 0019).

    Scheduled, active and retired are not stored: they follow from ``valid_from``, ``valid_until`` and the clock.
    ``revision`` counts the changes of a draft; ``took_effect_at`` is when the worker announced that it became valid.
    """

    __tablename__ = "grid_version"
    __table_args__ = (
        UniqueConstraint("jurisdiction", "number"),
        CheckConstraint("status IN ('draft', 'published')", name="status"),
        CheckConstraint("(status = 'published') = (valid_from IS NOT NULL)", name="validity_when_published"),
        CheckConstraint("valid_until > valid_from", name="validity_order"),
        ExcludeConstraint(
            (literal_column("jurisdiction"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=text("status <> 'draft'"),
            using="gist",
            name="ex_grid_version_validity",
        ),
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
    revision: Mapped[int] = mapped_column(Integer, server_default="0")
    based_on: Mapped[int | None] = mapped_column(ForeignKey("geo.grid_version.id"))
    took_effect_at: Mapped[datetime | None] = mapped_column(INSTANT)


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


class CellLineageRow(Base):
    """Which cell became which, by which change of a draft. ``share`` is the part of the old cell's area."""

    __tablename__ = "cell_lineage"
    __table_args__ = (
        CheckConstraint("share > 0 AND share <= 1", name="share"),
        CheckConstraint(
            "kind IN ('add', 'edit', 'merge', 'move_boundary', 'reassign', 'repair', 'retire', 'split')", name="kind"
        ),
        {"schema": SCHEMA},
    )

    version_id: Mapped[int] = mapped_column(ForeignKey("geo.grid_version.id"), primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    from_code: Mapped[str] = mapped_column(Text, primary_key=True)
    to_code: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    share: Mapped[float]
    actor: Mapped[str] = mapped_column(Text, server_default="")
    recorded_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())


class CellUndoRow(Base):
    """What a cell of a draft was before a change, so that the change can be taken back; empty: the change made it."""

    __tablename__ = "cell_undo"
    __table_args__ = ({"schema": SCHEMA},)

    version_id: Mapped[int] = mapped_column(
        ForeignKey("geo.grid_version.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    cell_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    was: Mapped[Any | None] = mapped_column(JSONB)


class AcceptedFindingRow(Base):
    """A class of coverage findings with which somebody activated a version all the same, and why."""

    __tablename__ = "accepted_finding"
    __table_args__ = (CheckConstraint("btrim(reason) <> ''", name="reason"), {"schema": SCHEMA})

    version_id: Mapped[int] = mapped_column(ForeignKey("geo.grid_version.id"), primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    findings: Mapped[int] = mapped_column(Integer)
    area_m2: Mapped[float]
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text, server_default="")
    accepted_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
