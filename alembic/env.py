"""How a migration runs: one at a time, and never waiting for a table lock while all other sessions queue behind it."""

from __future__ import annotations

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import NullPool, create_engine, text

import api.accounts.tables
import api.audit.tables
import api.desk_tables
import api.idempotency_tables
import api.map_shares
import api.webhooks.tables
import dispatch.storage.calendar_tables
import dispatch.storage.datum_tables
import dispatch.storage.duty_tables
import dispatch.storage.joint_tables
import dispatch.storage.photo_tables
import dispatch.storage.planning_tables
import dispatch.storage.posts_tables
import dispatch.storage.reporter_tables
import dispatch.storage.tables
import dispatch.storage.word_tables
import geo.storage.gazetteer_tables
import geo.storage.tables
import geo.storage.tile_tables
from geo.storage.base import Base

SCHEMAS = {"geo", "dispatch", "api", "reporter", "audit"}
# Any number, the same for every Gridward: "grid" in ASCII.
ADVISORY_LOCK = 0x67726964


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Look at our own schemas only; PostGIS keeps its own tables in ``public``."""
    return kind != "schema" or name in SCHEMAS


def include_object(thing: Any, name: str | None, kind: str, reflected: bool, compared: Any) -> bool:
    """Leave out what PostGIS made; and the GiST index that GeoAlchemy2 would compare twice."""
    return bool(alembic_helpers.include_object(thing, name, kind, reflected, compared))


def database_url() -> str:
    """Return the address given by `api.migrations`, or ``alembic -x url=…`` on the command line."""
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("alembic -x url=postgresql+psycopg://… COMMAND")
    return str(url)


def run() -> None:
    """Run the wanted command inside one transaction."""
    engine = create_engine(database_url(), poolclass=NullPool)
    with engine.connect() as connection:
        # Two starts at once: the second waits here until the first has committed, then finds nothing left to do.
        connection.execute(text("SET lock_timeout = '120s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        # From here on give up quickly: a migration that waits for a busy table makes every reader wait behind it.
        connection.execute(text("SET lock_timeout = '2s'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_schemas=True,
            include_name=include_name,
            include_object=include_object,
            process_revision_directives=alembic_helpers.writer,
            render_item=alembic_helpers.render_item,
            compare_server_default=False,
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            context.run_migrations()
            # A revision may have brought a table that tells of cases: it goes behind policies in the same transaction.
            if connection.execute(text("SELECT to_regprocedure('api.protect()')")).scalar_one() is not None:
                connection.execute(text("SELECT api.protect()"))
        connection.commit()


_TABLES = (  # imported for their metadata
    geo.storage.tables,
    geo.storage.tile_tables,
    dispatch.storage.datum_tables,
    dispatch.storage.word_tables,
    dispatch.storage.duty_tables,
    dispatch.storage.photo_tables,
    dispatch.storage.planning_tables,
    dispatch.storage.posts_tables,
    dispatch.storage.reporter_tables,
    dispatch.storage.tables,
    geo.storage.gazetteer_tables,
    api.accounts.tables,
    api.audit.tables,
    api.desk_tables,
    api.idempotency_tables,
    api.map_shares,
    api.webhooks.tables,
)
run()
