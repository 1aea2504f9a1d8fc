"""How sure a position is; which datum a channel really sends.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Version 2 made it without the revision.
_FORMER_VALID_VERSION = """
DROP FUNCTION geo.valid_version(text, timestamptz);
CREATE FUNCTION geo.valid_version(in_jurisdiction text, at timestamptz)
RETURNS TABLE (id int, number int, name text, valid_from timestamptz, valid_until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT v.id, v.number, v.name, v.valid_from, v.valid_until
    FROM geo.grid_version AS v
   WHERE v.jurisdiction = in_jurisdiction
     AND v.status = 'published'
     AND v.valid_from <= at
     AND (v.valid_until IS NULL OR v.valid_until > at)
$$;
"""
# Version 1 took the nearest by degrees.
_FORMER_NEAREST_CELLS = """
CREATE OR REPLACE FUNCTION geo.nearest_cells(version int, location geometry, wanted int)
RETURNS TABLE (id bigint, code text, name_zh text, name_en text, path text[], distance_m double precision)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT near.id, near.code, near.name_zh, near.name_en, near.path,
         ST_Distance(near.boundary::geography, location::geography) AS distance_m
    FROM (SELECT c.id, c.code, c.name_zh, c.name_en, c.path, c.boundary
            FROM geo.cell AS c
           WHERE c.version_id = version
             AND NOT EXISTS (SELECT FROM geo.cell AS child WHERE child.parent_id = c.id)
           ORDER BY c.boundary <-> location
           LIMIT 4 * wanted) AS near
   ORDER BY distance_m, near.code COLLATE "C"
   LIMIT wanted
$$;
"""
_LINEAGE_KINDS = "kind IN ('add', 'edit', 'merge', 'move_boundary', 'reassign', %s'retire', 'split')"
_SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Keep the radius of a position's error, and whether the place has to be confirmed."""
    op.add_column("dispatch_case", sa.Column("accuracy_m", sa.Float()), schema="dispatch")
    op.add_column(
        "dispatch_case",
        sa.Column("confirm_on_site", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="dispatch",
    )
    op.create_check_constraint(
        op.f("ck_dispatch_case_accuracy_is_radius"), "dispatch_case", "accuracy_m > 0", schema="dispatch"
    )
    op.create_check_constraint(
        op.f("ck_dispatch_case_confirmed_is_inaccurate"),
        "dispatch_case",
        "NOT confirm_on_site OR accuracy_m IS NOT NULL",
        schema="dispatch",
    )
    for name in ("0014_valid_version.sql", "0014_nearest_cells.sql"):
        op.execute((_SQL / name).read_text(encoding="utf-8"))
    _allow_lineage("'repair', ")
    _create_channel_datum()
    op.create_table(
        "cell_undo",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("cell_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("was", postgresql.JSONB()),
        sa.ForeignKeyConstraint(
            ["version_id"], ["geo.grid_version.id"], name=op.f("fk_cell_undo_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "seq", "cell_id", name=op.f("pk_cell_undo")),
        schema="geo",
    )


def _allow_lineage(more: str) -> None:
    op.drop_constraint(op.f("ck_cell_lineage_kind"), "cell_lineage", schema="geo")
    op.create_check_constraint(op.f("ck_cell_lineage_kind"), "cell_lineage", _LINEAGE_KINDS % more, schema="geo")


def _create_channel_datum() -> None:
    op.create_table(
        "channel_datum",
        sa.Column("channel_code", sa.Text(), nullable=False),
        sa.Column("declared", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Text(), nullable=False),
        sa.Column("suspected", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('fits', 'suspect', 'cannot_tell', 'too_few')", name=op.f("ck_channel_datum_verdict")
        ),
        sa.CheckConstraint(
            "(verdict = 'suspect') = (cardinality(suspected) > 0)", name=op.f("ck_channel_datum_suspected")
        ),
        sa.ForeignKeyConstraint(
            ["channel_code"], ["dispatch.channel.code"], name=op.f("fk_channel_datum_channel_code_channel")
        ),
        sa.PrimaryKeyConstraint("channel_code", "declared", name=op.f("pk_channel_datum")),
        schema="dispatch",
    )


def downgrade() -> None:
    """Drop both; the first event of a case keeps what was said."""
    op.drop_table("cell_undo", schema="geo")
    op.execute("DELETE FROM geo.cell_lineage WHERE kind = 'repair'")
    _allow_lineage("")
    op.drop_table("channel_datum", schema="dispatch")
    op.execute(_FORMER_NEAREST_CELLS)
    op.execute(_FORMER_VALID_VERSION)
    op.drop_column("dispatch_case", "confirm_on_site", schema="dispatch")
    op.drop_column("dispatch_case", "accuracy_m", schema="dispatch")
