"""Deadline lights: when a case turns yellow, and which light it shows at an instant.

The instant of turning yellow is stored with the case (``warn_at``), so that the queue's filter, the page and the
count are one comparison and cannot disagree.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from dispatch.states import HANDLING_STATES, CaseState, Light

#: Units: seconds of the limit's own kind. Four working hours, the second threshold beside the quarter.
_FOUR_HOURS_S = 4 * 3600


def warn_share(limit_s: float) -> Decimal:
    """Share of a limit after which its light turns yellow.

    Yellow means less than a quarter or less than four hours left, but never before half of the limit is used up:
    otherwise a manhole cover with two urgent hours would be born yellow and the light would say nothing.

    Examples
    --------
    >>> warn_share(2 * 3600), warn_share(16 * 3600), warn_share(40 * 3600)
    (Decimal('0.5'), Decimal('0.75'), Decimal('0.75'))
    """
    left = max(limit_s / 4, min(_FOUR_HOURS_S, limit_s / 2))
    return Decimal(1) - Decimal(left) / Decimal(limit_s)


def light(
    state: CaseState,
    *,
    due_at: datetime | None,
    warn_at: datetime | None,
    as_of: datetime,
    is_supervised: bool = False,
) -> Light:
    """Which light a case shows.

    Boundary: at the due instant itself the case is still on time (red begins after it).
    """
    if state is CaseState.SUSPENDED:
        return Light.SUSPENDED
    if state not in HANDLING_STATES or due_at is None:
        return Light.NONE
    if as_of > due_at:
        return Light.RED
    if is_supervised:
        return Light.SUPERVISED
    return Light.YELLOW if warn_at is not None and as_of >= warn_at else Light.GREEN
