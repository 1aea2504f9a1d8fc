"""`gridward version`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

from api.cli.speech import say
from api.migrations import head

_PYPROJECT: Final = Path(__file__).resolve().parents[2] / "pyproject.toml"


def gridward_version() -> str:
    """Return the version of the installed distribution, or of the source tree."""
    try:
        return installed("gridward")
    except PackageNotFoundError:
        import tomllib

        described = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))
        return str(described["project"]["version"])


def version() -> None:
    """Print the program's version and the schema revision it needs."""
    say(f"gridward {gridward_version()} (schema {head()})")
