"""A suspension is endorsed by the desk before the leader approves it.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_NAME = "ck_dispatch_case_asked"


def upgrade() -> None:
    """Know the request that waits for the leader."""
    op.execute(f"ALTER TABLE dispatch.dispatch_case DROP CONSTRAINT {_NAME}")
    # Not looked through again: what was valid is.
    op.execute(
        f"ALTER TABLE dispatch.dispatch_case ADD CONSTRAINT {_NAME}"
        " CHECK (asked IN ('extension', 'suspension', 'suspension_endorsed', 'appeal')) NOT VALID"
    )
    op.execute(f"ALTER TABLE dispatch.dispatch_case VALIDATE CONSTRAINT {_NAME}")


def downgrade() -> None:
    """Back to one word; what waits for the leader waits as it did before."""
    op.execute("UPDATE dispatch.dispatch_case SET asked = 'suspension' WHERE asked = 'suspension_endorsed'")
    op.execute(f"ALTER TABLE dispatch.dispatch_case DROP CONSTRAINT {_NAME}")
    op.execute(
        f"ALTER TABLE dispatch.dispatch_case ADD CONSTRAINT {_NAME}"
        " CHECK (asked IN ('extension', 'suspension', 'appeal'))"
    )
