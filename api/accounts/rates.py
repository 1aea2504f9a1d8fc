"""How often a channel may ask: so many requests in so much time, however many keys it has.

Counted in this process, like everything that must cost microseconds; with several processes behind one address each
allows as much. Standard: IETF draft "RateLimit header fields for HTTP", with the three fields that clients know.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geo.errors import BadInputError

__all__ = ["IN_SCOPE", "ChannelRates", "RateHeaders", "RateState", "parse_rate"]

#: Where the door leaves the state of the caller's limit for the answer's headers.
IN_SCOPE: Final = "gridward.rate"


@dataclass(frozen=True, slots=True)
class RateState:
    """A channel's limit after a request was counted. Units: seconds."""

    limit: int
    window_s: int
    remaining: int
    reset_s: int


@lru_cache(maxsize=1000)
def parse_rate(text: str) -> RateLimitItem | None:
    """Read a rate such as ``100/second``; an empty one means that there is none.

    Raises
    ------
    BadInputError
        ``access.bad_rate``.
    """
    if not text.strip():
        return None
    try:
        item = parse(text)
    except ValueError:
        raise BadInputError("access.bad_rate", pointer="/rate", rate=text[:40]) from None
    if item.amount < 1:
        raise BadInputError("access.bad_rate", pointer="/rate", rate=text[:40])
    return item


class ChannelRates:
    """Counts the requests of each channel.

    Parameters
    ----------
    rate
        Of channels whose key names none.
    """

    def __init__(self, rate: str) -> None:
        self._rate = parse_rate(rate)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, channel: str, rate: str | None) -> tuple[RateState | None, BadInputError | None]:
        """Count one request; return the state, and the error when it is one too many. Cost: some microseconds."""
        item = self._rate if rate is None else parse_rate(rate)
        if item is None:
            return None, None
        # A key with a rate of its own has a count of its own.
        allowed = self._limiter.hit(item, channel, rate or "")
        stats = self._limiter.get_window_stats(item, channel, rate or "")
        reset_s = max(1, math.ceil(stats.reset_time - time.time()))
        state = RateState(item.amount, item.get_expiry(), max(0, stats.remaining), reset_s)
        if allowed:
            return state, None
        window = f"{item.get_expiry()} s"
        return state, BadInputError("access.too_many", limit=item.amount, window=window, seconds=reset_s)


def rate_headers(state: RateState) -> list[tuple[bytes, bytes]]:
    """The headers that tell a channel how much of its limit is left."""
    return [
        (b"ratelimit-limit", b"%d" % state.limit),
        (b"ratelimit-remaining", b"%d" % state.remaining),
        (b"ratelimit-reset", b"%d" % state.reset_s),
        (b"ratelimit-policy", b"%d;w=%d" % (state.limit, state.window_s)),
    ]


class RateHeaders:
    """Says on every answer to a key how much of its channel's limit is left."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            state: RateState | None = scope.get(IN_SCOPE)
            if state is not None and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *rate_headers(state)]
            await send(message)

        await self.app(scope, receive, with_headers)
