"""Where a redraw changed nothing, no case is looked for anew.

Revision ID: 0022
Revises: 0021
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parent.parent / "sql" / "0022_settled_cells.sql"


def upgrade() -> None:
    """Say which cells of older drawings are the same in a newer one."""
    op.execute(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    """Look every case up again."""
    op.execute("DROP FUNCTION geo.settled_cells(int)")
