"""An acknowledged commit survives a power cut: the three settings that would break that are refused by name."""

from __future__ import annotations

from typing import Any

import psycopg

from geo.storage.cluster_errors import UnsafeSettingsError

# Read from pg_settings of the session itself, so that ALTER DATABASE … SET and ALTER ROLE … SET are seen as well.
_QUERY = "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"


def check_durability(connection: psycopg.Connection[Any]) -> None:
    """Refuse a server that runs with ``fsync``, ``full_page_writes`` or ``synchronous_commit`` off.

    Raises
    ------
    UnsafeSettingsError
        Names every setting that is off.
    """
    rows = connection.execute(_QUERY).fetchall()
    unsafe = {str(name): str(value) for name, value in rows if value == "off"}
    if unsafe:
        raise UnsafeSettingsError(unsafe)
