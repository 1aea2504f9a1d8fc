"""Named SQL files: long or plan-critical statements live as ``sql/<name>.sql`` beside this module."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def statement(name: str) -> str:
    """Return the text of ``sql/<name>.sql``; read once per process."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")
