"""Keys of the sandbox: made in its own database, and known by their first letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import KeyText, NewKey, issue_key
from api.accounts.roles import Scope
from api.sandbox.clock import open_clock
from api.sandbox.database import exists, prepare, url_of
from geo.errors import BadInputError, NotFoundError
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit

__all__ = ["SANDBOX_SCOPES", "as_sandbox_key", "issue_sandbox_key", "sandbox_engine"]

#: What changes the grid, the posts or the accounts would change them for all who try things out.
SANDBOX_SCOPES: Final = frozenset(
    {
        Scope.REPORTS_CREATE,
        Scope.CASES_READ,
        Scope.CASES_MOVE,
        Scope.LOCATE,
        Scope.GRID_READ,
        Scope.POSTS_READ,
        Scope.WEBHOOKS_MANAGE,
    }
)


def as_sandbox_key(text: KeyText) -> KeyText:
    """The text of a key with the letters that send it to the sandbox.

    Examples
    --------
    >>> as_sandbox_key(KeyText("gw_0a1b2c3d_secret"))
    'gwt_0a1b2c3d_secret'
    """
    return KeyText(f"gwt_{text.removeprefix('gw_')}")


@asynccontextmanager
async def sandbox_engine(database_url: str, named: str, *, make: bool = False) -> AsyncIterator[AsyncEngine]:
    """Give an engine on the sandbox's database, for keeping its keys.

    Parameters
    ----------
    make
        Make the sandbox if there is none.

    Raises
    ------
    NotFoundError
        ``sandbox.none``.
    """
    url = url_of(database_url, named)
    if make:
        await asyncio.to_thread(prepare, database_url, url)
    elif not await asyncio.to_thread(exists, url):
        raise NotFoundError("sandbox.none")
    engine = create_engine(url, pool_size=2, name="sandbox-keys")
    try:
        yield engine
    finally:
        await engine.dispose()


async def issue_sandbox_key(engine: AsyncEngine, new: NewKey, *, by: str) -> KeyText:
    """Make a key of the sandbox and, with the first one of a channel, its clock.

    Raises
    ------
    BadInputError
        ``sandbox.scope``, and what `issue_key` raises.
    """
    wrong = [scope.value for scope in new.scopes if scope not in SANDBOX_SCOPES]
    if wrong:
        known = ", ".join(sorted(scope.value for scope in SANDBOX_SCOPES))
        raise BadInputError("sandbox.scope", pointer="/scopes", scope=", ".join(wrong), known=known)
    if new.cells or new.departments:
        # The database's clock follows the channel that the policies let through, and nothing else does.
        raise BadInputError("sandbox.area", pointer="/cells" if new.cells else "/departments")
    async with write_unit(engine) as unit:
        text = await issue_key(unit, replace(new), by=by)
    await open_clock(engine, new.channel)
    return as_sandbox_key(text)
