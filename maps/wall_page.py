"""What the wall display is given when it is rendered. Pure."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

from maps.i18n import Locale, catalogue
from maps.own_files import STATIC

__all__ = ["files_version", "wall_context"]

_FILES: Final = ("tokens.css", "wall/wall.css", "wall/main.js", "wall/picture.js")


def wall_context(locale: Locale, *, time_zone: str, root: str, is_light: bool) -> dict[str, Any]:
    """Return the template context of ``wall.html``: texts, zone and build, nothing of anybody."""
    prefixes = ("wall.", "light.", "console.time.", "console.brand")
    return {
        "locale": locale,
        "root": root,
        "theme": "light" if is_light else "dark",
        "texts": {key: text for key, text in catalogue(locale).items() if key.startswith(prefixes)},
        "config": {"time_zone": time_zone, "build": files_version()},
    }


@cache
def files_version() -> str:
    """Digest of the page's files: a display that has run for weeks loads itself anew when it changes."""
    digest = hashlib.sha256()
    for name in _FILES:
        digest.update((STATIC / name).read_bytes())
    return digest.hexdigest()[:16]
