"""Named SQL files: long or plan-critical statements live as ``sql/<name>.sql`` beside this module."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def raw_statement(name: str, *parameters: str) -> bytes:
    """Return the text with the server's own placeholders for these parameters, in this order.

    For a raw cursor: the driver reads a long text anew at every execution to find ``%(name)s`` in it, which costs more
    than the statement's own round trip.
    """
    text = statement(name)
    for place, parameter in enumerate(parameters, start=1):
        text = text.replace(f"%({parameter})s", f"${place}")
    return text.encode()


@cache
def statement(name: str) -> str:
    """Return the text of ``sql/<name>.sql``; read once per process."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
