"""Shapes of cells for vector tiles: projected once, simplified per band of zooms.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the three tables; all are a cache that is filled when somebody looks."""
    op.create_table(
        "tile_band",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("built_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["geo.grid_version.id"], name=op.f("fk_tile_band_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "level", "band", name=op.f("pk_tile_band")),
        schema="geo",
    )
    op.create_table(
        "cell_tile_shape",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("cell_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column(
            "shape",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["version_id", "level", "band"],
            ["geo.tile_band.version_id", "geo.tile_band.level", "geo.tile_band.band"],
            name="fk_cell_tile_shape_band",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cell_id", "band", name=op.f("pk_cell_tile_shape")),
        schema="geo",
    )
    op.create_index(
        "ix_cell_tile_shape_place",
        "cell_tile_shape",
        ["version_id", "band", "level", "shape"],
        unique=False,
        schema="geo",
        postgresql_using="gist",
    )
    op.create_table(
        "dense_tile",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=False),
        sa.Column("zoom", sa.SmallInteger(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id", "level", "band"],
            ["geo.tile_band.version_id", "geo.tile_band.level", "geo.tile_band.band"],
            name="fk_dense_tile_band",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", "level", "zoom", "x", "y", name=op.f("pk_dense_tile")),
        schema="geo",
    )


def downgrade() -> None:
    """Remove the cache."""
    op.drop_table("dense_tile", schema="geo")
    op.drop_table("cell_tile_shape", schema="geo")
    op.drop_table("tile_band", schema="geo")
