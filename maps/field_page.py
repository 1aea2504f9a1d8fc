"""What the field page is given: texts, the policy of a page that a city's app may show in a frame, its worker. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from maps.i18n import Locale, catalogue
from maps.own_files import STATIC

__all__ = ["FILES", "field_context", "field_policy", "worker_script"]

_IMPORT: Final = re.compile(r"""^\s*(?:import|export)\s[^"';]*?from\s+"(\.{1,2}/[^"]+)";""", re.MULTILINE)


def _modules(*first: str) -> list[str]:
    """The modules that some modules import, and those, and so on: a missing one would break the page offline only."""
    found: list[str] = []
    waiting = list(first)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.append(name)
        file = STATIC / name
        imported = _IMPORT.findall(file.read_text(encoding="utf-8"))
        waiting += [(file.parent / one).resolve().relative_to(STATIC).as_posix() for one in imported]
    return sorted(found)


#: Everything that the page needs without a network; the first load is these files and nothing else.
FILES: Final = (
    "theme.js",
    "icon.svg",
    "tokens.css",
    "field/field.css",
    "field/parts.css",
    *_modules("field/main.js", "field/worker.js"),
)
_PREFIXES: Final = (
    "field.",
    "state.",
    "move.",
    "leg.move.",
    "light.",
    "role.",
    "coord_sys.",
    "console.time.",
    "desk.time.",
    "console.day.",
    "console.due.",
    "console.place.",
    "console.theme",
    "console.brand",
    "account.sign_out",
)


def field_context(
    locale: Locale, *, place: str, time_zone: str, root: str, parents: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the template context of ``field.html``; nothing in it is about anybody.

    Parameters
    ----------
    parents
        Origins that may show the page in a frame, and hand it a token.
    """
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    texts = {key: text for key, text in catalogue(locale).items() if key.startswith(_PREFIXES)}
    return {
        "locale": locale,
        "other_locale": other,
        "other_language": catalogue(other)["console.language_name"],
        "root": root,
        "texts": texts,
        "config": {"place": place, "time_zone": time_zone, "parents": list(parents), "version": files_version()},
    }


def field_policy(parents: tuple[str, ...]) -> str:
    """Return the content security policy: our own files only, and frames of these parents only."""
    ancestors = " ".join(["'self'", *parents])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
        f"frame-ancestors {ancestors}"
    )


@cache
def files_version() -> str:
    """Digest of all files of the page: a new one makes phones take the new files."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((STATIC / name).read_bytes())
    for locale in ("zh-CN", "en"):
        digest.update("".join(sorted(catalogue(locale).values())).encode())
    digest.update((Path(__file__).parent / "templates" / "field.html").read_bytes())
    return digest.hexdigest()[:16]


def worker_script(root: str) -> str:
    """Return the text of the service worker: which files it keeps, and the module that does the work."""
    kept = {"version": files_version(), "root": root, "files": [f"{root}/static/{name}" for name in FILES]}
    module = json.dumps(f"{root}/static/field/worker.js")
    return f"import {{ start }} from {module};\n\nstart({json.dumps(kept)});\n"
