"""When a failed delivery is tried again. Source: Standard Webhooks specification 1.0.0, example schedule."""

from __future__ import annotations

from typing import Final

#: Wait before each attempt, the first one at once. Units: seconds. All ten span a little more than three days.
DELAYS_S: Final = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
MOST_ATTEMPTS: Final = len(DELAYS_S)
_JITTER: Final = 0.1
_LONGEST_RETRY_AFTER_S: Final = 86_400


def wait_after(failures: int, *, chance: float, retry_after_s: int | None = None) -> float | None:
    """How long to wait after so many failures in a row; None when the schedule is used up.

    Parameters
    ----------
    chance
        From [0, 1): up to a tenth is added, so that many webhooks of one receiver do not return at the same moment.
    retry_after_s
        What the receiver asked for; it can lengthen the wait to a day at most, never shorten it.
    """
    if failures >= MOST_ATTEMPTS:
        return None
    wait_s = DELAYS_S[failures] * (1 + _JITTER * chance)
    return max(wait_s, min(retry_after_s or 0, _LONGEST_RETRY_AFTER_S))
