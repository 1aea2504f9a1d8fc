"""Versions by validity alone, redraw with lineage, hand-over of open cases.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_HAND_OVER_STATES = (
    "state IN ('accepted', 'dispatched', 'filed', 'handling', 'reported', 'returned', 'self_handled', 'suspended',"
    " 'verifying')"
)


def upgrade() -> None:
    """Let several published versions stand side by side in time, and keep how cells and cases went over."""
    op.drop_index("ix_grid_version_one_active", "grid_version", schema="geo")
    for name in ("status", "end_when_retired", "validity_when_active"):
        op.drop_constraint(op.f(f"ck_grid_version_{name}"), "grid_version", schema="geo", type_="check")
    op.execute("UPDATE geo.grid_version SET status = 'published' WHERE status <> 'draft'")
    op.create_check_constraint(
        op.f("ck_grid_version_status"), "grid_version", "status IN ('draft', 'published')", schema="geo"
    )
    op.create_check_constraint(
        op.f("ck_grid_version_validity_when_published"),
        "grid_version",
        "(status = 'published') = (valid_from IS NOT NULL)",
        schema="geo",
    )
    for column in (
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=True),
        sa.Column("took_effect_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("grid_version", column, schema="geo")
    op.create_foreign_key(
        op.f("fk_grid_version_based_on"),
        "grid_version",
        "grid_version",
        ["based_on"],
        ["id"],
        source_schema="geo",
        referent_schema="geo",
    )
    # What is valid already has taken effect; nobody waits for it.
    op.execute("UPDATE geo.grid_version SET took_effect_at = valid_from WHERE valid_from <= now()")
    op.create_table(
        "cell_lineage",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("from_code", sa.Text(), nullable=False),
        sa.Column("to_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("ck_cell_lineage_share")),
        sa.CheckConstraint(
            "kind IN ('add', 'edit', 'merge', 'move_boundary', 'reassign', 'retire', 'split')",
            name=op.f("ck_cell_lineage_kind"),
        ),
        sa.ForeignKeyConstraint(["version_id"], ["geo.grid_version.id"], name=op.f("fk_cell_lineage_version_id")),
        sa.PrimaryKeyConstraint("version_id", "seq", "from_code", "to_code", name=op.f("pk_cell_lineage")),
        schema="geo",
    )
    op.create_table(
        "accepted_finding",
        sa.Column("version_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("area_m2", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("btrim(reason) <> ''", name=op.f("ck_accepted_finding_reason")),
        sa.ForeignKeyConstraint(["version_id"], ["geo.grid_version.id"], name=op.f("fk_accepted_finding_version_id")),
        sa.PrimaryKeyConstraint("version_id", "kind", name=op.f("pk_accepted_finding")),
        schema="geo",
    )
    # By cell *and* version: a case's cell is one of the version that placed it. The index is what deleting a draft's
    # cells needs; without it each deleted cell would read all cases.
    op.drop_constraint(op.f("fk_dispatch_case_cell_id"), "dispatch_case", schema="dispatch", type_="foreignkey")
    op.create_index("ix_dispatch_case_cell", "dispatch_case", ["grid_version_id", "cell_id"], schema="dispatch")
    op.create_foreign_key(
        "fk_dispatch_case_cell",
        "dispatch_case",
        "cell",
        ["grid_version_id", "cell_id"],
        ["version_id", "id"],
        source_schema="dispatch",
        referent_schema="geo",
    )
    op.add_column("dispatch_case", sa.Column("owner_version_id", sa.Integer(), nullable=True), schema="dispatch")
    op.add_column("dispatch_case", sa.Column("owner_path", sa.ARRAY(sa.Text()), nullable=True), schema="dispatch")
    op.create_index(
        "ix_dispatch_case_owner_version",
        "dispatch_case",
        ["jurisdiction", sa.literal_column("COALESCE(owner_version_id, grid_version_id, 0)")],
        schema="dispatch",
        postgresql_where=sa.text(_HAND_OVER_STATES),
    )
    op.execute((Path(__file__).parents[1] / "sql" / "0002_functions.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Back to one stored active version; what was scheduled becomes a draft again."""
    op.execute("DROP TRIGGER version_published_is_immutable ON geo.grid_version")
    op.execute("DROP FUNCTION geo.forbid_change_of_published_version")
    op.execute("DROP FUNCTION geo.valid_version")
    op.drop_index("ix_dispatch_case_owner_version", "dispatch_case", schema="dispatch")
    op.drop_column("dispatch_case", "owner_path", schema="dispatch")
    op.drop_column("dispatch_case", "owner_version_id", schema="dispatch")
    op.drop_constraint("fk_dispatch_case_cell", "dispatch_case", schema="dispatch", type_="foreignkey")
    op.drop_index("ix_dispatch_case_cell", "dispatch_case", schema="dispatch")
    op.create_foreign_key(
        op.f("fk_dispatch_case_cell_id"),
        "dispatch_case",
        "cell",
        ["cell_id"],
        ["id"],
        source_schema="dispatch",
        referent_schema="geo",
    )
    op.drop_table("accepted_finding", schema="geo")
    op.drop_table("cell_lineage", schema="geo")
    op.drop_constraint(op.f("fk_grid_version_based_on"), "grid_version", schema="geo", type_="foreignkey")
    for column in ("took_effect_at", "based_on", "revision"):
        op.drop_column("grid_version", column, schema="geo")
    for name in ("status", "validity_when_published"):
        op.drop_constraint(op.f(f"ck_grid_version_{name}"), "grid_version", schema="geo", type_="check")
    op.execute(
        "UPDATE geo.grid_version SET status = 'draft', valid_from = NULL, valid_until = NULL WHERE valid_from > now()"
    )
    op.execute("UPDATE geo.grid_version SET valid_until = NULL WHERE valid_until > now()")
    op.execute(
        "UPDATE geo.grid_version SET status = CASE WHEN valid_until IS NULL THEN 'active' ELSE 'retired' END"
        " WHERE status = 'published'"
    )
    op.create_check_constraint(
        op.f("ck_grid_version_status"), "grid_version", "status IN ('draft', 'active', 'retired')", schema="geo"
    )
    op.create_check_constraint(
        op.f("ck_grid_version_validity_when_active"),
        "grid_version",
        "status = 'draft' OR valid_from IS NOT NULL",
        schema="geo",
    )
    op.create_check_constraint(
        op.f("ck_grid_version_end_when_retired"),
        "grid_version",
        "status <> 'retired' OR valid_until IS NOT NULL",
        schema="geo",
    )
    op.create_index(
        "ix_grid_version_one_active",
        "grid_version",
        ["jurisdiction"],
        unique=True,
        schema="geo",
        postgresql_where=sa.text("status = 'active'"),
    )
