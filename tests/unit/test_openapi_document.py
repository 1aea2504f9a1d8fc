"""The OpenAPI document itself: every reference leads somewhere, every operation names what is answered before it."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from api.app import create_app
from api.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(database_url="postgresql+psycopg://nobody@/nowhere")).openapi()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    said = orjson.dumps(document).decode()
    named = set(re.findall(r'"#/components/(\w+)/([^"]+)"', said))
    assert len(named) > 100
    assert [name for kind, name in named if name not in document["components"][kind]] == []
    assert "HTTPValidationError" not in said


def test_every_operation_names_what_the_doors_before_it_answer(document: dict[str, Any]) -> None:
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 190
    for method, path, operation in operations:
        wanted = {"400", "429", "431", "503"} | ({"413", "415", "422"} if "requestBody" in operation else set())
        wanted |= {"404", "405"} if "{" in path else set()
        assert wanted <= operation["responses"].keys(), (method, path)
