"""Keys that stand twice in one JSON object: readers keep one of the two values, and each reader another one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

__all__ = ["RepeatedKey", "find_repeated_keys"]

_MOST = 20
# Strings whole, so that a brace inside one is not a brace; what follows a key is its colon. Possessive: nothing is kept
# to go back to, which for a name of 27 MB would be gigabytes.
_TOKEN = rb'"((?:[^"\\]++|\\.)*+)"(\s*+:)?|[{}]'
_IN_BYTES = re.compile(_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedKey:
    """Where a key comes again; all numbers count from 1. ``feature``: the member of ``features``, None elsewhere."""

    key: str
    feature: int | None
    line: int
    column: int


def find_repeated_keys(text: str | bytes) -> list[RepeatedKey]:
    """Find repeated keys of a document that is known to be JSON; the first ones.

    Notes
    -----
    Cost: about 1 s for 50 MB of cells; most of it are numbers, which are skipped.

    Examples
    --------
    >>> found = find_repeated_keys('{"features": [{"properties": {"code": "1", "name": "a", "code": "2"}}]}')
    >>> [(each.key, each.feature, each.column) for each in found]
    [('code', 1, 57)]
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    found: list[RepeatedKey] = []
    open_: list[set[bytes]] = []
    within = b""
    feature = 0
    for token in _IN_BYTES.finditer(data):
        if token.group(2) is not None:
            key = token.group(1)
            if b"\\" in key:
                key = json.loads(b'"' + key + b'"').encode("utf-8", "surrogatepass")
            if len(open_) == 1:
                within = key
            if key in open_[-1]:
                found.append(_place(data, token.start(), key, feature if len(open_) > 1 and feature else None))
                if len(found) == _MOST:
                    break
            open_[-1].add(key)
        elif token.group(1) is None:
            if token.group() == b"{":
                open_.append(set())
                if len(open_) == 2 and within == b"features":
                    feature += 1
            else:
                open_.pop()
    return found


def _place(data: bytes, at: int, key: bytes, feature: int | None) -> RepeatedKey:
    begin = data.rfind(b"\n", 0, at) + 1
    return RepeatedKey(
        key=key.decode("utf-8", "replace")[:40],
        feature=feature,
        line=data.count(b"\n", 0, at) + 1,
        column=len(data[begin:at].decode("utf-8", "replace")) + 1,
    )
