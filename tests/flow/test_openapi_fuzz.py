"""Every operation of the OpenAPI document, fed with generated input: no 5xx, and every answer fits its schema."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from api.accounts.roles import Scope
from bench.fuzz import FuzzFigures, attack, known_words, serving
from tests.builders import District
from tests.flow.conftest import ALL_SCOPES

Made = Callable[..., Awaitable[str]]


@pytest.fixture
async def key(district: District, make_key: Made) -> str:
    """Give a key that may do everything; the generator is synchronous."""
    return await make_key(scopes=tuple(Scope(scope) for scope in ALL_SCOPES))


def test_no_generated_request_breaks_the_service(key: str, database: str) -> None:
    figures = FuzzFigures()
    with serving(database) as address:
        attack(figures, address, key, phases="examples,fuzzing", examples=3, words=known_words(database))
    assert figures.failures == []
    assert figures.operations >= 190
    assert figures.requests >= 500
    assert len(figures.reached) >= 20
