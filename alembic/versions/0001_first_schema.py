"""The first schema: cells in versions, posts, cases with their history, keys.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


class Xid8(UserDefinedType[int]):
    """A copy on purpose: a migration must not change when the application's type does."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the DDL name."""
        return "XID8"


def upgrade() -> None:
    """Create everything."""
    for extension in ("postgis", "btree_gist"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    for schema in ("geo", "dispatch", "api"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    op.create_table(
        "category",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("code_system", sa.Text(), server_default="gridward", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint("kind IN ('part', 'event', 'social')", name=op.f("ck_category_kind")),
        sa.ForeignKeyConstraint(["parent"], ["dispatch.category.code"], name=op.f("fk_category_parent")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_category")),
        schema="dispatch",
    )
    op.create_table(
        "channel",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("start_rule", sa.Text(), server_default="dispatch", nullable=False),
        sa.CheckConstraint("code ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$'", name=op.f("ck_channel_code")),
        sa.CheckConstraint("start_rule IN ('dispatch', 'next_day')", name=op.f("ck_channel_start_rule")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_channel")),
        schema="dispatch",
    )
    op.create_table(
        "department",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_department")),
        schema="dispatch",
    )
    op.create_table(
        "worker_signal",
        sa.Column("duty", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("duty", name=op.f("pk_worker_signal")),
        schema="dispatch",
    )
    op.create_table(
        "jurisdiction",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), server_default="", nullable=False),
        sa.Column("name_en", sa.Text(), server_default="", nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="Asia/Shanghai", nullable=False),
        sa.Column("metric_srid", sa.Integer(), server_default="4547", nullable=False),
        sa.CheckConstraint("code ~ '^\\d{6}$'", name=op.f("ck_jurisdiction_code_six_digits")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_jurisdiction")),
        schema="geo",
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel_code", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["channel_code"], ["dispatch.channel.code"], name=op.f("fk_api_key_channel_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
        schema="api",
    )
    op.create_table(
        "calendar_day",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('workday', 'holiday', 'morning', 'afternoon')", name=op.f("ck_calendar_day_kind")),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_calendar_day_jurisdiction")),
        sa.PrimaryKeyConstraint("jurisdiction", "day", name=op.f("pk_calendar_day")),
        schema="dispatch",
    )
    op.create_table(
        "calendar_year",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("year", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_calendar_year_jurisdiction")
        ),
        sa.PrimaryKeyConstraint("jurisdiction", "year", name=op.f("pk_calendar_year")),
        schema="dispatch",
    )
    op.create_table(
        "category_condition",
        sa.Column("category_code", sa.Text(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("limit_value", sa.Numeric(precision=8, scale=2), nullable=False),
        sa.Column("limit_unit", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "limit_unit IN ('urgent_hour', 'working_hour', 'working_day', 'natural_day')",
            name=op.f("ck_category_condition_unit"),
        ),
        sa.CheckConstraint("limit_value > 0", name=op.f("ck_category_condition_limit_positive")),
        sa.ForeignKeyConstraint(
            ["category_code"], ["dispatch.category.code"], name=op.f("fk_category_condition_category_code")
        ),
        sa.PrimaryKeyConstraint("category_code", "number", name=op.f("pk_category_condition")),
        schema="dispatch",
    )
    op.create_index(
        "ix_category_condition_one_default",
        "category_condition",
        ["category_code"],
        unique=True,
        schema="dispatch",
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_person_jurisdiction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        schema="dispatch",
    )
    op.create_table(
        "post",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rank", sa.Text(), server_default="A", nullable=False),
        sa.Column("cell_code", sa.Text(), nullable=True),
        sa.Column("department_code", sa.Text(), nullable=True),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.literal_column("jurisdiction"), "="),
            (sa.literal_column("cell_code"), "="),
            (sa.literal_column("rank"), "="),
            (sa.literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=sa.text("kind = 'grid_head'"),
            using="gist",
            name="ex_post_one_head",
        ),
        sa.CheckConstraint("kind <> 'grid_head' OR cell_code IS NOT NULL", name=op.f("ck_post_grid_head_has_cell")),
        sa.CheckConstraint(
            "kind IN ('grid_head', 'assistant', 'building_head', 'street_head', 'acceptor', 'shift_leader', 'dispatcher', 'department_handler', 'evaluator', 'leader', 'volunteer_group')",
            name=op.f("ck_post_kind"),
        ),
        sa.CheckConstraint("rank IN ('A', 'B')", name=op.f("ck_post_rank")),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_post_validity_order")),
        sa.ForeignKeyConstraint(
            ["department_code"], ["dispatch.department.code"], name=op.f("fk_post_department_code")
        ),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_post_jurisdiction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post")),
        schema="dispatch",
    )
    op.create_index(
        "ix_post_cell",
        "post",
        ["jurisdiction", "cell_code"],
        unique=False,
        schema="dispatch",
        postgresql_where=sa.text("kind = 'grid_head'"),
    )
    op.create_table(
        "working_hours",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("starts", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.CheckConstraint("starts < ends OR ends = '00:00'", name=op.f("ck_working_hours_order")),
        sa.ForeignKeyConstraint(
            ["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_working_hours_jurisdiction")
        ),
        sa.PrimaryKeyConstraint("jurisdiction", "starts", name=op.f("pk_working_hours")),
        schema="dispatch",
    )
    op.create_table(
        "grid_version",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("code_system", sa.Text(), server_default="free", nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.literal_column("jurisdiction"), "="),
            (sa.literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=sa.text("status <> 'draft'"),
            using="gist",
            name="ex_grid_version_validity",
        ),
        sa.CheckConstraint(
            "status <> 'retired' OR valid_until IS NOT NULL", name=op.f("ck_grid_version_end_when_retired")
        ),
        sa.CheckConstraint(
            "status = 'draft' OR valid_from IS NOT NULL", name=op.f("ck_grid_version_validity_when_active")
        ),
        sa.CheckConstraint("status IN ('draft', 'active', 'retired')", name=op.f("ck_grid_version_status")),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_grid_version_validity_order")),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_grid_version_jurisdiction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_version")),
        sa.UniqueConstraint("jurisdiction", "number", name=op.f("uq_grid_version_jurisdiction_number")),
        schema="geo",
    )
    op.create_index(
        "ix_grid_version_one_active",
        "grid_version",
        ["jurisdiction"],
        unique=True,
        schema="geo",
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "appointment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("post_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.literal_column("post_id"), "="),
            (sa.literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            using="gist",
            name="ex_appointment_one_holder",
        ),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_appointment_validity_order")),
        sa.ForeignKeyConstraint(["person_id"], ["dispatch.person.id"], name=op.f("fk_appointment_person_id")),
        sa.ForeignKeyConstraint(["post_id"], ["dispatch.post.id"], name=op.f("fk_appointment_post_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment")),
        schema="dispatch",
    )
    op.create_index("ix_appointment_post", "appointment", ["post_id"], unique=False, schema="dispatch")
    op.create_table(
        "leave",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_leave_order")),
        sa.ForeignKeyConstraint(["person_id"], ["dispatch.person.id"], name=op.f("fk_leave_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leave")),
        schema="dispatch",
    )
    op.create_index("ix_leave_person", "leave", ["person_id", "ends_at"], unique=False, schema="dispatch")
    op.create_table(
        "cell",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), server_default="", nullable=False),
        sa.Column("name_en", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="ordinary", nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("path", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("population", sa.Integer(), nullable=True),
        sa.Column("households", sa.Integer(), nullable=True),
        sa.Column("area_m2", sa.Double(), nullable=False),
        sa.Column(
            "boundary",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "label_point",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("kind IN ('ordinary', 'exclusive', 'micro')", name=op.f("ck_cell_kind")),
        sa.CheckConstraint("(level = 1) = (parent_id IS NULL)", name=op.f("ck_cell_parent")),
        sa.CheckConstraint("cardinality(path) = level AND path[level] = code", name=op.f("ck_cell_path")),
        sa.CheckConstraint("level BETWEEN 1 AND 9", name=op.f("ck_cell_level")),
        sa.ForeignKeyConstraint(
            ["version_id", "parent_id"], ["geo.cell.version_id", "geo.cell.id"], name="fk_cell_parent"
        ),
        sa.ForeignKeyConstraint(["version_id"], ["geo.grid_version.id"], name=op.f("fk_cell_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cell")),
        sa.UniqueConstraint("version_id", "code", name=op.f("uq_cell_version_id_code")),
        sa.UniqueConstraint("version_id", "id", name=op.f("uq_cell_version_id_id")),
        schema="geo",
    )
    op.create_index("ix_cell_boundary", "cell", ["boundary"], unique=False, schema="geo", postgresql_using="gist")
    op.create_index("ix_cell_parent", "cell", ["parent_id"], unique=False, schema="geo")
    op.create_index("ix_cell_version_level", "cell", ["version_id", "level"], unique=False, schema="geo")
    op.create_table(
        "dispatch_case",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("origin", sa.Text(), server_default="live", nullable=False),
        sa.Column("channel_code", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=True),
        sa.Column("category_code", sa.Text(), nullable=False),
        sa.Column("condition_number", sa.SmallInteger(), nullable=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("ledgers", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "location",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("coord_sys", sa.Text(), nullable=True),
        sa.Column("grid_version_id", sa.Integer(), nullable=True),
        sa.Column("cell_id", sa.BigInteger(), nullable=True),
        sa.Column("cell_path", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("located_how", sa.Text(), nullable=False),
        sa.Column("tie_rule", sa.Text(), server_default="edge-1", nullable=False),
        sa.Column("nearest", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suspended_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_provisional", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("warn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clock_epoch", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("next_rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_on_time", sa.Boolean(), nullable=True),
        sa.Column("closed_level", sa.SmallInteger(), nullable=True),
        sa.Column("rework_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("return_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("owner_post_id", sa.BigInteger(), nullable=True),
        sa.Column("owner_person_id", sa.Uuid(), nullable=True),
        sa.Column("owner_ladder", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(located_how = 'covers') = (cell_id IS NOT NULL)", name=op.f("ck_dispatch_case_cell_when_covered")
        ),
        sa.CheckConstraint(
            "(located_how = 'no_position') = (location IS NULL)", name=op.f("ck_dispatch_case_location_when_known")
        ),
        sa.CheckConstraint(
            "located_how IN ('covers', 'out_of_grid', 'no_position')", name=op.f("ck_dispatch_case_located_how")
        ),
        sa.CheckConstraint("origin IN ('live', 'imported', 'demo')", name=op.f("ck_dispatch_case_origin")),
        sa.CheckConstraint(
            "state <> 'closed' OR closed_at IS NOT NULL OR origin = 'imported'",
            name=op.f("ck_dispatch_case_closed_has_instant"),
        ),
        sa.CheckConstraint(
            "state <> 'handling' OR acknowledged_at IS NOT NULL", name=op.f("ck_dispatch_case_handling_has_instant")
        ),
        sa.CheckConstraint(
            "state <> 'suspended' OR suspended_until IS NOT NULL", name=op.f("ck_dispatch_case_suspended_has_end")
        ),
        sa.CheckConstraint(
            "state IN ('self_handled', 'reported', 'accepted', 'verifying', 'filed', 'dispatched', 'returned', 'handling', 'suspended', 'handled', 'checked', 'closed', 'declined', 'merged', 'voided')",
            name=op.f("ck_dispatch_case_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('dispatched', 'returned', 'handling') OR due_at IS NOT NULL",
            name=op.f("ck_dispatch_case_handling_has_deadline"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('dispatched', 'returned', 'handling', 'handled', 'checked') OR dispatched_at IS NOT NULL",
            name=op.f("ck_dispatch_case_dispatched_has_instant"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('handled', 'checked') OR handled_at IS NOT NULL",
            name=op.f("ck_dispatch_case_handled_has_instant"),
        ),
        sa.ForeignKeyConstraint(
            ["category_code"], ["dispatch.category.code"], name=op.f("fk_dispatch_case_category_code")
        ),
        sa.ForeignKeyConstraint(["cell_id"], ["geo.cell.id"], name=op.f("fk_dispatch_case_cell_id")),
        sa.ForeignKeyConstraint(
            ["channel_code"], ["dispatch.channel.code"], name=op.f("fk_dispatch_case_channel_code")
        ),
        sa.ForeignKeyConstraint(
            ["grid_version_id"], ["geo.grid_version.id"], name=op.f("fk_dispatch_case_grid_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_dispatch_case_jurisdiction")
        ),
        sa.ForeignKeyConstraint(
            ["owner_person_id"], ["dispatch.person.id"], name=op.f("fk_dispatch_case_owner_person_id")
        ),
        sa.ForeignKeyConstraint(["owner_post_id"], ["dispatch.post.id"], name=op.f("fk_dispatch_case_owner_post_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch_case")),
        sa.UniqueConstraint("channel_code", "ticket", name="uq_dispatch_case_channel_ticket"),
        sa.UniqueConstraint("ref", name="uq_dispatch_case_ref"),
        schema="dispatch",
    )
    op.create_index(
        "ix_dispatch_case_category",
        "dispatch_case",
        ["category_code", sa.literal_column("reported_at DESC")],
        unique=False,
        schema="dispatch",
    )
    op.create_index(
        "ix_dispatch_case_location",
        "dispatch_case",
        ["location"],
        unique=False,
        schema="dispatch",
        postgresql_using="gist",
    )
    op.create_index(
        "ix_dispatch_case_open",
        "dispatch_case",
        [sa.literal_column("reported_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        schema="dispatch",
        postgresql_where=sa.text(
            "state IN ('accepted', 'checked', 'dispatched', 'filed', 'handled', 'handling', 'reported', 'returned', 'self_handled', 'suspended', 'verifying')"
        ),
    )
    op.create_index(
        "ix_dispatch_case_path", "dispatch_case", ["cell_path"], unique=False, schema="dispatch", postgresql_using="gin"
    )
    op.create_index(
        "ix_dispatch_case_reported",
        "dispatch_case",
        [sa.literal_column("reported_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        schema="dispatch",
    )
    op.create_index(
        "ix_dispatch_case_rung",
        "dispatch_case",
        ["next_rung_at"],
        unique=False,
        schema="dispatch",
        postgresql_where=sa.text("next_rung_at IS NOT NULL"),
    )
    op.create_table(
        "case_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("moves", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), server_default="", nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("txid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("type ~ '^case[.][a-z_]+[.]v[0-9]+$'", name=op.f("ck_case_event_type")),
        sa.CheckConstraint("cardinality(moves) > 0", name=op.f("ck_case_event_moves")),
        sa.ForeignKeyConstraint(["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_case_event_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_event")),
        sa.UniqueConstraint("case_id", "seq", name="uq_case_event_case_seq"),
        schema="dispatch",
    )
    op.create_index("ix_case_event_feed", "case_event", ["txid", "id"], unique=False, schema="dispatch")
    op.create_table(
        "escalation",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("rung", sa.Text(), nullable=False),
        sa.Column("clock_epoch", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_escalation_case_id")),
        sa.ForeignKeyConstraint(["person_id"], ["dispatch.person.id"], name=op.f("fk_escalation_person_id")),
        sa.PrimaryKeyConstraint("case_id", "rung", "clock_epoch", name=op.f("pk_escalation")),
        schema="dispatch",
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("body_key", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["dispatch.case_event.id"], name=op.f("fk_notification_event_id")),
        sa.ForeignKeyConstraint(["person_id"], ["dispatch.person.id"], name=op.f("fk_notification_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("event_id", "person_id", "medium", name="uq_notification_once"),
        schema="dispatch",
    )
    op.create_index(
        "ix_notification_person",
        "notification",
        ["person_id", sa.literal_column("sent_at DESC")],
        unique=False,
        schema="dispatch",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["dispatch.case_event.id"], name=op.f("fk_outbox_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        schema="dispatch",
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["next_attempt_at", "id"],
        unique=False,
        schema="dispatch",
        postgresql_where=sa.text("parked_at IS NULL"),
    )
    op.execute((Path(__file__).parents[1] / "sql" / "0001_functions.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop everything of ours; the extensions stay, other applications may use them."""
    for schema in ("api", "dispatch", "geo"):
        op.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
