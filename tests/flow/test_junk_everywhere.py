"""Every parameter and every field of the OpenAPI document, spoiled one by one: the refusal names it and the way out.

The generator of `test_openapi_fuzz` looks for what nobody thought of; here is what everybody should have thought of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.flow.conftest import Client

_WORDS = ("zz", "-1", "99999999999999999999", "%00", "2026-01-01T00:00:00", "")
_VALUES: tuple[Any, ...] = (
    *(None, "zz", "\x00", "\ud800", "", -1, 10**30, 1.5, True, "2026-01-01T00:00:00", "x" * 5000),
    *([], {}, [None], ["\x00"], [{}], {"\x00": "\x00"}),
)
_METHODS = ("get", "post", "put", "patch", "delete")
_NOBODY = "00000000-0000-7000-8000-000000000000"


async def test_whatever_is_spoiled_is_named_with_the_way_out(client: Client) -> None:
    document = (await client.get("/openapi.json")).json()
    failures, asked = [], 0
    for method, path, parts in _requests(document):
        answer = await client.request(method, path, **parts)
        asked += 1
        said = json.loads(parts["content"]) if "content" in parts else None
        failures += [f"{method} {path} {said}: {why}" for why in _wrong_about(answer.status_code, answer.content, said)]
    assert not failures, "\n".join(map(ascii, failures))
    assert asked > 4000


def _wrong_about(status: int, body: bytes, said: Any) -> Iterator[str]:
    if status >= 500:
        yield str(status)
    if status not in (400, 422):
        return
    problem = json.loads(body)
    for fault in problem.get("errors", [problem]):
        if fault["code"] == "request.bad_value":
            yield f"says only that {fault['pointer']} is invalid"
        if not fault["detail"].strip() or "{" in fault["detail"].replace("{}", ""):
            yield f"is unreadable: {fault['detail']}"
        if said is not None and not _is_place(fault.get("pointer", ""), said):
            yield f"{fault['pointer']} is nowhere in the body"


def _is_place(pointer: str, said: Any) -> bool:
    """Whether a pointer leads into a body, or to a field that its last object lacks; or means no body at all."""
    if pointer and isinstance(said, dict) and pointer.split("/")[1] not in said and pointer.count("/") == 1:
        return True  # missing, or a parameter of the address
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(said, dict):
            said = said.get(name, {})
        elif isinstance(said, list) and name.isdigit() and int(name) < len(said):
            said = said[int(name)]
        else:
            return False
    return True


def _requests(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method not in operations or "event-stream" in json.dumps(operations[method]["responses"]):
                continue
            parameters = operations[method].get("parameters", [])
            schema = _schema_of(document, operations[method])
            empty = {"json": {}} if schema is not None else {}
            for spoiled in parameters:
                if spoiled["in"] in ("path", "query"):
                    for word in _WORDS:
                        yield method, _address(path, parameters, spoiled, word), empty
            if schema is not None:
                good = (schema.get("examples") or [{}])[0]
                for body in (*_VALUES, *({**good, name: value} for name in schema["properties"] for value in _VALUES)):
                    headers = {"Content-Type": "application/json"}
                    yield method, _address(path, parameters), {"content": json.dumps(body), "headers": headers}


def _schema_of(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any] | None:
    """Of an operation's JSON body, if that is an object with fields."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].split("/")[-1]]
    return schema if "properties" in schema else None


def _address(path: str, parameters: list[dict[str, Any]], spoiled: dict[str, Any] | None = None, word: str = "") -> str:
    for one in parameters:
        if one["in"] == "path":
            schema = one["schema"]
            good = "1" if schema.get("type") == "integer" else _NOBODY if schema.get("format") == "uuid" else "xx"
            path = path.replace(f"{{{one['name']}}}", word or good if one is spoiled else good)
    return f"{path}?{spoiled['name']}={word}" if spoiled is not None and spoiled["in"] == "query" else path
