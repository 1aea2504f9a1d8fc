"""Which version of a thing somebody looked at before changing it: the header ``If-Match``."""

from __future__ import annotations

import re
from typing import Final

from geo.errors import BadInputError

__all__ = ["read_seen", "require_seen"]

_VERSION: Final = re.compile(r'^(?:W/)?"?(\d{1,9})(?:-[0-9a-f]{1,64})?"?$')


def require_seen(if_match: str | None) -> int:
    """The version named.

    Raises
    ------
    BadInputError
        ``dispatch.version_required`` without the header, ``dispatch.bad_version`` when it names none.

    Examples
    --------
    >>> require_seen('"4"'), require_seen("W/12"), require_seen('"4-0f3a"')
    (4, 12, 4)
    """
    if if_match is None:
        raise BadInputError("dispatch.version_required", pointer="/If-Match")
    found = _VERSION.match(if_match)
    if found is None:
        raise BadInputError("dispatch.bad_version", pointer="/If-Match", version=if_match[:40])
    return int(found.group(1))


def read_seen(if_match: str | None) -> int | None:
    """The version named; None where it does not matter: without the header, or with ``*``."""
    return None if if_match is None or if_match.strip() == "*" else require_seen(if_match)
