"""What the dispatcher's page is given when it is rendered: texts, addresses, first view. Pure."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from maps.i18n import Locale, catalogue

__all__ = ["CONTENT_SECURITY_POLICY", "console_context"]

#: Strict on purpose: no inline script or style anywhere, nothing from another host. Leaflet positions its layers
#: through the CSSOM, which a policy for styles does not touch, and its default image is a data address.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)

#: Keys as people press them, and the text that says what they do. The page's scripts obey the same list.
_SHORTCUTS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("J", "K"), "console.keys.next_previous"),
    (("Enter",), "console.keys.open"),
    (("Esc",), "console.keys.back"),
    (("D", "Shift-D"), "desk.keys.dispatch"),
    (("A",), "desk.keys.accept"),
    (("M",), "console.keys.merge"),
    (("R",), "console.keys.return"),
    (("U",), "console.keys.supervise"),
    (("P",), "desk.keys.urge"),
    (("E",), "console.keys.extend"),
    (("S",), "desk.keys.suspend"),
    (("B",), "desk.keys.report_back"),
    (("C",), "desk.keys.close"),
    (("Ctrl-Enter",), "desk.keys.send"),
    (("N",), "desk.keys.notes"),
    (("X", "Shift-X"), "console.keys.mark"),
    (("Z",), "console.keys.undo"),
    (("G", "1–5"), "console.keys.inbox"),
    (("/",), "console.keys.search"),
    (("Ctrl-K",), "desk.keys.palette"),
    (("W",), "desk.keys.who"),
    (("1", "2", "3"), "desk.keys.nearest"),
    (("[", "]"), "desk.keys.replay"),
    (("↑", "↓", "←", "→", "+", "-"), "desk.keys.map"),
    (("?",), "console.keys.help"),
)

# What the page's scripts need; sending the whole catalogue would send the texts of the command line, too.
_PREFIXES: Final = (
    *("console.", "desk.", "state.", "move.", "light.", "rank.", "why.", "level.", "located.", "coord_sys."),
    "place.kind.",
)


def console_context(
    locale: Locale,
    *,
    place: str = "",
    time_zone: str = "Asia/Shanghai",
    centre: tuple[float, float] | None = None,
    root: str = "",
    heat_url: str = "/maps/heat",
    page_size: int = 500,
    person: str = "",
) -> dict[str, Any]:
    """Return the template context of ``console.html``.

    Parameters
    ----------
    locale
        The language of the page; the other one is offered as a link.
    place
        Name of the jurisdiction in that language, shown beside the product's name; may be empty.
    time_zone
        IANA name of the jurisdiction's zone: every time on the page is shown in it, wherever the browser stands.
    centre
        ``(lon, lat)`` shown until the cells have arrived; None leaves the choice to the page.
    root
        Path under which the application is mounted, without a trailing slash.
    heat_url
        Path of the planners' heat-map.
    page_size
        How many cases the page asks for per request while it fills its queue.
    person
        Name of whoever is signed in; empty for somebody at this machine before there are accounts.

    Notes
    -----
    SRID: 4326 for ``centre``.
    """
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    texts = {key: text for key, text in catalogue(locale).items() if key.startswith(_PREFIXES)}
    return {
        "locale": locale,
        "other_locale": other,
        "other_language": catalogue(other)["console.language_name"],
        "root": root,
        "modules": _modules(),
        "texts": texts,
        "config": {
            "place": place,
            "time_zone": time_zone,
            "centre": list(centre) if centre else None,
            "heat_url": heat_url,
            "page_size": page_size,
            "person": person,
            "shortcuts": [[list(keys), text] for keys, text in _SHORTCUTS],
        },
    }


@cache
def _modules() -> tuple[str, ...]:
    """Paths of the page's modules but the first, which imports them: named at once, they need not be found in waves."""
    static = Path(__file__).parent / "static"
    found = sorted(path.relative_to(static).as_posix() for path in (static / "console").glob("*.js"))
    return tuple(path for path in found if path not in {"console/main.js", "console/types.js"})
