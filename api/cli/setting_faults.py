"""Settings that cannot be taken, told by name and with what they may be; no value that could be a secret is shown."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import ValidationError

from api.cli.speech import language, t
from api.errors import message_of, shape_faults
from api.settings import Settings

_BOUNDS: Final = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
_CHOICE: Final = re.compile(r"\^\(([\w|]+)\)\$")


def setting_faults(error: ValidationError) -> str:
    """Return a line that says how many settings are wrong, and one for each: its name, and what it may be."""
    items = error.errors()
    lines = [t("cli.settings.faults", count=len(items))]
    for item, fault in zip(items, shape_faults(items), strict=False):
        key = str(item["loc"][0]) if item["loc"] else ""
        name = f"{Settings.model_config.get('env_prefix', '')}{key}".upper()
        code, params = fault.code, dict(fault.params) | {"field": name}
        choice = _CHOICE.fullmatch(str((item.get("ctx") or {}).get("pattern", "")))
        if choice:
            code, params["expected"] = "request.not_one_of", choice[1].replace("|", ", ")
        # The whole range, not only the end of it that was passed.
        bounds = _range_of(key)
        if code == "request.out_of_range" and bounds:
            params["bound"] = bounds
        said = message_of(language(), code, params)
        if bounds and code != "request.out_of_range":
            said += t("cli.settings.range", bound=bounds)
        lines.append(f"  {said}")
    lines.append(t("cli.settings.where"))
    return "\n".join(lines)


def _range_of(key: str) -> str:
    field = Settings.model_fields.get(key)
    metadata: list[Any] = field.metadata if field else []
    found = ((sign, getattr(each, name, None)) for name, sign in _BOUNDS for each in metadata)
    return ", ".join(f"{sign} {value}" for sign, value in found if value is not None)
