"""Tables of the vector tiles: a cache beside the cells, filled when somebody looks (decision 0021)."""

from __future__ import annotations

from datetime import datetime

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import (
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from geo.storage.base import Base
from geo.storage.tables import INSTANT, SCHEMA


class TileBandRow(Base):
    """One level's shapes for one band of zooms are there. The primary key is also the lock of whoever makes them."""

    __tablename__ = "tile_band"
    __table_args__ = ({"schema": SCHEMA},)

    version_id: Mapped[int] = mapped_column(
        Integer, ForeignKey("geo.grid_version.id", ondelete="CASCADE"), primary_key=True
    )
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    band: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    built_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())


_BAND = ("version_id", "level", "band")


def _belongs_to_band(name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(_BAND, [f"geo.tile_band.{column}" for column in _BAND], name=name, ondelete="CASCADE")


class DenseTileRow(Base):
    """A tile with so many cells that it is drawn beforehand. ``body`` is MVT, gzipped."""

    __tablename__ = "dense_tile"
    __table_args__ = (_belongs_to_band("fk_dense_tile_band"), {"schema": SCHEMA})

    version_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    band: Mapped[int] = mapped_column(SmallInteger)
    zoom: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    x: Mapped[int] = mapped_column(Integer, primary_key=True)
    y: Mapped[int] = mapped_column(Integer, primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class CellTileShapeRow(Base):
    """A cell as tiles draw it. SRID: 3857.

    The few attributes a tile carries are repeated: joining 17,000 cells for one tile costs more than drawing them. A
    version never changes once it is active, so the copy cannot go stale.
    """

    __tablename__ = "cell_tile_shape"
    __table_args__ = (
        _belongs_to_band("fk_cell_tile_shape_band"),
        Index("ix_cell_tile_shape_place", "version_id", "band", "level", "shape", postgresql_using="gist"),
        {"schema": SCHEMA},
    )

    version_id: Mapped[int] = mapped_column(Integer)
    level: Mapped[int] = mapped_column(SmallInteger)
    band: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    cell_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    parent: Mapped[str | None] = mapped_column(Text)
    shape: Mapped[WKBElement] = mapped_column(Geometry("MULTIPOLYGON", srid=3857, spatial_index=False))
