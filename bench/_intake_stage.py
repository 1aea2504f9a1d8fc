"""A district of the demo, a hotline's key, a server, and reports sent to it: for all that measures intake."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.accounts.keys import create_key
from api.demo.load import load_demo
from api.migrations import upgrade
from bench._http_load import Outcome, Plan, send
from bench.profile import Profile
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit

__all__ = ["Stage", "post", "prepare_stage", "rate_of", "serving"]

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all sides share."""

    url: str
    key: str
    box: tuple[float, float, float, float]
    categories: list[str]
    seconds: float
    seed: int


async def prepare_stage(url: str, profile: Profile) -> Stage:
    """Fill a database."""
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    await load_demo(engine, seed=profile.seed, scale=0.02)
    async with write_unit(engine) as unit:
        key = await create_key(unit, "bench")
        driver = await unit.driver()
        row = await (
            await driver.execute(
                "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM"
                " (SELECT ST_Extent(boundary) AS e FROM geo.cell WHERE code = '410102001') AS extent"
            )
        ).fetchone()
        rows = await (
            await driver.execute("SELECT DISTINCT category_code FROM dispatch.category_condition WHERE is_default")
        ).fetchall()
    await engine.dispose()
    assert row is not None
    return Stage(
        url=url,
        key=key,
        box=(row[0], row[1], row[2], row[3]),
        categories=sorted(code for (code,) in rows),
        seconds=10.0 if profile.full else 2.0,
        seed=profile.seed,
    )


def post(
    stage: Stage, port: int, prefix: str, clients: int, *, rate_per_s: float = 0.0, seconds: float | None = None
) -> Outcome:
    """Report for some seconds from a process of its own; a refusal is an error."""
    plan = Plan(
        port=port,
        key=stage.key,
        prefix=prefix,
        clients=clients,
        seconds=seconds or stage.seconds,
        seed=stage.seed,
        box=stage.box,
        categories=stage.categories,
        rate_per_s=rate_per_s,
    )
    return send(plan)


def rate_of(outcome: Outcome) -> float:
    """Acknowledged reports per second."""
    return outcome.acknowledged / outcome.seconds


@contextmanager
def serving(module: str, url: str) -> Iterator[int]:
    """Serve in a process of its own on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "GRIDWARD_DATABASE_URL": url,
        "GRIDWARD_PORT": str(port),
        "GRIDWARD_LOG_LEVEL": "warning",
        # One channel sends everything here; what is measured is the intake, not the limit of a channel.
        "GRIDWARD_CHANNEL_RATE": "",
    }
    arguments = ["serve"] if module == "api.cli" else []
    server = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=_ROOT, env=environment)
    try:
        _await_port(server, port)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


def _await_port(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).read()
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server did not start") from None
            time.sleep(0.1)
        else:
            return
