"""Grid versions name a code system that there is.

Before names were checked a version could be stored under any; a draft made from one was refused ever after.

Revision ID: 0019
Revises: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_KNOWN = ("free", "cn14", "cn15", "cn16", "cn20")


def upgrade() -> None:
    """``gb15`` was the demo's word for 6 + 3 + 3 + 3; under any other unknown name nothing was checked: ``free``."""
    op.execute("UPDATE geo.grid_version SET code_system = 'cn15' WHERE code_system = 'gb15'")
    op.execute(
        sa.text("UPDATE geo.grid_version SET code_system = 'free' WHERE code_system <> ALL (:known)").bindparams(
            sa.bindparam("known", list(_KNOWN), type_=sa.ARRAY(sa.Text))
        )
    )


def downgrade() -> None:
    """The names are good ones before, too."""
