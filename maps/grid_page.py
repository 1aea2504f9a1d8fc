"""What the administrator's grid page is given when it is rendered: texts, addresses, first view. Pure."""

from __future__ import annotations

from typing import Any, Final

from maps.i18n import Locale, catalogue

__all__ = ["grid_page_context"]

# The console's words for days, map tools and faults are shared; its queue's are not needed here.
_PREFIXES: Final = ("grid_page.", "coverage.", "level.", "state.", "console.day.", "console.map.", "console.error.")

#: Keys as people press them while they draw, and the text that says what they do.
_SHORTCUTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("↑", "↓", "←", "→"), "grid_page.keys.pan"),
    (("Space",), "grid_page.keys.point"),
    (("Backspace",), "grid_page.keys.undo"),
    (("Enter",), "grid_page.keys.finish"),
    (("Esc",), "grid_page.keys.cancel"),
)


def grid_page_context(
    locale: Locale,
    *,
    version: int | None = None,
    place: str = "",
    time_zone: str = "Asia/Shanghai",
    centre: tuple[float, float] | None = None,
    root: str = "",
    heat_url: str = "/maps/heat",
    may_write: bool = True,
) -> dict[str, Any]:
    """Return the template context of ``grid.html``.

    Parameters
    ----------
    locale
        The language of the page; the other one is offered as a link.
    version
        Number of the version to open; None opens the one that is valid now.
    place
        Name of the jurisdiction in that language; may be empty.
    time_zone
        IANA name of the jurisdiction's zone: instants are shown and entered in it, wherever the browser stands.
    centre
        ``(lon, lat)`` shown until the cells have arrived.
    root
        Path under which the application is mounted, without a trailing slash.
    heat_url
        Path of the planners' heat-map.
    may_write
        Whether the caller may change the grid; without it the page shows no tools that would only be refused.

    Notes
    -----
    SRID: 4326 for ``centre``.
    """
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    texts = catalogue(locale)
    shown = {key: text for key, text in texts.items() if key.startswith(_PREFIXES)}
    shown |= {key: texts[key] for key in ("console.brand", "console.tools", "console.theme", "console.keys.close")}
    return {
        "locale": locale,
        "other_locale": other,
        "other_language": catalogue(other)["console.language_name"],
        "root": root,
        "texts": shown,
        "config": {
            "place": place,
            "time_zone": time_zone,
            "centre": list(centre) if centre else None,
            "heat_url": heat_url,
            "page_size": 500,
            "version": version,
            "may_write": may_write,
            "shortcuts": [[list(keys), text] for keys, text in _SHORTCUTS],
        },
    }
