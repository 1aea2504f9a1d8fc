"""Ledgers as data, and the rules by which reports of one place are put side by side.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables with what an office needs on its first day."""
    op.create_table(
        "ledger",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_ledger")),
        schema="dispatch",
    )
    op.execute(
        "INSERT INTO dispatch.ledger (code, name_zh, name_en) VALUES"
        " ('ledger_issue', '台账问题', 'Ledger issues'),"
        " ('social_information', '社情信息', 'Social information'),"
        " ('three_illegals', '三非', 'Illegal operation, production, construction')"
    )
    # Until now any tag was taken; those that cases bear stay valid.
    op.execute(
        "INSERT INTO dispatch.ledger (code, name_zh, name_en)"
        " SELECT DISTINCT tag, tag, tag FROM dispatch.dispatch_case AS c, unnest(c.ledgers) AS tag"
        " ON CONFLICT (code) DO NOTHING"
    )
    op.create_table(
        "repeat_rule",
        sa.Column("category_code", sa.Text(), nullable=False),
        sa.Column("radius_m", sa.Integer(), server_default="50", nullable=False),
        sa.Column("window_hours", sa.Integer(), server_default="72", nullable=False),
        sa.Column("with_siblings", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("site_count", sa.SmallInteger(), server_default="3", nullable=False),
        sa.Column("site_days", sa.SmallInteger(), server_default="90", nullable=False),
        sa.Column("look_back_days", sa.SmallInteger(), server_default="30", nullable=False),
        sa.CheckConstraint("radius_m BETWEEN 1 AND 5000", name=op.f("ck_repeat_rule_radius")),
        sa.CheckConstraint(
            "window_hours BETWEEN 1 AND 8760 AND site_days BETWEEN 1 AND 3660 AND look_back_days BETWEEN 0 AND 3660",
            name=op.f("ck_repeat_rule_times"),
        ),
        sa.CheckConstraint("site_count >= 2", name=op.f("ck_repeat_rule_count")),
        sa.PrimaryKeyConstraint("category_code", name=op.f("pk_repeat_rule")),
        schema="dispatch",
    )
    op.execute("INSERT INTO dispatch.repeat_rule (category_code) VALUES ('')")


def downgrade() -> None:
    """Remove both tables; the tags on the cases stay."""
    op.drop_table("repeat_rule", schema="dispatch")
    op.drop_table("ledger", schema="dispatch")
