"""Named SQL files: long or plan-critical statements live as ``sql/<name>.sql`` beside this module."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from dispatch.storage.standings import KEPT_LADDER, WHOLE_PAYLOAD

_EXPRESSIONS: Final = {"{kept_ladder}": KEPT_LADDER, "{whole_payload}": WHOLE_PAYLOAD}


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
    """Return the text of ``sql/<name>.sql``, with the expressions that others use as well; read once per process."""
    text = (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    for word, expression in _EXPRESSIONS.items():
        text = text.replace(word, expression)
    return text
