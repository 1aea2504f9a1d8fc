"""The application in a process of its own, over the same database: what another process of the office sees."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

__all__ = ["second_process"]

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 60.0


@asynccontextmanager
async def second_process(database: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application from another process; give a client that speaks to it over the network."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--log-level", "warning"),
            *("--fd", str(listening.fileno())),
            cwd=_ROOT,
            env=os.environ | {"GRIDWARD_DATABASE_URL": database},
            pass_fds=(listening.fileno(),),
        )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "en"},
            timeout=_PATIENCE_S,
            trust_env=False,
        ) as client:
            # The socket listens already: the first request waits until the application is up.
            assert (await client.get("/v1/locate?lon=0&lat=0&coord_sys=wgs84")).status_code == 200
            yield client
    finally:
        process.terminate()
        await process.wait()
