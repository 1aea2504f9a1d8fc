"""The words of the workflow's table: moves, what they do to clocks, what they need, who makes them."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Clock", "Guard", "Line", "Move", "Source", "Stage", "Who"]


class Move(StrEnum):
    """What somebody does to a case."""

    REPORT = "report"
    SELF_HANDLE = "self_handle"
    SAMPLE_OK = "sample_ok"
    SAMPLE_BAD = "sample_bad"
    ACCEPT = "accept"
    DECLINE = "decline"
    SEND_VERIFY = "send_verify"
    VERIFY_DONE = "verify_done"
    VERIFY_TIMEOUT = "verify_timeout"
    FILE = "file"
    REFUSE_FILE = "refuse_file"
    VOID = "void"
    DISPATCH = "dispatch"
    ACKNOWLEDGE = "acknowledge"
    NO_ACK = "no_ack"
    RETURN = "return"
    RE_DISPATCH = "re_dispatch"
    SETTLE = "settle"
    REPORT_BACK = "report_back"
    REQUEST_EXTENSION = "request_extension"
    APPROVE_EXTENSION = "approve_extension"
    REFUSE_EXTENSION = "refuse_extension"
    REQUEST_SUSPEND = "request_suspend"
    ENDORSE_SUSPEND = "endorse_suspend"
    APPROVE_SUSPEND = "approve_suspend"
    REFUSE_SUSPEND = "refuse_suspend"
    RESUME = "resume"
    CHECK_PASS = "check_pass"  # noqa: S105 - a move, not a secret
    CHECK_FAIL = "check_fail"
    CLOSE = "close"
    SATISFIED = "follow_up_satisfied"
    UNREACHABLE = "follow_up_unreachable"
    DISSATISFIED = "follow_up_dissatisfied"
    APPEAL = "appeal"
    UPHOLD_APPEAL = "uphold_appeal"
    REFUSE_APPEAL = "refuse_appeal"
    MERGE = "merge"
    UNMERGE = "unmerge"
    URGE = "urge"
    SUPERVISE = "supervise"
    ANSWER_SUPERVISION = "answer_supervision"
    ESCALATE_NOW = "escalate_now"
    OPEN_OPERATION = "open_operation"
    SPLIT_JOINT = "split_joint"
    JOIN = "join"
    REPORT_PHASE = "report_phase"


class Clock(StrEnum):
    """What a move does to the handling clock H.

    A return never buys time: RUNS_ON keeps the due instant as it was. Only EXTEND and PAUSE make it later, and both
    are approvals that leave a record; RENEW begins another clock epoch and leaves the old one as it ended.
    """

    NONE = "none"
    START = "start"
    RUNS_ON = "runs_on"
    EXTEND = "extend"
    PAUSE = "pause"
    GO_ON = "go_on"
    RENEW = "renew"
    STOP = "stop"


class Stage(StrEnum):
    """Clocks of single steps; at most one runs at a time, and which one follows from the state."""

    ACCEPT = "accept"
    VERIFY = "verify"
    DISPATCH = "dispatch"
    ACKNOWLEDGE = "acknowledge"
    CHECK = "check"


class Guard(StrEnum):
    """What a move needs beyond its state; decided in `dispatch/guards.py`."""

    BEFORE_DUE = "before_due"
    EXTENSIONS_LEFT = "extensions_left"
    NEVER_SUSPENDED = "never_suspended"
    NOTHING_ASKED = "nothing_asked"
    EXTENSION_ASKED = "extension_asked"
    SUSPENSION_ASKED = "suspension_asked"
    SUSPENSION_ENDORSED = "suspension_endorsed"
    APPEAL_ASKED = "appeal_asked"
    RETURNS_LEFT = "returns_left"
    THIRD_RETURN = "third_return"
    NOT_RECEIVER = "not_receiver"
    CLOSED_LATE = "closed_late"
    NOT_EXEMPT = "not_exempt"
    SUPERVISED = "supervised"
    NOT_SUPERVISED = "not_supervised"
    JOINT = "joint"
    NOT_JOINT = "not_joint"
    PHASE_OPEN = "phase_open"


class Who(StrEnum):
    """Who makes a move: kinds of posts, and the system itself."""

    CHANNEL = "channel"
    SYSTEM = "system"
    GRID_HEAD = "grid_head"
    HANDLER = "department_handler"
    ASSISTANT = "assistant"
    ACCEPTOR = "acceptor"
    SHIFT_LEADER = "shift_leader"
    DISPATCHER = "dispatcher"
    EVALUATOR = "evaluator"
    LEADER = "leader"


class Line(StrEnum):
    """Which steps an office walks separately."""

    FULL = "full"
    SHORT = "short"


class Source(StrEnum):
    """Where a row comes from: the trade's specification, or a decision of this project that completes it."""

    SPECIFIED = "S"
    DECIDED = "D"
