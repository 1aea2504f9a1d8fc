"""Who answered for each demo case, and the decision as the histories keep it: ladder, line of the matrix, path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.demo.cases import CaseTable
from api.demo.duty import DAY_SHIFT, FALLBACK, MATRIX, leading_of
from api.demo.geometry import District
from api.demo.people import DEPARTMENTS, People
from api.demo.timing import HOUR_US, NEVER
from dispatch.catalogue import Catalogue
from dispatch.routing import RULE
from dispatch.segments import DAY_US, to_micros

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(slots=True, kw_only=True)
class Decider:
    """Works out owners for all cases at once, and writes each kind of decision once.

    Parameters
    ----------
    lines
        Numbers of the matrix's lines, by the class they are written for.
    """

    district: District
    catalogue: Catalogue
    people: People
    table: CaseTable
    version_id: int
    post_ids: Sequence[int]
    lines: Mapping[str, int]
    owner: Ints = field(init=False)
    absent: Bools = field(init=False)
    _led: list[str] = field(init=False)
    _off: Bools = field(init=False)
    _routes: list[str] = field(init=False)
    _handlers: dict[tuple[str, str], int] = field(init=False)
    _kept: dict[tuple[int, int, bool, bool, str, bool], str] = field(default_factory=dict)
    _paths: dict[tuple[int, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        minor = [c for c in self.catalogue.categories if c.parent]
        leading = leading_of(self.catalogue)
        self._led = [leading.get(c.code, "") for c in minor]
        self._routes = [json.dumps(self._route(c.code, c.parent or ""), ensure_ascii=False) for c in minor]
        self._handlers = {
            (post.department, post.rank): number
            for number, post in enumerate(self.people.posts)
            if post.kind == "department_handler" and post.department is not None
        }
        self._decide()

    def ladder(self, case: int, *, whole: bool) -> str | None:
        """The ladder as JSON: whole, or only the rungs that decided; None out of the grid."""
        t = self.table
        cell = int(t.cell[case])
        if cell < 0:
            return None
        led = self._led[int(t.category[case])]
        key = (cell, int(t.level[case]), bool(self.absent[case]), whole, led, bool(led and self._off[case]))
        if key not in self._kept:
            self._kept[key] = json.dumps(self._ladder(*key), ensure_ascii=False)
        return self._kept[key]

    def decision(self, case: int, *, whole: bool) -> str:
        """What the event of a dispatch keeps, as the inside of a JSON object."""
        ladder = self.ladder(case, whole=whole)
        if ladder is None:
            return ""
        cell, level = int(self.table.cell[case]), int(self.table.level[case])
        if (cell, level) not in self._paths:
            path = list(self.district.of_level(3)[cell].path[:level])
            sent = f', "cell": "{path[-1]}"' if level < 3 else ""
            self._paths[cell, level] = f'"path": {json.dumps(path)}, "version_id": {self.version_id}{sent}'
        route = self._routes[int(self.table.category[case])]
        return f'{self._paths[cell, level]}, "route": {route}, "ladder": {ladder}'

    def person(self, post: int) -> str:
        """Id of a post's holder."""
        return str(self.people.persons[self.people.posts[post].holder].id)

    def _decide(self) -> None:
        """The department that leads, the A post, its B post while A was away, or the head whom the desk chose."""
        t, people = self.table, self.people
        leaves = self.district.of_level(3)
        by_level = {
            level: np.array([people.head_of[(c.path[level - 1], "A")] for c in leaves] + [0]) for level in (1, 2, 3)
        }
        backup = np.array([people.head_of[(c.code, "B")] for c in leaves] + [0])
        when = np.where(t.dispatched == NEVER, t.reported, t.dispatched)
        holders = np.array([p.holder for p in people.posts])[by_level[3]][t.cell]
        self.absent = np.zeros(len(t), dtype=np.bool_)
        for leave in people.leaves:
            inside = (when >= to_micros(leave.starts_at)) & (when < to_micros(leave.ends_at))
            self.absent |= (holders == leave.person) & inside
        is_led = np.array([bool(name) for name in self._led])[t.category]
        local = when + 8 * HOUR_US
        hour = local % DAY_US
        starts, ends = (each.hour * HOUR_US for each in DAY_SHIFT)
        # 1970-01-01 was a Thursday.
        weekday = (local // DAY_US + 3) % 7
        self._off = (weekday > 4) | (hour < starts) | (hour >= ends)
        handler = {
            rank: np.array([self._handlers[(name, rank)] if name else 0 for name in self._led])[t.category]
            for rank in "AB"
        }
        t.level[self.absent | is_led] = 3
        heads = np.select([t.level == 1, t.level == 2], [by_level[1][t.cell], by_level[2][t.cell]], by_level[3][t.cell])
        heads = np.where(self.absent, backup[t.cell], heads)
        self.owner = np.where(is_led, np.where(self._off, handler["B"], handler["A"]), heads)

    def _route(self, code: str, parent: str) -> dict[str, Any]:
        line = next((line for line in MATRIX if line[0] == code), None)
        line = line or next((line for line in MATRIX if line[0] == parent), ("", FALLBACK, "fallback"))
        names = next(each for each in DEPARTMENTS if each[0] == line[1])
        return {
            "rule": RULE,
            "rule_id": self.lines[line[0]],
            "mode": line[2],
            "department": line[1],
            "name_zh": names[1],
            "name_en": names[2],
            "cell_code": "",
            "category_code": line[0],
        }

    def _ladder(self, cell: int, level: int, absent: bool, whole: bool, led: str, off: bool) -> list[dict[str, Any]]:
        leaf = self.district.of_level(3)[cell]
        steps = [("", rank) for rank in "AB"] if led else []
        if whole or not led:
            steps += [(code, rank) for code in reversed(leaf.path[:level]) for rank in "AB"]
        rungs = [self._rung(n, leaf.path, code, rank, absent, led, off) for n, (code, rank) in enumerate(steps, 1)]
        if whole:
            return rungs
        # As far as the one who has it.
        return rungs[: next(n for n, rung in enumerate(rungs, 1) if rung["is_available"])]

    def _rung(
        self, step: int, path: Sequence[str], code: str, rank: str, absent: bool, led: str, off: bool
    ) -> dict[str, Any]:
        index = self.people.head_of[(code, rank)] if code else self._handlers[(led, rank)]
        post = self.people.posts[index]
        holder = self.people.persons[post.holder]
        away = next((v for v in self.people.leaves if v.person == post.holder), None) if absent else None
        is_off = not code and rank == "A" and off
        rung = {
            "step": step,
            "level": path.index(code) + 1 if code else len(path),
            "cell_code": code,
            "rank": rank,
            "post_id": self.post_ids[index],
            "title_zh": post.title_zh,
            "title_en": post.title_en,
            "person_id": str(holder.id),
            "person_name": holder.name,
            "leave_until": away.ends_at.isoformat() if away else None,
            "is_available": away is None and not is_off,
            "passed": "",
        }
        return rung | ({"is_off_shift": True} if is_off else {}) | ({} if code else {"department": led})
