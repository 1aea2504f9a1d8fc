"""Schema revisions: where they are, and how to move a database between them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine, make_url

from geo.errors import GridwardError

_HERE: Final = Path(__file__).resolve().parent
# The wheel carries the folder inside this package; in the source tree it stands beside it.
SCRIPTS: Final = _HERE / "_migrations" if (_HERE / "_migrations").is_dir() else _HERE.parent / "alembic"


class NewerSchemaError(GridwardError):
    """The database was migrated by a newer Gridward; running on it could lose data, so nothing is touched."""

    def __init__(self, *, revision: str) -> None:
        super().__init__("migration.newer_schema", revision=revision)


def head() -> str:
    """Return the revision this program needs."""
    revision = ScriptDirectory(str(SCRIPTS)).get_current_head()
    assert revision is not None, "alembic/versions is empty"
    return revision


def current(url: str) -> str | None:
    """Return the revision a database is at, or None when it has never been migrated."""
    engine = create_engine(_driver(url), poolclass=NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_known(revision: str) -> bool:
    """Tell whether this program has that revision (an unknown one was written by a newer program)."""
    try:
        return ScriptDirectory(str(SCRIPTS)).get_revision(revision) is not None
    except CommandError:
        return False


def upgrade(url: str, revision: str = "head") -> bool:
    """Bring a database to a revision; two processes that do it at once wait for each other.

    Returns
    -------
    bool
        False when the database was there already (then nothing is locked).

    Raises
    ------
    NewerSchemaError
        The database knows a revision that this program does not.
    """
    found = current(url)
    if found is not None and not is_known(found):
        raise NewerSchemaError(revision=found)
    if revision == "head" and found == head():
        return False
    command.upgrade(_config(url), revision)
    return True


def downgrade(url: str, revision: str) -> None:
    """Take revisions back (``base`` takes back all of them, with all data)."""
    command.downgrade(_config(url), revision)


def check(url: str) -> None:
    """Compare the tables in code with the migrated database.

    Raises
    ------
    alembic.util.CommandError
        They differ; the message lists how.
    """
    command.check(_config(url))


def _config(url: str) -> Config:
    config = Config()
    # No interpolation: both a path and a password may hold a percent sign.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["url"] = _driver(url)
    return config


def _driver(url: str) -> str:
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
