"""Reports of one place and matter are found by small squares.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_SQUARE = "(floor(st_x(location) * 1000)::bigint * 1000000 + floor(st_y(location) * 1000)::bigint)"


def upgrade() -> None:
    """The location alone brings up the reports of all years and classes (dispatch/storage/repeat_sites.py)."""
    op.create_index(
        "ix_dispatch_case_square",
        "dispatch_case",
        [sa.text(_SQUARE), "category_code", "reported_at"],
        schema="dispatch",
    )
    op.create_index(
        "ix_dispatch_case_square_closed",
        "dispatch_case",
        [sa.text(_SQUARE), "category_code", "closed_at"],
        schema="dispatch",
        postgresql_where=sa.text("state = 'closed'"),
    )


def downgrade() -> None:
    """Back to the location alone."""
    op.drop_index("ix_dispatch_case_square_closed", table_name="dispatch_case", schema="dispatch")
    op.drop_index("ix_dispatch_case_square", table_name="dispatch_case", schema="dispatch")
