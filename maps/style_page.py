"""The visual language as a page (`/style`): tokens read from the real style sheet, parts with the real styles. Pure.

Nothing is copied here: a token that changes in ``tokens.css`` changes on the page, and a part is a piece of markup in a
frame that loads the same style sheets as the page it belongs to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from maps.i18n import Locale, catalogue
from maps.own_files import STATIC

__all__ = ["PARTS", "Part", "Token", "contrast", "read_tokens", "style_context", "style_part_context", "swatch_sheet"]

_BLOCK: Final = re.compile(r"(:root(?:\[[^\]]*\])?)\s*\{([^}]*)\}")
_TOKEN: Final = re.compile(r"--([a-z0-9-]+):\s*([^;]+);")
_HEX: Final = re.compile(r"^#[0-9a-f]{6}$", re.IGNORECASE)
#: Readable text has 4.5 : 1 against its ground. Source: WCAG 2.2, 1.4.3.
_INKS: Final = ("ink", "ink-2", "accent", "green", "yellow-text", "red", "supervised", "suspended-text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A name of the shared language and what it is, on light and on dark ground."""

    name: str
    light: str
    dark: str

    @property
    def is_colour(self) -> bool:
        """Whether it is shown as a swatch."""
        return self.light.startswith(("#", "rgb"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a page: the style sheets it is drawn with, and how high its frame is. Units: ``height`` pixels."""

    name: str
    sheets: tuple[str, ...]
    height: int


_FIELD: Final = ("tokens.css", "style/part.css", "field/field.css", "field/parts.css")
_DESK: Final = ("tokens.css", "frame.css", "style/part.css", "console.css", "console-panel.css")
PARTS: Final = (
    Part(name="lights", sheets=_DESK, height=110),
    Part(name="buttons", sheets=_FIELD, height=360),
    Part(name="form", sheets=_FIELD, height=290),
    Part(name="rows", sheets=_FIELD, height=300),
    Part(name="table", sheets=("tokens.css", "frame.css", "style/part.css", "planner.css", "rates.css"), height=220),
    Part(name="states", sheets=_FIELD, height=520),
    Part(name="conflict", sheets=_FIELD, height=270),
    Part(name="map", sheets=_FIELD, height=260),
)


def read_tokens() -> list[Token]:
    """Return the tokens of ``tokens.css`` in its order."""
    text = re.sub(r"/\*.*?\*/", "", (STATIC / "tokens.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    blocks: dict[str, dict[str, str]] = {"light": {}, "dark": {}}
    for selector, body in _BLOCK.findall(text):
        ground = "dark" if "dark" in selector else "light"
        for name, value in _TOKEN.findall(body):
            blocks[ground].setdefault(name, " ".join(value.split()))
    light, dark = blocks["light"], blocks["dark"]
    return [Token(name=name, light=value, dark=dark.get(name, value)) for name, value in light.items()]


def swatch_sheet() -> str:
    """Return the style sheet of the page's samples: each token on both grounds at once, whatever the page's own is."""
    lines = []
    for token in read_tokens():
        if token.is_colour:
            for ground, value in (("light", token.light), ("dark", token.dark)):
                lines.append(f'.ground[data-theme="{ground}"] .swatch-{token.name} {{ background: {value}; }}')
                if token.name == "paper":
                    lines.append(f'.ground[data-theme="{ground}"] {{ background: {value}; }}')
        elif token.light.endswith("px"):
            lines.append(f".ruler-{token.name} {{ width: {token.light}; }}")
    return "\n".join(lines) + "\n"


def contrast(first: str, second: str) -> float:
    """Contrast of two colours written as ``#rrggbb``. Source: WCAG 2.2, relative luminance.

    Examples
    --------
    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def style_context(locale: Locale, *, root: str) -> dict[str, Any]:
    """Return the template context of ``style.html``."""
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    tokens = read_tokens()
    known = {token.name: token for token in tokens}
    contrasts = []
    for name in _INKS:
        token, paper = known[name], known["paper"]
        if _HEX.match(token.light) and _HEX.match(token.dark):
            pair = (contrast(token.light, paper.light), contrast(token.dark, paper.dark))
            contrasts.append({"name": name, "light": f"{pair[0]:.1f}", "dark": f"{pair[1]:.1f}"})
    return {
        "locale": locale,
        "other_locale": other,
        "other_language": catalogue(other)["console.language_name"],
        "root": root,
        "texts": _texts(locale),
        "colours": [token for token in tokens if token.is_colour],
        "sizes": [token for token in tokens if not token.is_colour and token.light.endswith("px")],
        "others": [token for token in tokens if not token.is_colour and not token.light.endswith("px")],
        "contrasts": contrasts,
        "parts": PARTS,
    }


def style_part_context(locale: Locale, part: Part, *, root: str, theme: str) -> dict[str, Any]:
    """Return the template context of ``style_part.html``."""
    return {"locale": locale, "root": root, "part": part, "theme": theme, "texts": _texts(locale)}


def _texts(locale: Locale) -> dict[str, str]:
    prefixes = ("style.", "console.brand", "console.theme", "light.", "state.", "move.", "field.")
    return {key: text for key, text in catalogue(locale).items() if key.startswith(prefixes)}
