"""Which network addresses a webhook may reach: public ones, and networks that a setting names.

Whoever registers a webhook chooses where our server connects to, from inside our network. So the rule is about the
address that is connected, never about a name: a name can resolve to anything, and to something else the second time.
Source: IANA special-purpose address registries (RFC 6890 and its updates).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_CLOSED_4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; some clouds keep their metadata service here
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent behind a public-looking address
        "169.254.0.0/16",  # link-local, and the usual metadata service
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_OPEN_6: Final = IPv6Network("2000::/3")
_CLOSED_6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments; Teredo, whose addresses hide an IPv4 one, among them
        "2001:db8::/32",
        "2002::/16",  # 6to4, which hides an IPv4 address too
        "3fff::/20",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read networks separated by commas.

    Raises
    ------
    ValueError
        Something in it is not a network.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def parse_address(text: str) -> Address | None:
    """Read an address in its one proper form; None for anything else, such as ``0x7f.1`` or ``127.1``."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_named(address: Address, networks: Sequence[Network]) -> bool:
    """Whether a setting names this address's network."""
    meant = _meant(address)
    return any(meant in network for network in networks if network.version == meant.version)


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, and not a private one in disguise."""
    meant = _meant(address)
    if isinstance(meant, IPv4Address):
        return meant.is_global and not any(meant in network for network in _CLOSED_4)
    if meant.scope_id is not None:
        return False
    if meant in _NAT64:
        return is_public(IPv4Address(int(meant) & 0xFFFF_FFFF))
    # An interface id of ISATAP carries an IPv4 address in its last half.
    if (int(meant) >> 32) & 0xFDFF_FFFF == 0x0000_5EFE:
        return False
    return meant in _OPEN_6 and meant.is_global and not any(meant in network for network in _CLOSED_6)


def may_reach(address: Address, networks: Sequence[Network]) -> bool:
    """Whether a webhook may connect to an address."""
    return is_named(address, networks) or is_public(address)


def _meant(address: Address) -> Address:
    # ::ffff:127.0.0.1 is 127.0.0.1 to the kernel: it leaves as IPv4.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
