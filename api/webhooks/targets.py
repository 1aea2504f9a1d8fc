"""The address of a webhook: read strictly, so that we and the operating system never read it differently."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from api.webhooks.addresses import Address, Network, is_named, may_reach, parse_address
from geo.errors import BadInputError

MOST_CHARACTERS = 2000
_LABEL = re.compile(r"^(?!-)[a-z0-9_-]{1,63}(?<!-)$")
# Older resolvers read numbers as addresses: 2130706433, 0x7f.1, 0177.0.0.1. A name's last label is never one.
_NUMBER = re.compile(r"^(0x[0-9a-f]*|[0-9]+)$")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a webhook goes. ``address`` is set when the URL names an address and not a name."""

    host: str
    address: Address | None
    port: int
    path: str
    is_https: bool

    @property
    def host_header(self) -> str:
        """The ``Host`` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if self.address is not None and self.address.version == 6 else self.host
        return host if self.port == (443 if self.is_https else 80) else f"{host}:{self.port}"


def parse_target(url: str, networks: Sequence[Network] = ()) -> Target:
    """Read a webhook's URL.

    Parameters
    ----------
    networks
        Networks that the settings open besides the public internet; plain http is possible to these only.

    Raises
    ------
    BadInputError
        ``webhook.bad_url`` with what is wrong, ``webhook.https_needed``, or ``webhook.address_not_allowed``.
    """
    if not _PRINTABLE.fullmatch(url) or "\\" in url or len(url) > MOST_CHARACTERS:
        raise _bad(url, "characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise _bad(url, "form") from error
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        raise _bad(url, "scheme")
    if "@" in parts.netloc:
        raise _bad(url, "credentials")
    if "#" in url:
        raise _bad(url, "fragment")
    # urlsplit() reads an empty port as none; other programs do not.
    if port == 0 or parts.netloc.endswith(":"):
        raise _bad(url, "port")
    address = parse_address(host)
    if parts.netloc.startswith("[") != (address is not None and address.version == 6):
        raise _bad(url, "host")
    if address is None:
        host = _name(url, host)
    is_https = parts.scheme == "https"
    if address is not None and not may_reach(address, networks):
        raise BadInputError("webhook.address_not_allowed", pointer="/url", address=str(address))
    if not is_https and (not networks or (address is not None and not is_named(address, networks))):
        raise BadInputError("webhook.https_needed", pointer="/url", url=url[:200])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host=host, address=address, port=port or (443 if is_https else 80), path=path, is_https=is_https)


def _name(url: str, host: str) -> str:
    # A trailing dot makes the name absolute; certificates are made out without it.
    name = host.rstrip(".") if not host.endswith("..") else ""
    labels = name.split(".")
    if not name or len(name) > 253 or not all(_LABEL.match(label) for label in labels) or _NUMBER.match(labels[-1]):
        raise _bad(url, "host")
    if name == "localhost" or name.endswith(".localhost"):
        raise BadInputError("webhook.address_not_allowed", pointer="/url", address=name)
    return name


def _bad(url: str, why: str) -> BadInputError:
    return BadInputError("webhook.bad_url", pointer="/url", url=url[:200], why=why)
