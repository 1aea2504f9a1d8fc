"""What the demo's offices have under way besides single cases: joint work, recurring operations, ladders of their own.

Everything is made by the very functions that serve a running office, at instants that lie behind the demo's present,
so that its histories, clocks and guards are those of real work.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from psycopg.rows import dict_row

from api.demo.places import JURISDICTION, SUBDISTRICTS
from dispatch.deadlines import Limit, LimitUnit
from dispatch.escalation import Basis, LadderRung, Target
from dispatch.escalation import Scope as LadderScope
from dispatch.joint import LegMove, LegPlan
from dispatch.joint_moves import LegRequest, move_leg
from dispatch.ladder_editing import LadderDraft, add_ladder
from dispatch.making import Actor, MoveRequest
from dispatch.moves import move_locked
from dispatch.operations import PlanDraft, save_plan
from dispatch.posts import find_head
from dispatch.posts_handover import acknowledge_hand_over, hand_post_over
from dispatch.recurring import DayOff, Frequency, Recurrence
from dispatch.reference import Reference
from dispatch.storage.cases import lock_case
from dispatch.storage.legs import list_legs
from dispatch.storage.reference import load_reference
from dispatch.storage.returns import add_return
from dispatch.workflow import Move
from geo.storage.uow import WriteUnit

__all__ = ["write_work"]

DESK: Final = Actor(kind="operator", id="desk")
_STREET = SUBDISTRICTS[-2].code
#: Joint work as it stands: class, further departments, and for each leg how far it has come.
_JOINT: Final[tuple[tuple[str, tuple[str, ...], tuple[tuple[LegMove, ...], ...]], ...]] = (
    ("E0403", ("police",), ((LegMove.ACKNOWLEDGE, LegMove.REPORT_BACK, LegMove.SIGN), (LegMove.ACKNOWLEDGE,), ())),
    ("E0401", ("market_supervision",), ((LegMove.ACKNOWLEDGE, LegMove.REPORT_BACK), (LegMove.RETURN,))),
    (
        "E0402",
        ("market_supervision", "sanitation"),
        ((LegMove.ACKNOWLEDGE,), (LegMove.RETURN, LegMove.RE_DISPATCH, LegMove.ACKNOWLEDGE), ()),
    ),
    (
        "E0499",
        ("traffic_police",),
        ((LegMove.ACKNOWLEDGE, LegMove.REPORT_BACK, LegMove.SIGN),) * 2,
    ),
    ("S0201", ("housing", "police"), ((LegMove.ACKNOWLEDGE,), (), (LegMove.ACKNOWLEDGE, LegMove.REPORT_BACK))),
)
_TASKS: Final = {
    "police": "维持秩序，查验身份",
    "traffic_police": "拖移违停车辆",
    "market_supervision": "核查营业执照",
    "sanitation": "清运遗留垃圾",
    "housing": "排查房屋隐患",
    "urban_management": "劝离并规范摊点",
    "fire_service": "检查消防通道",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    """A plan of joint work that recurs."""

    name: str
    text: str
    category: str
    cell: str
    departments: tuple[str, ...]
    frequency: Frequency
    at: time
    days: tuple[int, ...]
    day_off: DayOff = DayOff.AS_IT_IS


_OPERATIONS: Final = (
    _Operation(
        name="周五夜市联合整治",
        text="规范夜市摊位，检查食品与消防",
        category="E0410",
        cell=_STREET,
        departments=("urban_management", "market_supervision", "fire_service"),
        frequency=Frequency.WEEK,
        at=time(19, 30),
        days=(5,),
    ),
    _Operation(
        name="每周集中清理",
        text="清理背街小巷、楼院卫生死角",
        category="E0103",
        cell=SUBDISTRICTS[0].code,
        departments=("sanitation", "urban_management"),
        frequency=Frequency.WEEK,
        at=time(8, 30),
        days=(3,),
        day_off=DayOff.NEXT_WORKDAY,
    ),
    _Operation(
        name="每月消防通道联合检查",
        text="老旧楼院消防通道、充电棚",
        category="S0201",
        cell=SUBDISTRICTS[1].code,
        departments=("fire_service", "housing", "police"),
        frequency=Frequency.MONTH,
        at=time(9),
        days=(15,),
        day_off=DayOff.NEXT_WORKDAY,
    ),
)


async def write_work(unit: WriteUnit, *, now: datetime) -> None:
    """Write joint work, evidence of returns, plans, ladders and a hand-over of a post."""
    reference = await load_reference(unit)
    await _joint_work(unit, reference, now)
    await _evidence(unit)
    for operation in _OPERATIONS:
        await save_plan(unit, JURISDICTION, _plan(operation, now.date()), reference, by="demo")
    await _ladders(unit)
    await _hand_over(unit, now)


async def _joint_work(unit: WriteUnit, reference: Reference, now: datetime) -> None:
    for category, further, legs in _JOINT:
        case = await _case_under_way(unit, category, now)
        if case is None:
            continue
        begun, ref = case["acknowledged_at"], case["ref"]
        # The desk sees that one office is not enough, calls in the matrix's departments, and names further ones.
        step = (now - begun) / 12
        for place, plans in enumerate(((), tuple(LegPlan(department=name, task=_TASKS[name]) for name in further))):
            row = await lock_case(unit, ref)
            assert row is not None
            request = MoveRequest(ref=ref, move=Move.SPLIT_JOINT, actor=DESK, seen_version=row["version"], legs=plans)
            await move_locked(unit, row, request, reference, at=begun + step * (1 + place / 4))
        await _move_legs(unit, case, legs, begun + 2 * step, step)


async def _move_legs(
    unit: WriteUnit, case: dict[str, Any], legs: tuple[tuple[LegMove, ...], ...], since: datetime, step: timedelta
) -> None:
    at = since
    for number, moves in enumerate(legs, start=1):
        for move in moves:
            at += step
            leg = next(one for one in await list_legs(unit, case["id"]) if one.number == number)
            at_the_desk = move in (LegMove.SIGN, LegMove.RE_DISPATCH)
            head = find_head(leg.ladder)
            request = LegRequest(
                ref=case["ref"],
                number=number,
                move=move,
                actor=DESK if at_the_desk or head is None else Actor(kind="person", id=str(head.rung.person_id)),
                seen_version=leg.version,
                reason="该处不在本中队管辖路段" if move is LegMove.RETURN else "",
                result="已到场处置完毕，现场拍照留存" if move is LegMove.REPORT_BACK else "",
            )
            await move_leg(unit, request, at=at)


async def _case_under_way(unit: WriteUnit, category: str, now: datetime) -> dict[str, Any] | None:
    """A case of a class that is being handled for a while and is not late; the same one for the same demo."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT id, ref, acknowledged_at FROM dispatch.dispatch_case WHERE origin = 'demo' AND state = 'handling'"
            " AND category_code = %(category)s AND open_legs = 0 AND acknowledged_at < %(before)s"
            " ORDER BY due_at > %(now)s DESC, acknowledged_at, id LIMIT 1",
            {"category": category, "before": now - timedelta(minutes=30), "now": now},
        )
        return await cursor.fetchone()


async def _evidence(unit: WriteUnit) -> None:
    """Point against polygon, for cases that wait to be dispatched again."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT c.id, c.return_count, c.owner_person_id, e.occurred_at, e.payload ->> 'reason' AS reason"
            " FROM dispatch.dispatch_case AS c JOIN dispatch.case_event AS e ON e.case_id = c.id"
            " AND e.type = 'case.returned.v1' WHERE c.origin = 'demo' AND c.state = 'returned' ORDER BY c.id"
        )
        rows = await cursor.fetchall()
    for row in rows:
        await add_return(
            unit,
            row["id"],
            number=row["return_count"],
            at=row["occurred_at"],
            by=f"person:{row['owner_person_id']}",
            reason=row["reason"] or "",
            lonlat=None,
            raw=None,
        )


def _plan(operation: _Operation, first_day: date) -> PlanDraft:
    is_monthly = operation.frequency is Frequency.MONTH
    return PlanDraft(
        name=operation.name,
        text=operation.text,
        category=operation.category,
        condition=1,
        cell=operation.cell,
        ledgers=(),
        legs=tuple(LegPlan(department=name, task=_TASKS[name]) for name in operation.departments),
        recurrence=Recurrence(
            frequency=operation.frequency,
            at=operation.at,
            first_day=first_day,
            weekdays=() if is_monthly else operation.days,
            month_days=operation.days if is_monthly else (),
            day_off=operation.day_off,
        ),
    )


async def _ladders(unit: WriteUnit) -> None:
    """An office that is stricter than the shipped ladder, and one class that all take more seriously."""

    strict = (
        _share("half", "0.5", "时限过半提醒", "Half of the limit"),
        _share("three_quarters", "0.75", "时限过四分之三提醒", "Three quarters of the limit"),
        _share("nine_tenths", "0.9", "即将到期提醒", "Nine tenths of the limit"),
        _late("due", 0, Target.PARENT_HEAD, "到期", "Due"),
        _late("due_4h", 4, Target.DEPARTMENT_HEAD, "超期 4 工作时", "4 working hours late"),
        _late("due_8h", 8, Target.TOP_HEAD, "超期 8 工作时", "8 working hours late"),
        _late("due_16h", 16, Target.LEADER, "超期 16 工作时，通报", "16 working hours late, bulletin"),
    )
    noise = (
        _share("half", "0.5", "时限过半提醒", "Half of the limit"),
        _late("due", 0, Target.SHIFT_LEADER, "到期", "Due"),
        _late("due_2h", 2, Target.DEPARTMENT_HEAD, "超期 2 工作时", "2 working hours late"),
        _late("due_8h", 8, Target.LEADER, "超期 8 工作时，通报", "8 working hours late, bulletin"),
    )
    own = LadderScope(jurisdiction=JURISDICTION, cell_code=_STREET, category="")
    await add_ladder(unit, LadderDraft(scope=own, rungs=strict, note="街道自定：三次提醒，当日逐级上报", by="demo"))
    night = LadderScope(jurisdiction=JURISDICTION, cell_code="", category="E0302")
    await add_ladder(unit, LadderDraft(scope=night, rungs=noise, note="夜间施工噪声专项", by="demo"))


def _share(code: str, part: str, zh: str, en: str) -> LadderRung:
    return LadderRung(code=code, basis=Basis.SHARE, target=Target.OWNER, share=Decimal(part), name_zh=zh, name_en=en)


def _late(code: str, hours: int, target: Target, zh: str, en: str) -> LadderRung:
    after = Limit(value=hours, unit=LimitUnit.WORKING_HOUR)
    is_told_of = target is Target.LEADER
    return LadderRung(
        code=code,
        basis=Basis.AFTER_DUE,
        target=target,
        after=after,
        in_bulletin=is_told_of,
        name_zh=zh,
        name_en=en,
    )


async def _hand_over(unit: WriteUnit, now: datetime) -> None:
    """The acceptor's post of a subdistrict has just changed hands; whoever came has read the words."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT p.id, b.person_id FROM dispatch.post AS p JOIN dispatch.appointment AS b ON b.post_id ="
            " (SELECT o.id FROM dispatch.post AS o WHERE o.kind = 'evaluator' AND o.cell_code = p.cell_code LIMIT 1)"
            " WHERE p.kind = 'acceptor' AND p.cell_code = %s LIMIT 1",
            (SUBDISTRICTS[0].code,),
        )
    ).fetchone()
    assert row is not None
    made = await hand_post_over(
        unit,
        JURISDICTION,
        row[0],
        to_person=row[1],
        from_person=None,
        notes="早班交接：热线积压 2 件待核实；建设路井盖件已电话回访一次。",
        actor=DESK,
        now=now,
    )
    reader = Actor(kind="person", id=str(row[1]))
    await acknowledge_hand_over(unit, JURISDICTION, row[0], made["id"], actor=reader, now=now)
