"""What a move changes beyond its state, its counters and its stamp: owners, clocks, ledgers, other cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from dispatch.calendars import WorkingCalendar
from dispatch.clocks import set_clocks
from dispatch.deadlines import Deadline, Limit, LimitUnit, Pause, StartRule, clock_start, is_on_time
from dispatch.escalation import EscalationRung
from dispatch.handling_clock import Course, check_pause_end, extended, paused, resumed, warn_at
from dispatch.joint_effects import follow_case, split
from dispatch.making import Act, Elsewhere
from dispatch.owning import find_owner, kept_ladder, ladder_of, next_owner, settled_owner, told
from dispatch.phasing import finish_phases, follow_phases, open_phases, report_phase
from dispatch.posts import find_top
from dispatch.reference import Condition
from dispatch.returning import keep_evidence, keep_position, send_to_cell
from dispatch.segments import to_micros
from dispatch.states import OPEN_STATES, CaseState
from dispatch.storage import ledgers
from dispatch.storage.cases import find_followers, lock_case
from dispatch.workflow import Move
from geo.errors import BadInputError, ConflictError

__all__ = ["EFFECTS"]

Columns = dict[str, Any]


async def _dispatch(act: Act) -> Columns:
    # Only dispatch chooses the condition: on any later move another one would be another deadline.
    return await _owner(act) | await _new_clock(act, act.at, act.request.condition)


async def _re_dispatch(act: Act) -> Columns:
    return await _owner(act) | {"dispatched_at": act.case["dispatched_at"] or act.at}


async def _settle(act: Act) -> Columns:
    return await settled_owner(act)


async def _no_ack(act: Act) -> Columns:
    """The backup, then the parent cell's head. The top of the ladder keeps the case, and that is recorded as such."""
    owned = await next_owner(act)
    return {"stage_clock": None, "stage_due_at": None} if owned is None else owned


async def _report_back(act: Act) -> Columns:
    phases = await finish_phases(act)
    await keep_position(act)
    return {"is_on_time": is_on_time(act.at, act.case["due_at"]), "next_rung_at": None, **phases}


async def _check_fail(act: Act) -> Columns:
    # The clock goes on from the original deadline; if that has passed, the next sweep finds the rung due.
    return {"handled_at": None, "is_on_time": None, "next_rung_at": act.case["due_at"]}


async def _approve_extension(act: Act) -> Columns:
    calendar, before = _calendar(act), act.case["due_at"]
    due = extended(calendar, before, _limit(act))
    await ledgers.add_extension(
        act.unit,
        case_id=act.case["id"],
        number=act.case["extension_count"],
        clock_epoch=act.case["clock_epoch"],
        approved_at=act.at,
        approved_by=act.request.actor.name,
        reason=act.request.reason,
        due_before=before,
        due_after=due.due_at,
    )
    # Phases keep their deadlines: more time for the whole is no more time for its first steps.
    await follow_case(act, "extension", due.due_at, lambda was, limit: extended(calendar, was, limit))
    return await _moved_clock(act, due)


async def _request_suspend(act: Act) -> Columns:
    # The approver may still name the date; one that is named must be possible.
    until = check_pause_end(act.request.until, act.at) if act.request.until is not None else None
    act.payload["until"] = until.isoformat() if until else None
    return {"asked_until": until}


async def _approve_suspend(act: Act) -> Columns:
    until = check_pause_end(act.request.until or act.case["asked_until"], act.at)
    before = act.case["due_at"]
    pause = Pause(start_at=act.at, end_at=until)
    calendar = _calendar(act)
    due = paused(calendar, before, _limit(act).unit, pause)
    await ledgers.add_pause(
        act.unit,
        case_id=act.case["id"],
        clock_epoch=act.case["clock_epoch"],
        starts_at=act.at,
        ends_at=until,
        approved_by=act.request.actor.name,
        reason=act.request.reason,
        due_before=before,
        due_after=due.due_at,
    )
    await follow_case(act, "pause", due.due_at, lambda was, limit: paused(calendar, was, limit.unit, pause))
    await follow_phases(act, "pause", lambda was, limit: paused(calendar, was, limit.unit, pause))
    act.payload["until"] = until.isoformat()
    stage = {"stage_clock": "suspension", "stage_due_at": until, "suspended_until": until, "asked_until": None}
    return await _moved_clock(act, due) | stage


async def _resume(act: Act) -> Columns:
    """The planned end changes nothing; an earlier one gives back what was not needed."""
    planned, before = act.case["suspended_until"], act.case["due_at"]
    changes: Columns = {"suspended_until": None, "next_rung_at": before}
    if act.at >= planned or before is None:
        return changes
    calendar = _calendar(act)
    due = resumed(calendar, before, _limit(act).unit, planned=planned, at=act.at)
    if not await ledgers.end_pause(act.unit, act.case["id"], ends_at=act.at, due_after=due.due_at):
        return changes

    def early(was: datetime, limit: Limit) -> Deadline:
        return resumed(calendar, was, limit.unit, planned=planned, at=act.at)

    await follow_case(act, "resume", due.due_at, early)
    await follow_phases(act, "resume", early)
    return changes | await _moved_clock(act, due)


async def _close(act: Act) -> Columns:
    for follower in await find_followers(act.unit, act.case["id"]):
        act.elsewhere.append(
            Elsewhere(
                case_id=follower, kind="followed_case_closed", overlay="follow", payload={"case": act.case["ref"]}
            )
        )
    return {"closed_level": _owner_level(act.case), "next_rung_at": None}


async def _sample_ok(act: Act) -> Columns:
    return {"next_rung_at": None}


async def _dissatisfied(act: Act) -> Columns:
    """A new epoch of the clock; the old one's times go to their ledger as they were."""
    await ledgers.keep_epoch(act.unit, act.case["id"])
    clock = await _new_clock(act, act.at)
    emptied = ("acknowledged_at", "handled_at", "checked_at", "closed_at", "is_on_time", "closed_level")
    return {**dict.fromkeys(emptied), **clock, "clock_started_at": _start(act, act.at), "follow_up": "dissatisfied"}


async def _satisfied(act: Act) -> Columns:
    return {"follow_up": "satisfied"}


async def _unreachable(act: Act) -> Columns:
    return {"follow_up": "unreachable"}


async def _merge(act: Act) -> Columns:
    if not act.request.into:
        raise BadInputError("dispatch.into_required", pointer="/into")
    parent = await lock_case(act.unit, act.request.into)
    channel = act.request.channel
    if (
        parent is None
        or parent["jurisdiction"] != act.case["jurisdiction"]
        or (channel is not None and parent["channel_code"] != channel)
    ):
        raise BadInputError("dispatch.into_unknown", pointer="/into", case=act.request.into[:80])
    if parent["id"] == act.case["id"] or CaseState(parent["state"]) not in OPEN_STATES:
        raise ConflictError("dispatch.cannot_follow", pointer="/into", case=parent["ref"], state=parent["state"])
    if await find_followers(act.unit, act.case["id"]):
        raise ConflictError("dispatch.has_followers", pointer="/into", case=act.case["ref"])
    act.payload["into"] = parent["ref"]
    told = {"case": act.case["ref"], "ticket": act.case["ticket"], "channel": act.case["channel_code"]}
    act.elsewhere.append(Elsewhere(case_id=parent["id"], kind="followed", overlay="follow", payload=told))
    return {"parent_case_id": parent["id"], "next_rung_at": None}


async def _unmerge(act: Act) -> Columns:
    parent = act.case["parent_case_id"]
    if parent is not None:
        told = {"case": act.case["ref"]}
        act.elsewhere.append(Elsewhere(case_id=parent, kind="unfollowed", overlay="follow", payload=told))
    # Where it stood before is history; the desk decides afresh.
    return {"parent_case_id": None}


async def _ended(_: Act) -> Columns:
    return {"next_rung_at": None}


async def _supervise(act: Act) -> Columns:
    until = act.at + act.profile.supervision
    act.payload["until"] = until.isoformat()
    return {"supervised_until": until}


async def _escalate_now(act: Act) -> Columns:
    """Straight to the top rung; the ladder's own record keeps it from being told twice in one epoch."""
    top = find_top(await ladder_of(act))
    await ledgers.add_escalation(
        act.unit, act.case["id"], EscalationRung.NOW, act.case["ladder_epoch"], top.person_id if top else None
    )
    act.payload |= told(top)
    return {}


async def _split_joint(act: Act) -> Columns:
    return await split(act, _limit(act), _calendar(act))


EFFECTS: Final[dict[Move, Callable[[Act], Awaitable[Columns]]]] = {
    Move.DISPATCH: _dispatch,
    Move.RE_DISPATCH: _re_dispatch,
    Move.SETTLE: _settle,
    Move.NO_ACK: _no_ack,
    Move.RETURN: keep_evidence,
    Move.SPLIT_JOINT: _split_joint,
    Move.REPORT_PHASE: report_phase,
    Move.REPORT_BACK: _report_back,
    Move.CHECK_FAIL: _check_fail,
    Move.APPROVE_EXTENSION: _approve_extension,
    Move.REQUEST_SUSPEND: _request_suspend,
    Move.APPROVE_SUSPEND: _approve_suspend,
    Move.RESUME: _resume,
    Move.CLOSE: _close,
    Move.SAMPLE_OK: _sample_ok,
    Move.DISSATISFIED: _dissatisfied,
    Move.SATISFIED: _satisfied,
    Move.UNREACHABLE: _unreachable,
    Move.MERGE: _merge,
    Move.UNMERGE: _unmerge,
    Move.DECLINE: _ended,
    Move.REFUSE_FILE: _ended,
    Move.VOID: _ended,
    Move.SUPERVISE: _supervise,
    Move.ESCALATE_NOW: _escalate_now,
}


async def _owner(act: Act) -> Columns:
    sent = await send_to_cell(act)
    act.change(sent)
    return sent | await find_owner(act)


def _calendar(act: Act) -> WorkingCalendar:
    return act.reference.jurisdictions[act.case["jurisdiction"]].calendar


def _condition(act: Act, chosen: int | None = None) -> Condition:
    category = act.reference.categories[act.case["category_code"]]
    condition = category.certain_condition(chosen or act.case["condition_number"])
    if condition is None:
        known = ", ".join(str(number) for number in sorted(category.conditions)) or "–"
        raise BadInputError("dispatch.condition_required", pointer="/condition", category=category.code, known=known)
    return condition


def _start(act: Act, at: datetime) -> datetime:
    rule = StartRule(act.reference.channels[act.case["channel_code"]].start_rule)
    return clock_start(_calendar(act), at, rule)


async def _new_clock(act: Act, at: datetime, chosen: int | None = None) -> Columns:
    condition = _condition(act, chosen)
    jurisdiction = act.reference.jurisdictions[act.case["jurisdiction"]]
    calendar = jurisdiction.calendar
    limit = condition.limit_on(calendar.local_date(to_micros(at)))
    clocks = set_clocks(jurisdiction, act.reference.channels[act.case["channel_code"]].start_rule, limit, at)
    count = await open_phases(
        act.unit, act.case["id"], act.case["clock_epoch"], condition.phases, calendar, _start(act, at)
    )
    return {
        "condition_number": condition.number,
        "due_at": clocks.due_at,
        "due_provisional": clocks.is_provisional,
        "warn_at": clocks.warn_at,
        "next_rung_at": clocks.due_at,
        "limit_value": limit.value,
        "limit_unit": limit.unit.value,
        "open_phases": count,
    }


def _limit(act: Act) -> Limit:
    """The limit that the case was given; cases from before it was kept have the catalogue's of today."""
    if act.case["limit_value"] is None:
        return _condition(act).limit
    return Limit(value=act.case["limit_value"], unit=LimitUnit(act.case["limit_unit"]))


async def _course(act: Act) -> Course:
    """The clock as it runs: from dispatch by the channel's rule, or from where an epoch began."""
    case_id, epoch = act.case["id"], act.case["clock_epoch"]
    return Course(
        start_at=act.case["clock_started_at"] or _start(act, act.case["dispatched_at"] or act.at),
        limit=_limit(act),
        extensions=await ledgers.count_extensions(act.unit, case_id, epoch),
        pauses=await ledgers.list_pauses(act.unit, case_id, epoch),
    )


async def _moved_clock(act: Act, due: Deadline) -> Columns:
    act.payload["due_at"] = due.due_at.isoformat()
    return {
        "due_at": due.due_at,
        "due_provisional": act.case["due_provisional"] or due.is_provisional,
        "warn_at": warn_at(_calendar(act), await _course(act), due.due_at),
        "next_rung_at": due.due_at,
    }


def _owner_level(case: dict[str, Any]) -> int | None:
    """Level at which the case was solved: that of the post that owned it. Units: cell level, 1 = subdistrict."""
    return next((rung["level"] for rung in kept_ladder(case) if rung["post_id"] == case["owner_post_id"]), None)
