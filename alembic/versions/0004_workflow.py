"""The whole workflow: reopened cases, stage clocks, requests, ledgers of pauses and extensions, merging, profiles.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OPEN = (
    "accepted", "checked", "dispatched", "filed", "handled", "handling", "reported", "returned", "self_handled",
    "suspended", "verifying",
)  # fmt: skip
_FINAL = ("closed", "declined", "merged", "voided")
_DONE = ("checked", "handled")
_HANDLING = ("dispatched", "returned", "handling")
_INSTANT = sa.DateTime(timezone=True)
_WATCHED = "stage_clock IN ('verify', 'acknowledge', 'suspension')"


def _in(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _states(extra: tuple[str, ...]) -> None:
    """Replace every rule that lists the open states, with or without the new one."""
    open_states = tuple(sorted(_OPEN + extra))
    handling = _HANDLING + extra
    for name in ("state", "handling_has_deadline"):
        op.drop_constraint(op.f(f"ck_dispatch_case_{name}"), "dispatch_case", schema="dispatch", type_="check")
    op.create_check_constraint(
        op.f("ck_dispatch_case_state"), "dispatch_case", _in("state", open_states + _FINAL), schema="dispatch"
    )
    op.create_check_constraint(
        op.f("ck_dispatch_case_handling_has_deadline"),
        "dispatch_case",
        f"NOT ({_in('state', handling)}) OR due_at IS NOT NULL",
        schema="dispatch",
    )
    for name in ("ix_dispatch_case_open", "ix_dispatch_case_owner_version"):
        op.drop_index(name, "dispatch_case", schema="dispatch")
    op.create_index(
        "ix_dispatch_case_open",
        "dispatch_case",
        [sa.literal_column("reported_at DESC"), sa.literal_column("id DESC")],
        schema="dispatch",
        postgresql_where=sa.text(_in("state", open_states)),
    )
    op.create_index(
        "ix_dispatch_case_owner_version",
        "dispatch_case",
        ["jurisdiction", sa.literal_column("COALESCE(owner_version_id, grid_version_id, 0)")],
        schema="dispatch",
        postgresql_where=sa.text(_in("state", tuple(state for state in open_states if state not in _DONE))),
    )


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("stage_clock", sa.Text(), nullable=True),
        sa.Column("stage_due_at", _INSTANT, nullable=True),
        sa.Column("clock_started_at", _INSTANT, nullable=True),
        sa.Column("asked", sa.Text(), nullable=True),
        sa.Column("asked_until", _INSTANT, nullable=True),
        sa.Column("extension_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("suspend_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("supervised_until", _INSTANT, nullable=True),
        sa.Column("received_by", sa.Text(), nullable=True),
        sa.Column("follow_up", sa.Text(), nullable=True),
        sa.Column("is_exempt", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("parent_case_id", sa.Uuid(), nullable=True),
    ]


def upgrade() -> None:
    """Add what the moves need; nothing that is there changes its meaning."""
    for column in _columns():
        op.add_column("dispatch_case", column, schema="dispatch")
    _states(("reopened",))
    op.create_foreign_key(
        op.f("fk_dispatch_case_parent_case_id"),
        "dispatch_case",
        "dispatch_case",
        ["parent_case_id"],
        ["id"],
        source_schema="dispatch",
        referent_schema="dispatch",
    )
    for name, condition in (
        (
            "merged_has_parent",
            "(state = 'merged' AND (parent_case_id IS NOT NULL OR origin = 'imported')) OR"
            " (state <> 'merged' AND parent_case_id IS NULL)",
        ),
        ("stage_has_instant", "(stage_clock IS NULL) = (stage_due_at IS NULL)"),
        ("asked", "asked IN ('extension', 'suspension', 'appeal')"),
    ):
        op.create_check_constraint(op.f(f"ck_dispatch_case_{name}"), "dispatch_case", condition, schema="dispatch")
    for name, column, where in (
        ("ix_dispatch_case_stage", "stage_due_at", _WATCHED),
        ("ix_dispatch_case_parent", "parent_case_id", "parent_case_id IS NOT NULL"),
    ):
        op.create_index(name, "dispatch_case", [column], schema="dispatch", postgresql_where=sa.text(where))
    _ledgers()
    op.create_table(
        "profile",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("cell_code", sa.Text(), server_default="", nullable=False),
        sa.Column("line", sa.Text(), server_default="short", nullable=False),
        sa.Column("dispatches_itself", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("accept_minutes", sa.Integer(), server_default="15", nullable=False),
        sa.Column("verify_minutes", sa.Integer(), server_default="30", nullable=False),
        sa.Column("dispatch_minutes", sa.Integer(), server_default="15", nullable=False),
        sa.Column("acknowledge_minutes", sa.Integer(), server_default="30", nullable=False),
        sa.Column("check_minutes", sa.Integer(), server_default="30", nullable=False),
        sa.Column("supervision_minutes", sa.Integer(), server_default="1440", nullable=False),
        sa.CheckConstraint("line IN ('full', 'short')", name=op.f("ck_profile_line")),
        sa.CheckConstraint(
            "least(accept_minutes, verify_minutes, dispatch_minutes, acknowledge_minutes, check_minutes,"
            " supervision_minutes) > 0",
            name=op.f("ck_profile_minutes"),
        ),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_profile_jurisdiction")),
        sa.PrimaryKeyConstraint("jurisdiction", "cell_code", name=op.f("pk_profile")),
        schema="dispatch",
    )


def _ledgers() -> None:
    op.create_table(
        "case_pause",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("clock_epoch", sa.SmallInteger(), nullable=False),
        sa.Column("starts_at", _INSTANT, nullable=False),
        sa.Column("ends_at", _INSTANT, nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("due_before", _INSTANT, nullable=False),
        sa.Column("due_after", _INSTANT, nullable=False),
        sa.CheckConstraint("ends_at >= starts_at", name=op.f("ck_case_pause_order")),
        sa.CheckConstraint("ends_at <= starts_at + interval '366 days'", name=op.f("ck_case_pause_at_most_a_year")),
        sa.ForeignKeyConstraint(["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_case_pause_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_pause")),
        schema="dispatch",
    )
    op.create_index("ix_case_pause_case", "case_pause", ["case_id"], schema="dispatch")
    op.create_table(
        "case_extension",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("clock_epoch", sa.SmallInteger(), nullable=False),
        sa.Column("approved_at", _INSTANT, nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("due_before", _INSTANT, nullable=False),
        sa.Column("due_after", _INSTANT, nullable=False),
        sa.CheckConstraint("number BETWEEN 1 AND 2", name=op.f("ck_case_extension_number")),
        sa.ForeignKeyConstraint(["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_case_extension_case_id")),
        sa.PrimaryKeyConstraint("case_id", "number", name=op.f("pk_case_extension")),
        schema="dispatch",
    )
    op.create_table(
        "case_epoch",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("clock_epoch", sa.SmallInteger(), autoincrement=False, nullable=False),
        *(
            sa.Column(name, _INSTANT, nullable=True)
            for name in ("dispatched_at", "acknowledged_at", "handled_at", "checked_at", "closed_at", "due_at")
        ),
        sa.Column("is_on_time", sa.Boolean(), nullable=True),
        sa.Column("closed_level", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_case_epoch_case_id")),
        sa.PrimaryKeyConstraint("case_id", "clock_epoch", name=op.f("pk_case_epoch")),
        schema="dispatch",
    )
    op.create_table(
        "case_undo",
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=False),
        sa.Column("made_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_case_undo_case_id")),
        sa.PrimaryKeyConstraint("token", "case_id", name=op.f("pk_case_undo")),
        schema="dispatch",
    )


def downgrade() -> None:
    """Back to the workflow without them; a reopened case becomes a returned one, which waits at the same desk."""
    for name in ("case_undo", "case_epoch", "case_extension", "case_pause", "profile"):
        op.drop_table(name, schema="dispatch")
    for name in ("ix_dispatch_case_stage", "ix_dispatch_case_parent"):
        op.drop_index(name, "dispatch_case", schema="dispatch")
    op.execute("UPDATE dispatch.dispatch_case SET state = 'returned' WHERE state = 'reopened'")
    _states(())
    for column in reversed(_columns()):
        op.drop_column("dispatch_case", column.name, schema="dispatch")
