"""Chain and ladder of a report are kept once for all who share them.

Revision ID: 0025
Revises: 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the standings. Events and cases that are there keep what they have; nothing is rewritten."""
    op.create_table(
        "standing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("said", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing")),
        schema="dispatch",
    )
    op.execute(
        "CREATE FUNCTION dispatch.forbid_change_of_standing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'standings are append-only'"
        " USING ERRCODE = 'restrict_violation', CONSTRAINT = 'standing_append_only'; END $$;"
        " CREATE TRIGGER standing_append_only BEFORE UPDATE OR DELETE ON dispatch.standing"
        " FOR EACH STATEMENT EXECUTE FUNCTION dispatch.forbid_change_of_standing()"
    )
    for table in ("dispatch_case", "case_event"):
        op.add_column(table, sa.Column("standing_id", sa.Uuid(), nullable=True), schema="dispatch")
        op.create_foreign_key(
            op.f(f"fk_{table}_standing_id"),
            table,
            "standing",
            ["standing_id"],
            ["id"],
            source_schema="dispatch",
            referent_schema="dispatch",
        )


def downgrade() -> None:
    """Write chain and ladder into every event and case again."""
    op.execute("ALTER TABLE dispatch.case_event DISABLE TRIGGER case_event_append_only")
    op.execute(
        "UPDATE dispatch.case_event AS e SET payload = t.said || e.payload FROM dispatch.standing AS t"
        " WHERE t.id = e.standing_id"
    )
    op.execute("ALTER TABLE dispatch.case_event ENABLE TRIGGER case_event_append_only")
    op.execute(
        "UPDATE dispatch.dispatch_case AS c SET owner_ladder = nullif(t.said -> 'ladder', '[]')"
        " FROM dispatch.standing AS t WHERE t.id = c.standing_id AND c.owner_ladder IS NULL"
    )
    for table in ("case_event", "dispatch_case"):
        op.drop_column(table, "standing_id", schema="dispatch")
    op.drop_table("standing", schema="dispatch")
    op.execute("DROP FUNCTION dispatch.forbid_change_of_standing()")
