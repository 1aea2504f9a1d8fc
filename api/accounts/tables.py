"""Tables of the doors (PostgreSQL schema ``api``): accounts and their roles, sessions, keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from api.accounts.roles import ROLES
from geo.storage.base import Base
from geo.storage.tables import INSTANT

SCHEMA = "api"
_ROLES = ", ".join(f"'{role}'" for role in ROLES)


class ApiKeyRow(Base):
    """A channel's key: shown once, kept as a digest; the prefix finds the row and may be written in logs.

    ``cells`` and ``departments`` limit what it sees; both empty: no limit beside the channel's.
    """

    __tablename__ = "api_key"
    __table_args__ = (
        UniqueConstraint("prefix"),
        Index("ix_api_key_channel", "channel_code"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    channel_code: Mapped[str] = mapped_column(ForeignKey("dispatch.channel.code"))
    prefix: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(INSTANT)
    last_used_at: Mapped[datetime | None] = mapped_column(INSTANT)
    label: Mapped[str] = mapped_column(Text, server_default="")
    created_by: Mapped[str] = mapped_column(Text, server_default="")
    expires_at: Mapped[datetime | None] = mapped_column(INSTANT)
    cells: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    departments: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    rate: Mapped[str | None] = mapped_column(Text)


class AccountRow(Base):
    """Somebody who signs in. The person is who acts; the account is how they prove it.

    ``totp_step`` is the last time step whose code was used: a code counts once. The secret is kept readable, because
    checking a code needs it; who reads this table can make codes, but not passwords (docs/access.md).
    """

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("login", name="uq_account_login"),
        UniqueConstraint("person_id", name="uq_account_person"),
        UniqueConstraint("oidc_issuer", "oidc_subject", name="uq_account_oidc"),
        CheckConstraint("login = lower(login) AND login ~ '^[^[:space:]]{2,80}$'", name="login"),
        CheckConstraint("(oidc_issuer IS NULL) = (oidc_subject IS NULL)", name="oidc_pair"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id"))
    login: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    must_change: Mapped[bool] = mapped_column(server_default=sql("false"))
    password_changed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    totp_secret: Mapped[str | None] = mapped_column(Text)
    totp_confirmed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    totp_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    oidc_issuer: Mapped[str | None] = mapped_column(Text)
    oidc_subject: Mapped[str | None] = mapped_column(Text)
    is_demo: Mapped[bool] = mapped_column(server_default=sql("false"))
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    disabled_at: Mapped[datetime | None] = mapped_column(INSTANT)


class RoleGrantRow(Base):
    """A role with its area, from when until when. ``ended_at`` is set when somebody takes it back early."""

    __tablename__ = "role_grant"
    __table_args__ = (
        CheckConstraint(f"role IN ({_ROLES})", name="role"),
        CheckConstraint("valid_until > valid_from", name="validity_order"),
        Index("ix_role_grant_account", "account_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("api.account.id"))
    role: Mapped[str] = mapped_column(Text)
    cell_code: Mapped[str | None] = mapped_column(Text)
    department_code: Mapped[str | None] = mapped_column(ForeignKey("dispatch.department.code"))
    valid_from: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    valid_until: Mapped[datetime | None] = mapped_column(INSTANT)
    ended_at: Mapped[datetime | None] = mapped_column(INSTANT)
    granted_by: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())


class SessionRow(Base):
    """A browser that is signed in. The cookie holds 256 random bits, the row their digest.

    ``stage`` is ``password`` while the second factor is still owed, and ``full`` afterwards.
    """

    __tablename__ = "session"
    __table_args__ = (
        UniqueConstraint("digest", name="uq_session_digest"),
        CheckConstraint("stage IN ('password', 'full')", name="stage"),
        Index("ix_session_account", "account_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("api.account.id"))
    stage: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(Text)
    browser: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(INSTANT)
    ended_at: Mapped[datetime | None] = mapped_column(INSTANT)


class RecoveryCodeRow(Base):
    """A code for the day the phone is lost; each counts once."""

    __tablename__ = "recovery_code"
    __table_args__ = ({"schema": SCHEMA},)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("api.account.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(INSTANT)


class SignInFailureRow(Base):
    """Failures of one (account, address), or of one address; no name and no address in clear."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (Index("ix_sign_in_failure_last", "last_at"), {"schema": SCHEMA})

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, server_default="1")
    last_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    next_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
