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
