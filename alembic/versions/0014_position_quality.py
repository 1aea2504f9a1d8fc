"""How sure a position is; which datum a channel really sends.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    """Drop both; the first event of a case keeps what was said."""
    op.drop_column("dispatch_case", "confirm_on_site", schema="dispatch")
    op.drop_column("dispatch_case", "accuracy_m", schema="dispatch")
