"""The ladder of escalation as data; notices and parked rows.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_CLIMBING = "state IN ('dispatched', 'handling', 'reopened', 'returned')"
_UNARMED = f"next_rung_at IS NULL AND NOT ladder_done AND due_at IS NOT NULL AND {_CLIMBING}"
_UNITS = "after_unit IN ('urgent_hour', 'working_hour', 'working_day', 'natural_day')"
_TARGETS = "target IN ('owner', 'parent_head', 'top_head', 'department_head', 'shift_leader', 'leader')"


def _text(name: str, default: str | None = "", *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)


def upgrade() -> None:
    """Cases that are under way are put on the ladder where they stand."""
    _ladders()
    _faults_and_contacts()
    _notices()
    for column in (
        sa.Column("planned_at", _INSTANT, nullable=True),
        sa.Column("post_id", sa.BigInteger(), nullable=True),
        _text("target", None, nullable=True),
        _text("told", None, nullable=True),
        sa.Column("empty", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        _flag("in_bulletin"),
        sa.Column("ladder_id", sa.Integer(), nullable=True),
    ):
        op.add_column("escalation", column, schema="dispatch")
    op.create_index(
        "ix_escalation_fired", "escalation", [sa.literal_column("fired_at DESC"), "case_id"], schema="dispatch"
    )
    for column in (
        sa.Column("ladder_epoch", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("ladder_from", _INSTANT, nullable=True),
        _flag("ladder_done"),
    ):
        op.add_column("dispatch_case", column, schema="dispatch")
    op.execute(
        "UPDATE dispatch.dispatch_case SET next_rung_at = now(),"
        f" ladder_from = CASE WHEN origin <> 'live' THEN now() END WHERE due_at IS NOT NULL AND {_CLIMBING}"
    )
    for name, condition in (("climbing", _CLIMBING), ("unarmed", _UNARMED)):
        op.create_index(
            f"ix_dispatch_case_{name}", "dispatch_case", ["id"], schema="dispatch", postgresql_where=sa.text(condition)
        )
    op.execute((Path(__file__).parents[1] / "sql" / "0009_ladder.sql").read_text(encoding="utf-8"))


def _ladders() -> None:
    op.create_table(
        "ladder",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        _text("jurisdiction"),
        _text("cell_code"),
        _text("category"),
        sa.Column("effective_from", _INSTANT, nullable=False),
        sa.Column("made_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        _text("made_by"),
        _text("note"),
        sa.CheckConstraint("jurisdiction <> '' OR cell_code = ''", name=op.f("ck_ladder_shipped_is_for_all")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ladder")),
        sa.UniqueConstraint("jurisdiction", "cell_code", "category", "effective_from", name="uq_ladder_version"),
        schema="dispatch",
    )
    op.create_table(
        "ladder_rung",
        sa.Column("ladder_id", sa.Integer(), nullable=False),
        _text("code", None),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        _text("basis", None),
        sa.Column("share", sa.Numeric(6, 5), server_default="0", nullable=False),
        sa.Column("after_value", sa.Numeric(8, 2), server_default="0", nullable=False),
        _text("after_unit", "working_day"),
        _text("target", None),
        _text("ends_with", "handled"),
        _flag("in_bulletin"),
        _text("name_zh"),
        _text("name_en"),
        sa.CheckConstraint("code ~ '^[a-z][a-z0-9_]{0,39}$' AND code <> 'now'", name=op.f("ck_ladder_rung_code")),
        sa.CheckConstraint("basis IN ('at_once', 'share', 'after_due')", name=op.f("ck_ladder_rung_basis")),
        sa.CheckConstraint(_TARGETS, name=op.f("ck_ladder_rung_target")),
        sa.CheckConstraint("ends_with IN ('handled', 'acknowledged')", name=op.f("ck_ladder_rung_ends_with")),
        sa.CheckConstraint(_UNITS, name=op.f("ck_ladder_rung_after_unit")),
        sa.CheckConstraint("(basis = 'share') = (share > 0 AND share < 1)", name=op.f("ck_ladder_rung_share")),
        sa.CheckConstraint(
            "after_value >= 0 AND (basis = 'after_due' OR after_value = 0)", name=op.f("ck_ladder_rung_after")
        ),
        sa.ForeignKeyConstraint(
            ["ladder_id"], ["dispatch.ladder.id"], name=op.f("fk_ladder_rung_ladder_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ladder_id", "code", name=op.f("pk_ladder_rung")),
        schema="dispatch",
    )


def _faults_and_contacts() -> None:
    op.create_table(
        "worker_fault",
        _text("kind", None),
        _text("key", None),
        sa.Column("attempts", sa.SmallInteger(), server_default="1", nullable=False),
        _text("last_error", None),
        sa.Column("failed_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("parked_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("kind", "key", name=op.f("pk_worker_fault")),
        schema="dispatch",
    )
    op.create_table(
        "person_contact",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        _text("email", None, nullable=True),
        _text("wecom", None, nullable=True),
        _text("locale", "zh-CN"),
        sa.Column("muted", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint("locale IN ('zh-CN', 'en')", name=op.f("ck_person_contact_locale")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["dispatch.person.id"], name=op.f("fk_person_contact_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_person_contact")),
        schema="dispatch",
    )


def _notices() -> None:
    """A receipt of what was sent becomes a notice that is on its way; old ones have all been sent."""
    op.drop_index("ix_notification_person", "notification", schema="dispatch")
    for column in (
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        _text("state", "waiting"),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        _text("last_error", None, nullable=True),
    ):
        op.add_column("notification", column, schema="dispatch")
    op.execute("UPDATE dispatch.notification SET state = 'sent', attempts = 1, created_at = sent_at")
    op.alter_column("notification", "sent_at", nullable=True, server_default=None, schema="dispatch")
    for name, condition in (
        ("state", "state IN ('waiting', 'sent', 'unreachable', 'parked')"),
        ("sent_has_instant", "(state = 'sent') = (sent_at IS NOT NULL)"),
    ):
        op.create_check_constraint(op.f(f"ck_notification_{name}"), "notification", condition, schema="dispatch")
    op.create_index(
        "ix_notification_person",
        "notification",
        ["person_id", sa.literal_column("created_at DESC")],
        schema="dispatch",
    )
    for name, columns, state in (
        ("waiting", ["next_attempt_at", "id"], "waiting"),
        ("parked", ["id"], "parked"),
    ):
        op.create_index(
            f"ix_notification_{name}",
            "notification",
            columns,
            schema="dispatch",
            postgresql_where=sa.text(f"state = '{state}'"),
        )


def downgrade() -> None:
    """Back to the one rung at the deadline; what has fired stays fired."""
    for name in ("insert", "update"):
        op.execute(f"DROP TRIGGER ladder_armed_{name} ON dispatch.dispatch_case")
    op.execute("DROP FUNCTION dispatch.arm_ladder")
    for name in ("climbing", "unarmed"):
        op.drop_index(f"ix_dispatch_case_{name}", "dispatch_case", schema="dispatch")
    op.execute(
        "UPDATE dispatch.dispatch_case AS c SET next_rung_at = CASE WHEN NOT EXISTS (SELECT FROM dispatch.escalation"
        " AS e WHERE e.case_id = c.id AND e.rung = 'due' AND e.clock_epoch = c.ladder_epoch) THEN due_at END"
        f" WHERE due_at IS NOT NULL AND {_CLIMBING}"
    )
    for name in ("ladder_done", "ladder_from", "ladder_epoch"):
        op.drop_column("dispatch_case", name, schema="dispatch")
    op.drop_index("ix_escalation_fired", "escalation", schema="dispatch")
    for name in ("ladder_id", "in_bulletin", "empty", "told", "target", "post_id", "planned_at"):
        op.drop_column("escalation", name, schema="dispatch")
    for name in ("parked", "waiting", "person"):
        op.drop_index(f"ix_notification_{name}", "notification", schema="dispatch")
    for name in ("sent_has_instant", "state"):
        op.drop_constraint(op.f(f"ck_notification_{name}"), "notification", schema="dispatch", type_="check")
    op.execute("DELETE FROM dispatch.notification WHERE sent_at IS NULL")
    op.alter_column("notification", "sent_at", nullable=False, server_default=sa.text("now()"), schema="dispatch")
    for name in ("last_error", "next_attempt_at", "attempts", "state", "created_at"):
        op.drop_column("notification", name, schema="dispatch")
    op.create_index(
        "ix_notification_person",
        "notification",
        ["person_id", sa.literal_column("sent_at DESC")],
        schema="dispatch",
    )
    for name in ("person_contact", "worker_fault", "ladder_rung", "ladder"):
        op.drop_table(name, schema="dispatch")
