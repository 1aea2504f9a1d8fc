"""Schema revisions on real PostGIS: up, down, up again, and equal to the tables in code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from api import migrations
from geo.storage.engine import dsn

ROOT = Path(__file__).resolve().parents[2]
_OURS = (
    "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname IN ('geo', 'dispatch', 'api', 'reporter', 'audit') AND c.relkind IN ('r', 'p', 'v', 'S')"
)


def _count(url: str) -> int:
    with psycopg.connect(dsn(url)) as connection:
        row = connection.execute(_OURS).fetchone()
    assert row is not None
    count: int = row[0]
    return count


def test_up_down_up_ends_where_the_code_is(empty_database: str) -> None:
    """A way back exists, leaves nothing, and the way up again reaches what the code describes."""
    assert migrations.current(empty_database) is None
    assert migrations.upgrade(empty_database) is True
    assert migrations.current(empty_database) == migrations.head()
    there = _count(empty_database)
    assert there > 10
    migrations.downgrade(empty_database, "base")
    assert _count(empty_database) == 0
    assert migrations.upgrade(empty_database) is True
    assert _count(empty_database) == there
    migrations.check(empty_database)
    assert migrations.upgrade(empty_database) is False


def test_two_starts_at_once_migrate_once(empty_database: str) -> None:
    """The second waits for the first and finds nothing left to do."""
    code = "import sys; from api.migrations import upgrade; upgrade(sys.argv[1])"
    both = [subprocess.Popen([sys.executable, "-c", code, empty_database], cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert migrations.current(empty_database) == migrations.head()


def test_a_newer_schema_is_refused_untouched(database: str) -> None:
    """A revision that this program has never heard of comes from a newer one."""
    with psycopg.connect(dsn(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrations.NewerSchemaError):
        migrations.upgrade(database)
    assert migrations.current(database) == "9999"


def test_versions_under_names_of_code_systems_that_nobody_knows_may_be_drawn_on(empty_database: str) -> None:
    """Also one that is valid now and otherwise never changes."""
    migrations.upgrade(empty_database)
    migrations.downgrade(empty_database, "0018")
    with psycopg.connect(dsn(empty_database)) as connection:
        connection.execute(
            "INSERT INTO geo.jurisdiction (code, time_zone, metric_srid) VALUES ('410100', 'Asia/Shanghai', 4547)"
        )
        connection.execute(
            "INSERT INTO geo.grid_version (jurisdiction, number, name, code_system, source, status, valid_from)"
            " VALUES ('410100', 1, '', 'gb15', '', 'published', '2026-01-01T00:00Z'),"
            " ('410100', 2, '', 'ours', '', 'draft', NULL), ('410100', 3, '', 'cn20', '', 'draft', NULL)"
        )
    migrations.upgrade(empty_database)
    with psycopg.connect(dsn(empty_database)) as connection:
        rows = connection.execute("SELECT number, code_system FROM geo.grid_version ORDER BY number").fetchall()
    assert rows == [(1, "cn15"), (2, "free"), (3, "cn20")]
