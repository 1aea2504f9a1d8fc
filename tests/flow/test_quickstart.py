"""The quick start is run as it stands in the docs; so is every example of the OpenAPI document."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.fuzz import serving
from tests.builders import District
from tests.flow.conftest import ALL_SCOPES, Client

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")


@pytest.fixture
async def key(district: District, make_key: Callable[..., Awaitable[str]]) -> str:
    """Give a key that may do everything."""
    return await make_key(scopes=ALL_SCOPES)


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_curl_and_python_of_the_quick_start(key: str, database: str, tmp_path: Path) -> None:
    with serving(database) as url:
        _run(url, key, tmp_path)


def _run(url: str, key: str, tmp_path: Path) -> None:
    environment = {**os.environ, "URL": url, "KEY": key}
    lines = block("bash").strip().splitlines()
    assert [line.split()[0] for line in lines] == ["curl"] * 5
    said = []
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (line, done.stderr, done.stdout)
        said.append(done.stdout)
    assert '"chain"' in said[0]
    assert '"dispatched"' in said[1]
    assert '"QS-1"' in said[2]
    assert '"case.dispatched.v1"' in said[3]
    table = (tmp_path / "cases.csv").read_bytes()
    assert table.startswith(b"\xef\xbb\xbf")
    assert b"QS-1" in table
    script = tmp_path / "quickstart.py"
    script.write_text(block("python"), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^cells: .* > ", ran.stdout, re.MULTILINE)
    assert len(re.findall(r"^found: ", ran.stdout, re.MULTILINE)) == 1
    assert "case.dispatched.v1" in ran.stdout


def resolved(node: Any, document: dict[str, Any]) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        node = document["components"]["schemas"][node["$ref"].rpartition("/")[2]]
    return node


def body_examples(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        yield content["example"]
    yield from (one["value"] for one in content.get("examples", {}).values())
    yield from resolved(content.get("schema", {}), document).get("examples", [])


def query_examples(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "query":
            continue
        beside = parameter.get("schema", {})
        schema = beside if "examples" in beside else resolved(beside, document)
        given = [parameter["example"]] if "example" in parameter else []
        given += [one["value"] for one in parameter.get("examples", {}).values()]
        given += schema.get("examples", [])
        for value in given:
            yield parameter["name"], value


async def test_every_example_of_the_document_runs(client: Client) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    ran: set[str] = set()
    for path, operations in document["paths"].items():
        if "{" in path or not path.startswith("/v1/"):
            continue
        if "get" in operations:
            for name, value in query_examples(operations["get"], document):
                needed = {one["name"] for one in operations["get"]["parameters"] if one.get("required")}
                others = {
                    other: example
                    for other, example in query_examples(operations["get"], document)
                    if other in needed and other != name
                }
                answer = await client.get(path, params={**others, name: value})
                assert answer.status_code == 200, (path, name, value, answer.text)
                ran.add(path)
        if "post" in operations:
            for body in body_examples(operations["post"], document):
                answer: httpx.Response = await client.post(path, json=body)
                # The place or the class of an example may not exist here; its shape must be right.
                assert answer.status_code < 500, (path, answer.text)
                codes = {fault["code"] for fault in answer.json().get("errors") or []}
                assert not {code for code in codes if code.startswith("request.")}, (path, answer.text)
                ran.add(path)
    assert {"/v1/reports", "/v1/cases", "/v1/events", "/v1/cells", "/v1/rates", "/v1/locate"} <= ran
