"""Names of states, channels' origins and lights, shared by the rules and the tables."""

from __future__ import annotations

from enum import StrEnum


class CaseState(StrEnum):
    """Where a case stands on its way from report to close."""

    SELF_HANDLED = "self_handled"
    REPORTED = "reported"
    ACCEPTED = "accepted"
    VERIFYING = "verifying"
    FILED = "filed"
    DISPATCHED = "dispatched"
    RETURNED = "returned"
    HANDLING = "handling"
    SUSPENDED = "suspended"
    HANDLED = "handled"
    CHECKED = "checked"
    CLOSED = "closed"
    REOPENED = "reopened"
    DECLINED = "declined"
    MERGED = "merged"
    VOIDED = "voided"


FINAL_STATES = frozenset({CaseState.CLOSED, CaseState.DECLINED, CaseState.MERGED, CaseState.VOIDED})
OPEN_STATES = frozenset(CaseState) - FINAL_STATES
#: The handling clock H runs in these; it stops at the instant of `report_back`.
HANDLING_STATES = frozenset({CaseState.DISPATCHED, CaseState.RETURNED, CaseState.HANDLING, CaseState.REOPENED})
#: Somebody at the desk has to do the next step.
TO_DISPATCH_STATES = frozenset({CaseState.REPORTED, CaseState.ACCEPTED, CaseState.VERIFYING, CaseState.FILED})
#: A redraw of the grid hands these over. In the others the work is done: who did it stays the owner.
HAND_OVER_STATES = OPEN_STATES - {CaseState.HANDLED, CaseState.CHECKED}


class Origin(StrEnum):
    """Where a case came from: a live report, a historic import, or the demo district."""

    LIVE = "live"
    IMPORTED = "imported"
    DEMO = "demo"


class Light(StrEnum):
    """Deadline light; always shown as shape and word, never as colour alone."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    SUPERVISED = "supervised"
    SUSPENDED = "suspended"
    NONE = "none"
