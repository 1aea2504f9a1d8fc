"""Posts and their holders in the demo. Holders carry role names; nobody here is a real person."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from api.demo.geometry import DemoCell, District
from api.demo.places import SUBDISTRICTS

DEPARTMENTS: tuple[tuple[str, str, str], ...] = (
    ("urban_management", "城市管理执法中队", "Urban Management Squad"),
    ("municipal_works", "市政设施养护所", "Municipal Works"),
    ("greening", "园林绿化所", "Parks and Greening"),
    ("sanitation", "环境卫生所", "Sanitation"),
    ("police", "派出所", "Police Station"),
    ("traffic_police", "交警中队", "Traffic Police"),
    ("fire_service", "消防救援站", "Fire and Rescue"),
    ("market_supervision", "市场监督管理所", "Market Supervision"),
    ("housing", "房屋管理所", "Housing Office"),
    ("civil_affairs", "民政办公室", "Civil Affairs"),
    ("water", "供水服务站", "Water Supply"),
    ("power", "供电服务站", "Power Supply"),
    ("gas", "燃气服务站", "Gas Supply"),
    ("town_office", "街道综合治理中心", "Subdistrict Coordination Office"),
)

_DESK: tuple[tuple[str, str, str], ...] = (
    ("acceptor", "受理员", "Acceptor"),
    ("shift_leader", "值班长", "Shift leader"),
    ("dispatcher", "派遣员", "Dispatcher"),
    ("evaluator", "考核员", "Evaluator"),
    ("leader", "街道分管领导", "Subdistrict leader"),
)
_RANKS = (("A", "甲"), ("B", "乙"))
_ON_LEAVE = 7
_REASONS = ("年休假", "外出培训", "病假")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPost:
    """One post with its holder; `holder` indexes `People.persons`."""

    kind: str
    rank: str
    cell: str | None
    department: str | None
    title_zh: str
    title_en: str
    holder: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPerson:
    """A holder with a role name."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoLeave:
    """A person is away; `person` indexes `People.persons`."""

    person: int
    starts_at: datetime
    ends_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Everybody of the demo. `head_of` finds the index of a head's post by (cell code, rank)."""

    persons: tuple[DemoPerson, ...]
    posts: tuple[DemoPost, ...]
    leaves: tuple[DemoLeave, ...]
    head_of: dict[tuple[str, str], int]


def make_people(district: District, *, now: datetime, rng: random.Random) -> People:
    """Appoint an A and a B head for each cell, a desk for each subdistrict, a handler for each department."""
    persons: list[DemoPerson] = []
    posts: list[DemoPost] = []
    head_of: dict[tuple[str, str], int] = {}

    def appoint(
        kind: str, rank: str, cell: str | None, department: str | None, title: tuple[str, str], name: str
    ) -> None:
        persons.append(DemoPerson(id=UUID(int=rng.getrandbits(128), version=4), name=name))
        posts.append(
            DemoPost(
                kind=kind,
                rank=rank,
                cell=cell,
                department=department,
                title_zh=title[0],
                title_en=title[1],
                holder=len(persons) - 1,
            )
        )

    for cell in district.cells:
        short_zh, short_en = _short_name(cell)
        for rank, mark in _RANKS:
            head_of[(cell.code, rank)] = len(posts)
            title = (f"{short_zh}网格长（{rank}岗）", f"Grid head {short_en} ({rank} post)")
            appoint("grid_head", rank, cell.code, None, title, f"网格长 {short_zh}{mark}")
    for spec in SUBDISTRICTS:
        for kind, zh, en in _DESK:
            appoint(
                kind, "A", spec.code, None, (f"{spec.name_zh}{zh}", f"{en}, {spec.name_en}"), f"{zh} {spec.short_zh}甲"
            )
    for code, zh, en in DEPARTMENTS:
        appoint("department_handler", "A", None, code, (f"{zh}处置员", f"Handler, {en}"), f"处置员 {zh}甲")
    blocks = [c for c in district.cells if c.level == 3]
    leaves = tuple(
        DemoLeave(
            person=posts[head_of[(cell.code, "A")]].holder,
            starts_at=now - timedelta(days=rng.randint(1, 4), hours=rng.randint(0, 9)),
            ends_at=now + timedelta(days=rng.randint(2, 9), hours=rng.randint(1, 9)),
            reason=rng.choice(_REASONS),
        )
        for cell in rng.sample(blocks, _ON_LEAVE)
    )
    for code, zh, en in DEPARTMENTS:
        appoint("department_handler", "B", None, code, (f"{zh}处置员（B岗）", f"Backup, {en}"), f"处置员 {zh}乙")
        appoint("leader", "A", None, code, (f"{zh}负责人", f"Head of {en}"), f"负责人 {zh}甲")
    return People(persons=tuple(persons), posts=tuple(posts), leaves=leaves, head_of=head_of)


def _short_name(cell: DemoCell) -> tuple[str, str]:
    """Return what people call a cell: 建3-07 is block 07 of community 3 of 建设路."""
    spec = next(s for s in SUBDISTRICTS if s.code == cell.code[:9])
    if cell.level == 1:
        return spec.name_zh, spec.name_en
    if cell.level == 2:
        number = int(cell.code[9:])
        return f"{spec.short_zh}{number}", f"{spec.short_en} {number}"
    return cell.name_zh.split()[0], " ".join(cell.name_en.split()[:2])
