"""What the framework cannot know of our OpenAPI document: the key, the problem document, answers before any route."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from api.schemas import ProblemOut

__all__ = ["describe"]

_SCHEMA: Final = "#/components/schemas/{model}"
_PROBLEM: Final = "Problem"
_PROBLEM_JSON: Final = "application/problem+json"
#: Said before any route is asked: no HTTP or no UTF-8, too often, a head too large, a database that is away …
_EVERYWHERE: Final = ("400", "429", "431", "503")
#: … and of a body: too slow, too large, packed.
_WITH_BODY: Final = ("408", "413", "415", "422")
#: Of an address with a part to fill in: an empty part makes it another one, which is not there or does something else.
_WITH_PARTS: Final = ("404", "405")
#: The framework's own shapes of a refusal, which we never answer.
_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Complete the document that ``app`` serves; made once, at the first question for it."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        components = document.setdefault("components", {})
        if _PROBLEM not in components.get("responses", {}):
            _complete(document, components)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any], components: dict[str, Any]) -> None:
    components.setdefault("securitySchemes", {})["key"] = {"type": "http", "scheme": "bearer"}
    schemas = components.setdefault("schemas", {})
    schemas["ProblemOut"] = ProblemOut.model_json_schema(ref_template=_SCHEMA)
    content = {_PROBLEM_JSON: {"schema": {"$ref": _SCHEMA.format(model="ProblemOut")}}}
    components["responses"] = {_PROBLEM: {"description": "Problem", "content": content}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/"):
                operation["security"] = [{"key": []}, {}]
            _answers(operation, has_parts="{" in path)
            for media in operation.get("requestBody", {}).get("content", {}).values():
                _lift(media.get("schema", {}), schemas)
    _lift(schemas["ProblemOut"], schemas)
    for name in _NOT_OURS:
        schemas.pop(name, None)


def _answers(operation: dict[str, Any], *, has_parts: bool) -> None:
    """Name the problems that any operation may answer; what a route says of a status itself stays."""
    responses = operation["responses"]
    own = {"$ref": f"#/components/responses/{_PROBLEM}"}
    if "application/json" in responses.get("422", {}).get("content", {}):
        responses["422"] = own
    of_body = _WITH_BODY if "requestBody" in operation else ()
    for status in (*_EVERYWHERE, *of_body, *(_WITH_PARTS if has_parts else ())):
        responses.setdefault(status, own)


def _lift(schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Put the parts that a schema brings along where its references look for them."""
    for name, part in schema.pop("$defs", {}).items():
        schemas.setdefault(name, part)
