"""Idempotency keys, photos, the gazetteer, sandbox.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TEXTS = sa.ARRAY(sa.Text())


def upgrade() -> None:
    """Add the tables of the hotline's door."""
    op.create_table(
        "place",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), server_default="", nullable=False),
        sa.Column("aliases", TEXTS, server_default="{}", nullable=False),
        sa.Column("keys", TEXTS, nullable=False),
        sa.Column("terms", TEXTS, nullable=False),
        sa.Column("location", Geometry("POINT", srid=4326, spatial_index=False), nullable=False),
        sa.Column("radius_m", sa.Float(), nullable=False),
        sa.Column("updated_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('estate', 'courtyard', 'crossing', 'building', 'number', 'landmark', 'road', 'area')",
            name=op.f("ck_place_kind"),
        ),
        sa.CheckConstraint("radius_m > 0 AND radius_m <= 5000", name=op.f("ck_place_radius")),
        sa.CheckConstraint("cardinality(keys) > 0", name=op.f("ck_place_keys")),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_place_jurisdiction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_place")),
        sa.UniqueConstraint("jurisdiction", "source_id", name="uq_place_source"),
        schema="geo",
    )
    op.create_index("ix_place_terms", "place", ["terms"], schema="geo", postgresql_using="gin")
    op.create_table(
        "idempotency_key",
        sa.Column("channel_code", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("begun_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("headers", postgresql.JSONB(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(status IS NULL) = (body IS NULL)", name=op.f("ck_idempotency_key_answer")),
        sa.ForeignKeyConstraint(
            ["channel_code"], ["dispatch.channel.code"], name=op.f("fk_idempotency_key_channel_code")
        ),
        sa.PrimaryKeyConstraint("channel_code", "key", name=op.f("pk_idempotency_key")),
        schema="api",
    )
    op.create_table(
        "case_photo",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sent_digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.Text(), nullable=True),
        sa.Column("location", Geometry("POINT", srid=4326, spatial_index=False), nullable=True),
        sa.Column("added_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("preview", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("kind IN ('report', 'before', 'after', 'other')", name=op.f("ck_case_photo_kind")),
        sa.ForeignKeyConstraint(["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_case_photo_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_photo")),
        sa.UniqueConstraint("case_id", "sent_digest", name="uq_case_photo_once"),
        schema="dispatch",
    )
    # Already compressed: a second compression would cost time and save nothing.
    op.execute("ALTER TABLE dispatch.case_photo ALTER image SET STORAGE EXTERNAL, ALTER preview SET STORAGE EXTERNAL")

    # pglz took a tenth of what writing a report costs, lz4 a tenth of that. A server built without lz4 keeps what it has.
    op.execute(
        "DO $$ BEGIN ALTER TABLE dispatch.case_event ALTER payload SET COMPRESSION lz4;"
        " ALTER TABLE dispatch.dispatch_case ALTER owner_ladder SET COMPRESSION lz4;"
        " EXCEPTION WHEN feature_not_supported THEN NULL; END $$"
    )
    _add_words()


def _add_words() -> None:
    op.create_table(
        "case_words",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("terms", TEXTS, nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_case_words_case_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_case_words")),
        schema="dispatch",
    )
    op.create_index("ix_case_words_terms", "case_words", ["terms"], schema="dispatch", postgresql_using="gin")
    op.execute(
        "CREATE TABLE dispatch.words_read (is_only boolean DEFAULT true NOT NULL, txid xid8 NOT NULL,"
        " event_id bigint NOT NULL, CONSTRAINT pk_words_read PRIMARY KEY (is_only),"
        " CONSTRAINT ck_words_read_only CHECK (is_only))"
    )
    op.execute("INSERT INTO dispatch.words_read (txid, event_id) VALUES ('0', 0)")
    op.execute((Path(__file__).resolve().parents[1] / "sql" / "0012_words.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Remove them, with what they hold."""
    op.execute("DROP FUNCTION dispatch.cases_with_terms(text[])")
    op.execute("DROP FUNCTION dispatch.word_terms(text)")
    op.execute("DROP FUNCTION dispatch.word_form(text)")
    op.drop_table("words_read", schema="dispatch")
    op.drop_table("case_words", schema="dispatch")
    op.execute("ALTER TABLE dispatch.dispatch_case ALTER owner_ladder SET COMPRESSION default")
    op.execute("ALTER TABLE dispatch.case_event ALTER payload SET COMPRESSION default")
    op.drop_table("case_photo", schema="dispatch")
    op.drop_table("idempotency_key", schema="api")
    op.drop_table("place", schema="geo")
