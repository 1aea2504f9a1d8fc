"""Pages that ask nobody else for anything: the tags of our own files, the check for foreign addresses, the policy."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

__all__ = ["STATIC", "ForeignAddressError", "asset_tags", "check_no_foreign", "content_security_policy", "data_url"]

STATIC: Final = Path(__file__).resolve().parent / "static"
_STYLES: Final = ("vendor/leaflet/leaflet.css", "tokens.css", "planner/frame.css")
#: Only where places come together: 35 kB that most maps need not carry.
_CLUSTERS: Final = "vendor/leaflet.markercluster/leaflet.markercluster.js"
_SCRIPTS: Final = (
    "vendor/leaflet/leaflet.js",
    "vendor/leaflet.heat/leaflet-heat.js",
    "planner/cells.js",
    "planner/labels.js",
    "planner/paper.js",
    "planner/places.js",
    "planner/variants.js",
    "planner/frame.js",
)

#: XML namespaces are names, not places: nothing is ever fetched from them.
_NAMESPACES: Final = ("http://www.w3.org/",)
_FOREIGN: Final = re.compile(
    r"""(?ix)
      \b(?:https?|wss?|ftp)\s*:\s*\\?/\\?/ [^\s"'<>\\)]*     # absolute, also as \/\/ inside a script
    | (?:src|href|srcset|action|poster|data|background)\s*=\s*["']?\s*//[^\s"'<>]+
    | url\(\s*["']?\s*//[^\s"')]+
    | @import\s[^;]*//[^;]+
    """
)
_SCRIPT_TEXT: Final = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


class ForeignAddressError(ValueError):
    """A page would have asked somebody else for something."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = tuple(addresses)
        super().__init__("the page names foreign addresses: " + ", ".join(self.addresses[:5]))


def data_url(kind: str, content: bytes) -> str:
    """Return bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def asset_tags(static_url: str, *, inline: bool, clusters: bool = False) -> list[str]:
    """Return the header's tags for the styles and scripts of a map, in order.

    Parameters
    ----------
    static_url
        Where ``maps/static`` is served, without a trailing slash.
    inline
        The files themselves instead of links to them.
    clusters
        Also what brings places together.
    """
    scripts = (_SCRIPTS[0], _CLUSTERS, *_SCRIPTS[1:]) if clusters else _SCRIPTS
    if not inline:
        prefix = escape(static_url.rstrip("/"))
        return [
            *(f'<link rel="stylesheet" href="{prefix}/{path}">' for path in _STYLES),
            *(f'<script src="{prefix}/{path}"></script>' for path in scripts),
        ]
    return [
        *(f"<style>{_inline_style(STATIC / path)}</style>" for path in _STYLES),
        *(f"<script>{_inline_script(STATIC / path)}</script>" for path in scripts),
    ]


def _inline_style(path: Path) -> str:
    def embed(match: re.Match[str]) -> str:
        picture = path.parent / match.group(1)
        return f"url({data_url('image/png', picture.read_bytes())})" if picture.is_file() else "none"

    return _drop_addresses(re.sub(r"url\(\s*[\"']?([\w./-]+\.png)[\"']?\s*\)", embed, path.read_text(encoding="utf-8")))


def _inline_script(path: Path) -> str:
    text = re.sub(r"(?m)^//# sourceMappingURL=.*$", "", path.read_text(encoding="utf-8"))
    return _drop_addresses(text).replace("</script", "<\\/script")


def _drop_addresses(text: str) -> str:
    """Remove the addresses of projects from comments and banners of third-party files; none of them is ever fetched."""
    return re.sub(r"https?://(?!www\.w3\.org/)[^\s\"'<>)]*", "", text)


def check_no_foreign(html: str, *, allowed: Sequence[str] = _NAMESPACES) -> None:
    """Raise when a page names a foreign address anywhere: in markup, style or script.

    Parameters
    ----------
    html
        The finished page.
    allowed
        Beginnings of addresses that are only names.

    Raises
    ------
    ForeignAddressError
        With all of them.

    Examples
    --------
    >>> check_no_foreign('<script src="/static/vendor/leaflet/leaflet.js"></script>')
    >>> check_no_foreign('<script src="//cdn.example/x.js"></script>')
    Traceback (most recent call last):
        ...
    maps.own_files.ForeignAddressError: the page names foreign addresses: src="//cdn.example/x.js
    """
    found = [match.group(0) for match in _FOREIGN.finditer(html)]
    foreign = [address for address in found if not address.startswith(tuple(allowed))]
    if foreign:
        raise ForeignAddressError(list(dict.fromkeys(foreign)))


def content_security_policy(html: str) -> str:
    """Return a policy under which exactly this page's own inline scripts run, in a sandbox without an origin."""
    hashes = sorted(
        {
            "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") + "'"
            for text in _SCRIPT_TEXT.findall(html)
        }
    )
    return (
        f"default-src 'none'; script-src 'self' {' '.join(hashes)}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
    )
