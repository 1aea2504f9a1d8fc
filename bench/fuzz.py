"""Every operation of the OpenAPI document, fed with generated input: no 5xx, and every answer fits its schema.

Schemathesis makes requests from the document, good ones and broken ones; a server in a process of its own answers them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from api.accounts.keys import create_key
from api.accounts.roles import Scope
from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench.profile import Profile
from bench.report import Result
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit

__all__ = ["FuzzFigures", "attack", "serving"]

_ROOT: Final = Path(__file__).resolve().parents[1]
#: A stream never ends; pages and tiles have tests of their own; without a worker its health is 503, as documented.
_LEFT_OUT: Final = r"^/(v1/stream|maps|tiles|metrics|healthz/worker|readyz)"
_MOST_NAMED: Final = 20
#: Longer than any statement may take. Units: seconds.
_PATIENCE_S: Final = 30.0


@dataclass(slots=True)
class FuzzFigures:
    """What came of it; `failures` names the operation, the check and what was sent."""

    operations: int = 0
    requests: int = 0
    server_errors: int = 0
    violations: int = 0
    failures: list[str] = field(default_factory=list)


@benchmark
def fuzz(profile: Profile) -> Iterator[Result]:
    """Count answers of 500 and above, and answers that do not fit the published schema."""
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        key = asyncio.run(_prepare(url, profile))
        with serving(url) as address:
            figures = attack(address, key, examples=200 if profile.full else 4, seed=profile.seed)
    note = "; ".join(figures.failures[:_MOST_NAMED]) or f"{figures.operations} operations"
    yield Result.none_of("fuzz-5xx", figures.server_errors, figures.requests, note=note)
    yield Result.none_of("fuzz-schema", figures.violations, figures.requests, note=note)


async def _prepare(url: str, profile: Profile) -> str:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    try:
        await load_demo(engine, seed=profile.seed, scale=0.002)
        async with write_unit(engine) as unit:
            return await create_key(unit, "fuzz", tuple(Scope))
    finally:
        await engine.dispose()


def attack(address: str, key: str, *, examples: int, seed: int = 0, only: str | None = None) -> FuzzFigures:
    """Send generated requests to every operation.

    Parameters
    ----------
    examples
        Requests per operation, more or less.
    only
        Regular expression of the paths; None takes all.
    """
    import requests
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.failures import Failure, FailureGroup
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    figures = FuzzFigures()
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json").exclude(path_regex=_LEFT_OUT)
    if only is not None:
        schema = schema.include(path_regex=only)
    operations: list[Any] = list(schema.get_all_operations())
    for found in operations:
        operation = found.ok()
        figures.operations += 1

        @seeded(seed)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def send(case: Any) -> None:
            if isinstance(case.query, dict) and case.query.get("wait"):
                case.query["wait"] = 0  # waiting for events is right, and not what is looked for here
            figures.requests += 1
            try:
                response = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=_PATIENCE_S)
            except requests.RequestException as error:
                figures.server_errors += 1
                figures.failures.append(f"{case.method} {case.path}: {type(error).__name__}")
                return
            figures.server_errors += response.status_code >= 500
            try:
                case.validate_response(response, checks=checks)
            except (Failure, FailureGroup) as error:
                figures.violations += response.status_code < 500
                first = str(error).strip().splitlines()[:3]
                figures.failures.append(f"{case.method} {case.path} → {response.status_code}: {' '.join(first)}"[:600])

        send()
    return figures


@contextmanager
def serving(database_url: str, *, log: Path | None = None, **settings: str) -> Iterator[str]:
    """Serve in a process of its own on a free loopback port, without a limit per channel.

    Parameters
    ----------
    log
        Where what it says is kept; else it goes where ours goes.
    settings
        Further variables of its environment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = (
        os.environ
        | {
            "GRIDWARD_DATABASE_URL": database_url,
            "GRIDWARD_PORT": str(port),
            "GRIDWARD_LOG_LEVEL": "error",
            "GRIDWARD_CHANNEL_RATE": "",
        }
        | settings
    )
    # What `gridward serve` runs, but for its look at whether the cluster is durable: here nothing has to outlive a run.
    start = (
        "from api.cli.logs import configure_logs; from api.serving import make_server;"
        "from api.settings import Settings; settings = Settings(); configure_logs(settings);"
        "make_server(settings).run()"
    )
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(log.open("wb")) if log is not None else None
        server = subprocess.Popen([sys.executable, "-c", start], cwd=_ROOT, env=environment, stderr=said, stdout=said)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).read()
                break
            except (urllib.error.URLError, ConnectionError):
                if server.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the server did not start") from None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)
