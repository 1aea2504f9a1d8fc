"""Accounts, sessions, roles with an area, row-level security.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import ProgrammingError

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql" / "0011_access.sql"
_ROLES = ("gridward_service", "gridward_desk", "gridward_area")
_ROLE_WORDS = (
    "'administrator', 'shift_leader', 'dispatcher', 'acceptor', 'grid_head', 'grid_worker', 'department_handler',"
    " 'evaluator', 'planner', 'leader'"
)
_NOW = sa.text("now()")


def _instant(name: str, *, nullable: bool = True, default: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=_NOW if default else None)


def upgrade() -> None:
    """Make accounts, sessions and roles, and put all that tells of cases behind policies."""
    _make_roles()
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("must_change", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _instant("password_changed_at"),
        sa.Column("totp_secret", sa.Text()),
        _instant("totp_confirmed_at"),
        sa.Column("totp_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("oidc_issuer", sa.Text()),
        sa.Column("oidc_subject", sa.Text()),
        sa.Column("is_demo", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _instant("created_at", nullable=False, default=True),
        _instant("disabled_at"),
        sa.CheckConstraint("login = lower(login) AND login ~ '^[^[:space:]]{2,80}$'", name=op.f("ck_account_login")),
        sa.CheckConstraint("(oidc_issuer IS NULL) = (oidc_subject IS NULL)", name=op.f("ck_account_oidc_pair")),
        sa.ForeignKeyConstraint(["person_id"], ["dispatch.person.id"], name=op.f("fk_account_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name="uq_account_login"),
        sa.UniqueConstraint("person_id", name="uq_account_person"),
        sa.UniqueConstraint("oidc_issuer", "oidc_subject", name="uq_account_oidc"),
        schema="api",
    )
    op.create_table(
        "role_grant",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("cell_code", sa.Text()),
        sa.Column("department_code", sa.Text()),
        _instant("valid_from", nullable=False, default=True),
        _instant("valid_until"),
        _instant("ended_at"),
        sa.Column("granted_by", sa.Text(), server_default="", nullable=False),
        _instant("created_at", nullable=False, default=True),
        sa.CheckConstraint(f"role IN ({_ROLE_WORDS})", name=op.f("ck_role_grant_role")),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_role_grant_validity_order")),
        sa.CheckConstraint(
            "role <> 'administrator' OR (cell_code IS NULL AND department_code IS NULL)",
            name=op.f("ck_role_grant_administrator_of_all"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["api.account.id"], name=op.f("fk_role_grant_account_id_account")),
        sa.ForeignKeyConstraint(
            ["department_code"], ["dispatch.department.code"], name=op.f("fk_role_grant_department_code_department")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
        schema="api",
    )
    op.create_index("ix_role_grant_account", "role_grant", ["account_id"], schema="api")
    op.create_table(
        "session",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), server_default="", nullable=False),
        _instant("created_at", nullable=False, default=True),
        _instant("seen_at", nullable=False, default=True),
        _instant("expires_at", nullable=False),
        _instant("ended_at"),
        sa.CheckConstraint("stage IN ('password', 'full')", name=op.f("ck_session_stage")),
        sa.ForeignKeyConstraint(["account_id"], ["api.account.id"], name=op.f("fk_session_account_id_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("digest", name="uq_session_digest"),
        schema="api",
    )
    op.create_index("ix_session_account", "session", ["account_id"], schema="api")
    op.create_table(
        "recovery_code",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _instant("used_at"),
        sa.ForeignKeyConstraint(["account_id"], ["api.account.id"], name=op.f("fk_recovery_code_account_id_account")),
        sa.PrimaryKeyConstraint("account_id", "digest", name=op.f("pk_recovery_code")),
        schema="api",
    )
    op.create_table(
        "sign_in_failure",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="1", nullable=False),
        _instant("last_at", nullable=False, default=True),
        _instant("next_at", nullable=False, default=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_failure")),
        schema="api",
    )
    op.create_index("ix_sign_in_failure_last", "sign_in_failure", ["last_at"], schema="api")
    for column in (
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        _instant("expires_at"),
        sa.Column("cells", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("departments", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("rate", sa.Text()),
    ):
        op.add_column("api_key", column, schema="api")
    op.create_index("ix_api_key_channel", "api_key", ["channel_code"], schema="api")
    op.add_column("webhook", sa.Column("cells", sa.ARRAY(sa.Text()), server_default="{}", nullable=False), schema="api")
    op.add_column(
        "webhook", sa.Column("departments", sa.ARRAY(sa.Text()), server_default="{}", nullable=False), schema="api"
    )
    op.create_index(
        "ix_dispatch_case_owner_path",
        "dispatch_case",
        ["owner_path"],
        schema="dispatch",
        postgresql_using="gin",
        postgresql_where=sa.text("owner_path IS NOT NULL"),
    )
    op.add_column("dispatch_case", sa.Column("leg_departments", sa.ARRAY(sa.Text())), schema="dispatch")
    op.create_index(
        "ix_dispatch_case_leg_departments",
        "dispatch_case",
        ["leg_departments"],
        schema="dispatch",
        postgresql_using="gin",
        postgresql_where=sa.text("leg_departments IS NOT NULL"),
    )
    op.execute(_SQL.read_text(encoding="utf-8"))
    op.execute("SELECT api.protect()")


def downgrade() -> None:
    """Take policies, rights and accounts away. The roles stay: other databases of the server may use them."""
    for table in _guarded():
        for policy in ("service", "desk", "area", "area_change"):
            op.execute(f"DROP POLICY IF EXISTS {policy} ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    roles = ", ".join(_ROLES)
    for schema in ("geo", "dispatch", "api"):
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {roles}")
        op.execute(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {roles}")
        op.execute(f"REVOKE ALL ON SCHEMA {schema} FROM {roles}")
    op.execute("DROP TRIGGER leg_departments_noted ON dispatch.case_leg")
    for function in (
        "api.protect()",
        "geo.refresh_statistics()",
        "dispatch.feed_places(xid8, bigint, int)",
        "dispatch.feed_end()",
        "dispatch.has_paired_part(text[], text[], text)",
        "dispatch.paired(text[], text)",
        "dispatch.note_leg_departments()",
        "dispatch.sight(text)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_index("ix_dispatch_case_owner_path", table_name="dispatch_case", schema="dispatch")
    op.drop_index("ix_dispatch_case_leg_departments", table_name="dispatch_case", schema="dispatch")
    op.drop_column("dispatch_case", "leg_departments", schema="dispatch")
    op.drop_column("webhook", "departments", schema="api")
    op.drop_column("webhook", "cells", schema="api")
    op.drop_index("ix_api_key_channel", table_name="api_key", schema="api")
    for name in ("rate", "departments", "cells", "expires_at", "created_by", "label"):
        op.drop_column("api_key", name, schema="api")
    for table in ("sign_in_failure", "recovery_code", "session", "role_grant", "account"):
        op.drop_table(table, schema="api")


def _guarded() -> list[str]:
    rows = op.get_bind().execute(
        sa.text(
            "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname IN ('geo', 'dispatch', 'api') AND c.relrowsecurity"
        )
    )
    return [row[0] for row in rows]


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
