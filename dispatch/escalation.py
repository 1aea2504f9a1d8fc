"""The ladder of escalation. So far its rung "due": when a deadline passes, the parent cell's head is told.

Each rung fires exactly once per (case, rung, clock epoch): the primary key of ``dispatch.escalation`` is the
promise, the sweep merely tries.
"""

from __future__ import annotations

from enum import StrEnum

from dispatch.posts import Rung, find_superior
from dispatch.states import HANDLING_STATES, CaseState


class EscalationRung(StrEnum):
    """Steps of the ladder, lowest first."""

    DUE = "due"
    NOW = "now"
    """Told at once, by hand, past all levels."""


def is_still_due(state: CaseState) -> bool:
    """Whether a rung may still fire: never after the case was handled, closed or otherwise ended."""
    return state in HANDLING_STATES


def find_told(ladder: tuple[Rung, ...], owner_post_id: int | None) -> Rung | None:
    """Who is told at the rung "due": the first available head above the owner's level.

    An owner at level 1 has nobody above; that empty rung is recorded as such, not passed over in silence.
    """
    level = next((rung.level for rung in ladder if rung.post_id == owner_post_id), None)
    if level is None:
        return next((rung for rung in ladder if rung.is_available), None)
    return find_superior(ladder, level)
