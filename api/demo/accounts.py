"""Accounts of the demo: one for each role, without a password; whoever sits at the machine may choose one."""

from __future__ import annotations

from typing import Final

from api.accounts.people import NewGrant, add_grant, add_person
from api.accounts.roles import Role
from api.demo.people import People
from api.demo.places import JURISDICTION, SUBDISTRICTS
from geo.storage.uow import WriteUnit

__all__ = ["write_accounts"]

#: Role, kind of the post whose holder it is (None: somebody without a post), and where: a level of cells, a department.
_ROLES: Final[tuple[tuple[Role, str | None, int, str | None], ...]] = (
    (Role.DISPATCHER, None, 0, None),
    (Role.SHIFT_LEADER, "shift_leader", 1, None),
    (Role.DISPATCHER, "dispatcher", 1, None),
    (Role.ACCEPTOR, "acceptor", 1, None),
    (Role.LEADER, "leader", 1, None),
    (Role.EVALUATOR, "evaluator", 1, None),
    (Role.GRID_HEAD, "grid_head", 2, None),
    (Role.GRID_HEAD, "grid_head", 3, None),
    (Role.GRID_WORKER, None, 3, None),
    (Role.DEPARTMENT_HANDLER, "department_handler", 0, "sanitation"),
    (Role.PLANNER, None, 0, None),
    (Role.ADMINISTRATOR, None, 0, None),
)
_NAMES: Final = {
    Role.DISPATCHER: "派遣员 总台",
    Role.GRID_WORKER: "网格员 甲",
    Role.PLANNER: "规划分析员 甲",
    Role.ADMINISTRATOR: "管理员 甲",
}


async def write_accounts(unit: WriteUnit, people: People) -> None:
    """Make the accounts, most of them for holders of posts in the first subdistrict."""
    first = SUBDISTRICTS[0].code
    for number, (role, kind, level, department) in enumerate(_ROLES, start=1):
        post = next(
            (
                post
                for post in people.posts
                if post.kind == kind
                and post.rank == "A"
                and (post.department == department)
                and (level == 0 or ((post.cell or "").startswith(first) and len(post.cell or "") == 6 + 3 * level))
            ),
            None,
        )
        cell = post.cell if post is not None else None
        if cell is None and level:
            cell = next(
                p.cell for p in people.posts if p.cell and p.cell.startswith(first) and len(p.cell) == 6 + 3 * level
            )
        account = await add_person(
            unit,
            jurisdiction=JURISDICTION,
            login=f"demo-{number:02d}-{role.value}",
            name=_NAMES.get(role, role.value),
            password=None,
            person_id=people.persons[post.holder].id if post is not None else None,
            is_demo=True,
        )
        grant = NewGrant(role=role, cell=cell, department=department)
        await add_grant(unit, account, grant, jurisdiction=JURISDICTION, by="demo")
