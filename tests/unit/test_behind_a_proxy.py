"""A reverse proxy ends https: what is said to browsers and asked of them follows `GRIDWARD_PUBLIC_URL`, no header."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from api.accounts.doorkeeper import is_own_origin
from api.limits import SecurityHeaders

_OFFICE = "https://grid.example"


def _asked(**headers: str) -> Request:
    pairs = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "scheme": "http", "headers": pairs})


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        (_OFFICE, True),
        ("http://grid.example", False),
        ("https://grid.example:8443", False),
        ("https://grid.example.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_the_offices_own_pages_by_https_are_its_own(origin: str, is_own: bool) -> None:
    assert is_own_origin(_asked(Host="grid.example", Origin=origin), _OFFICE) is is_own


def test_this_very_machine_may_be_asked_directly_beside_the_proxy() -> None:
    near = "http://127.0.0.1:8311"
    assert is_own_origin(_asked(Host="127.0.0.1:8311", Origin=near), _OFFICE)
    assert is_own_origin(_asked(Host="127.0.0.1:8311", Origin=near))
    assert not is_own_origin(_asked(Host="127.0.0.1:8311", Origin="http://127.0.0.1:9000"))
    assert is_own_origin(_asked(Host="127.0.0.1:8311"))


@pytest.mark.parametrize(("over_https", "said"), [(True, "max-age=31536000"), (False, None)])
async def test_browsers_are_told_to_stay_with_https(over_https: bool, said: str | None) -> None:
    app = SecurityHeaders(PlainTextResponse("x"), over_https=over_https)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        forged = {"X-Forwarded-Proto": "https", "Forwarded": "proto=https"}
        answer = await client.get("/", headers=forged)
    assert answer.headers.get("strict-transport-security") == said
