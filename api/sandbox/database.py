"""The sandbox's database: made beside the office's own, with a copy of its grid, posts and tables, and no case.

A database of its own, because then nothing has to remember to leave the sandbox's cases out: no list, map, rate,
notice, export, stream or file of the office can hold one (decision 0031).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from api import migrations
from geo.errors import UnavailableError
from geo.storage.engine import dsn

__all__ = ["exists", "prepare", "refresh", "url_of"]

Connection = psycopg.Connection[Any]
_SHAPE: Final = Path(__file__).parent / "sandbox.sql"
#: Two that make it at once: the second waits and finds it made. "sand" in ASCII.
_LOCK: Final = 0x73616E64
#: What a report's way depends on. A list of what is copied, not of what is left out: a table made tomorrow may tell of
#: people or of real cases.
_COPIED: Final = frozenset(
    {f"geo.{name}" for name in ("jurisdiction", "grid_version", "cell", "cell_lineage", "accepted_finding", "place")}
    | {
        f"dispatch.{name}"
        for name in (
            *("calendar_day", "calendar_revision", "calendar_year", "working_hours"),
            *("category", "category_condition", "limit_phase", "limit_season", "channel", "ledger"),
            *("department", "person", "post", "appointment", "leave", "shift", "shift_exception", "routing"),
            *("ladder", "ladder_rung", "profile", "repeat_rule"),
        )
    }
)
_TABLES: Final = """
SELECT n.nspname || '.' || r.relname,
       ARRAY(SELECT DISTINCT fn.nspname || '.' || f.relname
               FROM pg_constraint AS k
               JOIN pg_class AS f ON f.oid = k.confrelid JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
              WHERE k.conrelid = r.oid AND k.contype = 'f' AND f.oid <> r.oid),
       ARRAY(SELECT a.attname::text FROM pg_attribute AS a
              WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
              ORDER BY a.attnum)
  FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace
 WHERE r.relkind = 'r' AND n.nspname || '.' || r.relname = ANY (%s)
"""


def url_of(database_url: str, named: str = "") -> str:
    """Address of the sandbox's database.

    Parameters
    ----------
    named
        What a setting says; empty: on the same server, with ``_sandbox`` after the name.

    Examples
    --------
    >>> url_of("postgresql+psycopg://office@db/gridward")
    'postgresql+psycopg://office@db/gridward_sandbox'
    """
    if named:
        return named
    url = make_url(database_url)
    return url.set(database=f"{url.database}_sandbox").render_as_string(hide_password=False)


def exists(url: str) -> bool:
    """Whether the sandbox has been made.

    Raises
    ------
    UnavailableError
        ``storage.unavailable``.
    """
    try:
        with psycopg.connect(dsn(url), connect_timeout=5) as connection:
            row = connection.execute("SELECT to_regclass('sandbox.clock') IS NOT NULL").fetchone()
    except psycopg.OperationalError as error:
        # Without a connection there is no SQLSTATE; the server's own words are in its own language.
        if isinstance(error, psycopg.errors.InvalidCatalogName) or f'"{make_url(url).database}"' in str(error):
            return False
        raise UnavailableError("storage.unavailable") from error
    return bool(row and row[0])


def prepare(office: str, url: str) -> None:
    """Make the sandbox if there is none, and bring its schema up to date.

    Parameters
    ----------
    office
        Address of the office's own database, which is copied.
    """
    with psycopg.connect(dsn(office), autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        is_new = not exists(url)
        if is_new:
            _create(keeper, url)
        if is_new or migrations.current(url) != migrations.head():
            _migrate(url)
            if is_new:
                _copy(office, url)
            # The clock comes last: it is what says that the sandbox is there.
            _shape(url)


def refresh(office: str, url: str) -> None:
    """Make the sandbox anew from the office of today: its cases go, its keys stay."""
    prepare(office, url)
    kept = {
        table: _read(url, table, columns)
        for table, columns in (("dispatch.channel", _columns(url, "dispatch", "channel")),)
    }
    keys = _read(url, "api.api_key", names := _columns(url, "api", "api_key"))
    with psycopg.connect(dsn(office), autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        keeper.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(str(make_url(url).database)))
        )
    prepare(office, url)
    with psycopg.connect(dsn(url)) as connection:
        _write(connection, "dispatch.channel", _columns(url, "dispatch", "channel"), kept["dispatch.channel"])
        _write(connection, "api.api_key", names, keys)
        _advance_sequences(connection)
        connection.execute(
            "INSERT INTO sandbox.clock (channel) SELECT DISTINCT channel_code FROM api.api_key ON CONFLICT DO NOTHING"
        )


def _create(keeper: Connection, url: str) -> None:
    name = str(make_url(url).database)
    found = keeper.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    if found is None:
        try:
            keeper.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise UnavailableError("sandbox.may_not_create", database=name) from error


def _migrate(url: str) -> None:
    """Bring the schema up to date with the real clock in force: defaults keep the function they were made with."""
    name = sql.Identifier(str(make_url(url).database))
    with psycopg.connect(dsn(url), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} RESET search_path").format(name))
    migrations.upgrade(url)


def _shape(url: str) -> None:
    name = sql.Identifier(str(make_url(url).database))
    with psycopg.connect(dsn(url), autocommit=True) as connection:
        connection.execute(_SHAPE.read_bytes())
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = sandbox, pg_catalog, public").format(name))


def _copy(office: str, url: str) -> None:
    with psycopg.connect(dsn(office)) as source, psycopg.connect(dsn(url)) as target:
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        rows = target.execute(_TABLES.encode(), (sorted(_COPIED),)).fetchall()
        tables = {name: columns for name, _, columns in rows}
        order = list(TopologicalSorter({name: set(needs) & _COPIED for name, needs, _ in rows}).static_order())
        # The triggers ran when the office wrote this; published cells may not be written here either.
        for table in order:
            target.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(_name(table)))
        # What the schema was made with goes; then comes what the office made of it.
        for table in reversed(order):
            target.execute(sql.SQL("DELETE FROM {}").format(_name(table)))
        for table in order:
            columns = sql.SQL(", ").join(sql.Identifier(column) for column in tables[table])
            give = sql.SQL("COPY {} ({}) TO STDOUT (FORMAT BINARY)").format(_name(table), columns)
            take = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(_name(table), columns)
            with source.cursor().copy(give) as giving, target.cursor().copy(take) as taking:
                for piece in giving:
                    taking.write(piece)
            # Foreign keys are looked at now: a table with triggers to run cannot be altered.
            target.execute("SET CONSTRAINTS ALL IMMEDIATE")
            target.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(_name(table)))
        _advance_sequences(target)
        target.commit()
        target.autocommit = True
        target.execute("ANALYZE")


def _advance_sequences(connection: Connection) -> None:
    """Let each table's numbers go on after the highest that was copied."""
    found = connection.execute(
        "SELECT a.attrelid::regclass::text, a.attname, pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)"
        "  FROM pg_attribute AS a JOIN pg_class AS r ON r.oid = a.attrelid"
        "  JOIN pg_namespace AS n ON n.oid = r.relnamespace"
        " WHERE n.nspname IN ('geo', 'dispatch', 'api') AND a.attidentity <> ''"
    ).fetchall()
    for table, column, sequence in found:
        highest = sql.SQL("SELECT setval({}, coalesce(max({}), 0) + 1, false) FROM {}").format(
            sql.Literal(sequence), sql.Identifier(column), _name(table)
        )
        connection.execute(highest)


def _columns(url: str, schema: str, table: str) -> list[str]:
    with psycopg.connect(dsn(url)) as connection:
        rows = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
            " AND is_generated = 'NEVER' ORDER BY ordinal_position",
            (schema, table),
        ).fetchall()
    return [row[0] for row in rows]


def _read(url: str, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    with psycopg.connect(dsn(url)) as connection:
        return connection.execute(sql.SQL("SELECT {} FROM {}").format(names, _name(table))).fetchall()


def _write(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    values = sql.SQL(", ").join(sql.Placeholder() for _ in columns)
    put = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(_name(table), names, values)
    connection.cursor().executemany(put, list(rows))


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split(".", 1))
