"""Every operation of the OpenAPI document, fed with generated input: no 5xx, and every answer fits its schema.

Schemathesis makes requests from the document in all its phases: the document's own examples, every border of every
schema once, good and broken ones by chance, and chains of operations that follow one another. A server in a process of
its own answers them; what the generator is told of cases, cells and codes is really there, so that it comes past the
first question.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from api.accounts.keys import create_key
from api.accounts.roles import Scope
from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench.profile import Profile
from bench.report import Result
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit

__all__ = ["FuzzFigures", "attack", "known_words", "serving"]

_ROOT: Final = Path(__file__).resolve().parents[1]
#: A stream never ends; pages and tiles have tests of their own; without a worker its health is 503, as documented.
_LEFT_OUT: Final = r"^/(v1/stream|maps|tiles|metrics|healthz/worker|readyz)"
#: With these the generator would revoke the key it shows, and hear 401 ever after: they get a key of their own.
_OF_KEYS: Final = r"^/v1/keys/\{prefix\}"
_CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
_MOST_NAMED: Final = 20
#: Longer than any statement may take. Units: seconds.
_PATIENCE_S: Final = 30
#: How often a name in the document that we know words for gets one of them.
_KNOWN_PROBABILITY: Final = 0.6
#: Names in paths and queries → what there is of them.
_WORDS: Final = {
    "ref case service_request_id q": "SELECT ref FROM dispatch.dispatch_case WHERE closed_at IS NULL LIMIT 12",
    "cell code": "SELECT code FROM geo.cell WHERE level > 2 LIMIT 12",
    "category service_code": "SELECT code FROM dispatch.category LIMIT 12",
    "post": "SELECT id FROM dispatch.post LIMIT 12",
    "department": "SELECT code FROM dispatch.department LIMIT 12",
    "person": "SELECT id FROM dispatch.person LIMIT 12",
    "year": "SELECT DISTINCT extract(year FROM reported_at)::int FROM dispatch.dispatch_case LIMIT 3",
    "month": "SELECT DISTINCT to_char(reported_at, 'YYYY-MM') FROM dispatch.dispatch_case LIMIT 6",
    "collection": "SELECT unnest(ARRAY['cells', 'cases'])",
    "form suffix": "SELECT unnest(ARRAY['json', 'xml', 'csv', 'xlsx', 'geojson'])",
}


@dataclass(slots=True)
class FuzzFigures:
    """What came of it; `failures` names the operation and the check."""

    operations: int = 0
    requests: int = 0
    server_errors: int = 0
    violations: int = 0
    #: Operations that did what they are for at least once.
    reached: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


@benchmark
def fuzz(profile: Profile) -> Iterator[Result]:
    """Count answers of 500 and above, and answers that do not fit the published schema."""
    phases, examples = ("examples,coverage,fuzzing,stateful", 120) if profile.full else ("examples,fuzzing", 4)
    figures = FuzzFigures()
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        key = asyncio.run(_prepare(url, profile))
        words = known_words(url)
        with serving(url) as address:
            attack(figures, address, key, phases=phases, examples=examples, seed=profile.seed, words=words)
            attack(figures, address, _another_key(url), only=_OF_KEYS, phases=phases, examples=examples, words=words)
    note = "; ".join(figures.failures[:_MOST_NAMED]) or (
        f"{figures.operations} operations, {len(figures.reached)} of them answered 2xx as well"
    )
    yield Result.none_of("fuzz-5xx", figures.server_errors, figures.requests, note=note)
    yield Result.none_of("fuzz-schema", figures.violations, figures.requests, note=note)


async def _prepare(url: str, profile: Profile) -> str:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    try:
        await load_demo(engine, seed=profile.seed, scale=0.002)
    finally:
        await engine.dispose()
    return await _make_key(url)


async def _make_key(url: str) -> str:
    engine = create_engine(url, statement_timeout_s=60)
    try:
        async with write_unit(engine) as unit:
            return await create_key(unit, "fuzz", tuple(Scope))
    finally:
        await engine.dispose()


def _another_key(url: str) -> str:
    return asyncio.run(_make_key(url))


def known_words(url: str) -> dict[str, list[str]]:
    """What there is in a database of what paths and queries name, by the name."""
    with psycopg.connect(dsn(url), autocommit=True) as connection:
        found = {names: [str(row[0]) for row in connection.execute(query)] for names, query in _WORDS.items()}
    return {name: words for names, words in found.items() if words for name in names.split()}


def attack(
    figures: FuzzFigures,
    address: str,
    key: str,
    *,
    phases: str,
    examples: int,
    seed: int = 0,
    only: str | None = None,
    words: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Send generated requests to every operation, and add to the figures what came of it.

    Parameters
    ----------
    phases
        Of Schemathesis, separated by commas.
    examples
        Requests per operation in the phases of chance.
    only
        Regular expression of the paths; None takes all but those that could revoke the key.
    words
        Values to try, by the name of a parameter.

    Raises
    ------
    RuntimeError
        The run did not come to its end, or lost its key: then most answers were 401 and prove nothing.
    """
    paths = ["--include-path-regex", only] if only else ["--exclude-path-regex", f"{_LEFT_OUT}|{_OF_KEYS}"]
    directory = Path(tempfile.mkdtemp(prefix="gridward-fuzz-"))
    report = directory / "report.json"
    (directory / "schemathesis.toml").write_text(_configuration(words or {}), encoding="utf-8")
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(directory / "schemathesis.toml"), "run", f"{address}/openapi.json"),
        *("--header", f"Authorization: Bearer {key}", *paths, "--checks", ",".join(_CHECKS)),
        *("--phases", phases, "--max-examples", str(examples), "--seed", str(seed), "--workers", "2"),
        *("--no-shrink", "--request-timeout", str(_PATIENCE_S), "--no-color"),
        *("--report", "json", "--report-json-path", str(report)),
    ]
    try:
        run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"schemathesis: {run.stdout[-2000:]}{run.stderr[-2000:]}")
        _add(figures, json.loads(report.read_bytes()), run.stdout)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if not only:
        _ask(address, key)


def _configuration(words: Mapping[str, Sequence[str]]) -> str:
    lines = []
    for number, values in enumerate(words.values()):
        lines += [f"[dictionaries.w{number}]", f"values = {json.dumps(list(values))}", ""]
    lines.append("[parameters]")
    for number, name in enumerate(words):
        for place in ("path", "query"):
            chosen = f'{{ dictionary = "w{number}", probability = {_KNOWN_PROBABILITY} }}'
            lines.append(f'"{place}.{name}" = {chosen}')
    return "\n".join(lines) + "\n"


def _add(figures: FuzzFigures, report: Mapping[str, Any], said: str) -> None:
    if not report["complete"] or report["errors"]:
        raise RuntimeError(f"schemathesis did not come to its end: {report['errors']} {said[-2000:]}")
    figures.operations += report["operations"]["tested"]
    figures.requests += report["test_cases"]["generated"]
    figures.reached |= {
        operation
        for operation, phases in report["valid_rates"].items()
        if any(counts["accepted"] for counts in phases.values())
    }
    for failure in report["failures"]:
        # Of several of one kind in one operation only one is kept; each is one too many.
        if failure["type"] == "ServerError":
            figures.server_errors += failure["count"]
        else:
            figures.violations += failure["count"]
        figures.failures.append(f"{failure['title']}: {', '.join(failure['operations'])}"[:600])
    if report["failures"]:
        figures.failures += re.findall(r"^    curl .*", said, re.MULTILINE)[:_MOST_NAMED]


def _ask(address: str, key: str) -> None:
    request = urllib.request.Request(f"{address}/v1/cases?limit=1", headers={"Authorization": f"Bearer {key}"})
    try:
        urllib.request.urlopen(request, timeout=_PATIENCE_S).read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"the key is worth nothing any more: {error.code}") from error


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
