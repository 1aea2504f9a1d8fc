"""Reporters in a store of their own, the audit trail.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import ProgrammingError

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
_SQL = Path(__file__).resolve().parents[1] / "sql" / "0013_privacy_and_audit.sql"
_ROLES = ("gridward_reporter", "gridward_backup")


def upgrade() -> None:
    """Add the store of reporters and the audit trail."""
    _make_roles()
    op.execute("CREATE SCHEMA IF NOT EXISTS reporter")
    op.execute("CREATE SCHEMA IF NOT EXISTS audit")
    op.add_column("dispatch_case", sa.Column("reporter_key", sa.LargeBinary(), nullable=True), schema="dispatch")
    op.create_table(
        "identity",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("channel_code", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.LargeBinary(), nullable=False),
        sa.Column("name_masked", sa.Text(), server_default="", nullable=False),
        sa.Column("phone_masked", sa.Text(), server_default="", nullable=False),
        sa.Column("email_masked", sa.Text(), server_default="", nullable=False),
        sa.Column("is_anonymous", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("wants_follow_up", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("received_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("erased_at", INSTANT, nullable=True),
        sa.Column("erased_why", sa.Text(), nullable=True),
        sa.CheckConstraint("erased_why IN ('expired', 'asked')", name=op.f("ck_identity_erased_why")),
        sa.CheckConstraint("(erased_at IS NULL) = (erased_why IS NULL)", name=op.f("ck_identity_erased")),
        sa.CheckConstraint(
            "erased_at IS NULL OR (sealed IS NULL AND name_masked || phone_masked || email_masked = '')",
            name=op.f("ck_identity_erased_is_empty"),
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_identity")),
        schema="reporter",
    )
    op.create_table(
        "record",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_record_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_record")),
        sa.UniqueConstraint("previous", name="uq_record_previous"),
        schema="audit",
    )
    op.create_index("ix_record_recorded", "record", [sa.text("recorded_at DESC")], schema="audit")
    op.create_index("ix_record_kind", "record", ["kind", sa.text("number DESC")], schema="audit")
    op.create_index("ix_record_actor", "record", ["actor_id", sa.text("number DESC")], schema="audit")
    op.create_index("ix_record_subject", "record", ["subject", sa.text("number DESC")], schema="audit")
    op.execute(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    """Remove both, with what they hold. The roles stay: other databases of the server may use them."""
    op.execute("DROP FUNCTION audit.refuse_change() CASCADE")
    op.execute("DROP FUNCTION audit.append(text, text, text, text, jsonb)")
    op.execute("DROP FUNCTION audit.chain() CASCADE")
    op.drop_table("record", schema="audit")
    op.drop_table("identity", schema="reporter")
    op.drop_column("dispatch_case", "reporter_key", schema="dispatch")
    for schema in ("geo", "dispatch", "api"):
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM gridward_backup")
        op.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM gridward_backup")
        op.execute(f"REVOKE ALL ON SCHEMA {schema} FROM gridward_backup")
    op.execute("DROP SCHEMA audit")
    op.execute("DROP SCHEMA reporter")


def _make_roles() -> None:
    """Roles belong to the whole server: another database may have made them already, even this very moment."""
    connection = op.get_bind()
    try:
        for role in _ROLES:
            connection.execute(
                sa.text(
                    f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN"
                    f" CREATE ROLE {role} NOLOGIN; END IF;"
                    " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
                )
            )
            member = connection.execute(sa.text(f"SELECT pg_has_role(current_user, '{role}', 'MEMBER')")).scalar_one()
            if not member:
                connection.execute(sa.text(f"GRANT {role} TO CURRENT_USER"))
    except ProgrammingError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise SystemExit(
                "The login of GRIDWARD_DATABASE_URL may not create roles. Let an administrator of the server run once:\n"
                + "\n".join(f"  CREATE ROLE {role} NOLOGIN; GRANT {role} TO <login>;" for role in _ROLES)
            ) from error
        raise
