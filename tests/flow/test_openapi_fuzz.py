"""Every operation of the OpenAPI document, fed with generated input: no 5xx, and every answer fits its schema."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.builders import District
from tests.flow.conftest import ALL_SCOPES

ROOT = Path(__file__).resolve().parents[2]
#: A stream never ends; pages and tiles have tests of their own.
LEFT_OUT = r"^/(v1/stream|maps|tiles|metrics)"
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest.fixture
async def service(district: District, database: str, make_key: object) -> object:
    """Give address and key of a server in a process of its own; the generator below is synchronous."""
    key = await make_key(scopes=ALL_SCOPES)  # type: ignore[operator]
    for url in _serve(database):
        yield url, key


def _serve(database: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(port)]
    environment = os.environ | {"GRIDWARD_DATABASE_URL": database}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).read()
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def test_no_generated_request_breaks_the_service(service: tuple[str, str]) -> None:
    url, key = service
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json").exclude(path_regex=LEFT_OUT)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 8
    for operation in operations:

        @settings(
            max_examples=25,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def attack(case: schemathesis.Case) -> None:
            if isinstance(case.query, dict) and case.query.get("wait"):
                case.query["wait"] = 0  # waiting for events is right, and not what is tested here
            response = case.call(headers={"Authorization": f"Bearer {key}"})
            case.validate_response(response, checks=list(CHECKS))

        attack()
