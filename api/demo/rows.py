"""Cases and their histories as lines for COPY: column-wise formatting, twenty thousand rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from api.demo.cases import CHANNELS, LEDGERS, STATES, CaseTable
from api.demo.deciding import Decider
from api.demo.duty import department_of
from api.demo.geometry import District
from api.demo.histories import ACTS, DESK, ESCALATE, LINE, RE_DISPATCH, History
from api.demo.people import People
from api.demo.places import JURISDICTION
from api.demo.profiles import RESULTS, RETURN_REASONS, REWORK_REASONS, SUSPEND_REASONS
from api.demo.timing import NEVER
from api.demo.wording import Wording
from dispatch.catalogue import Catalogue
from dispatch.states import HANDLING_STATES, CaseState
from geo.cells import TIE_RULE

Ints = NDArray[np.int64]

_CHUNK = 20_000
_NULL = "\\N"

CASE_COLUMNS = (
    "id, jurisdiction, ref, version, origin, channel_code, ticket, category_code, condition_number, text, address,"
    " ledgers, location, raw_x, raw_y, coord_sys, grid_version_id, cell_id, cell_path, located_how, tie_rule, state,"
    " reported_at, accepted_at, filed_at, dispatched_at, acknowledged_at, handled_at, checked_at, closed_at,"
    " suspended_until, due_at, due_provisional, warn_at, next_rung_at, is_on_time, closed_level, rework_count,"
    " return_count, department_code, owner_post_id, owner_person_id, owner_ladder, owner_version_id, owner_path,"
    " limit_value, limit_unit"
)
EVENT_COLUMNS = (
    "case_id, seq, type, moves, from_state, to_state, occurred_at, recorded_at, actor_kind, actor_id, payload"
)
_REASONS = {"return": RETURN_REASONS, "rework": REWORK_REASONS, "suspend": SUSPEND_REASONS}


@dataclass(slots=True, kw_only=True)
class Writer:
    """Formats the rows of one load.

    Parameters
    ----------
    cell_ids
        Database ids of the level-3 cells, in the district's order.
    post_ids
        Database ids of the posts, in the order of `People.posts`.
    lines
        Numbers of the matrix's lines, by the class they are written for.
    first_number
        Number of the oldest case; the others follow in the order of reporting.
    """

    district: District
    catalogue: Catalogue
    people: People
    table: CaseTable
    history: History
    version_id: int
    cell_ids: Sequence[int]
    post_ids: Sequence[int]
    lines: Mapping[str, int]
    first_number: int
    now: datetime
    seed: int
    _ids: list[str] = field(init=False)
    _letters: list[str] = field(init=False)
    _decider: Decider = field(init=False)

    def __post_init__(self) -> None:
        self._letters = [c.code[0] for c in self.catalogue.categories if c.parent]
        self._ids = _uuid7(self.table.reported, self.seed)
        self._decider = Decider(
            district=self.district,
            catalogue=self.catalogue,
            people=self.people,
            table=self.table,
            version_id=self.version_id,
            post_ids=self.post_ids,
            lines=self.lines,
        )

    def case_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (rows, lines) for the case table."""
        t, leaves = self.table, self.district.of_level(3)
        wording = Wording(self.district, self.catalogue)
        minor = [c.code for c in self.catalogue.categories if c.parent]
        known = department_of(self.catalogue)
        departments = [known.get(code, _NULL) for code in minor]
        numbers = [str(c.number) for c in self.catalogue.conditions]
        # The last stands for a case without a clock, whose condition is -1.
        limits = [(str(c.limit.value), c.limit.unit.value) for c in self.catalogue.conditions] + [(_NULL, _NULL)]
        # By level: where the desk sent a case to a head above, and the cell itself.
        paths = [["{" + ",".join(c.path[:level]) + "}" for level in (1, 2, 3)] for c in leaves] + [["", "", "{}"]]
        cells = [str(i) for i in self.cell_ids] + [_NULL]
        acts = np.bincount(self.history.case, minlength=len(t))
        days = _days(t.reported)
        for start in range(0, len(t), _CHUNK):
            rows = slice(start, min(start + _CHUNK, len(t)))
            size = rows.stop - rows.start
            state = [STATES[s] for s in t.state[rows].tolist()]
            salt, cell = t.salt[rows].tolist(), t.cell[rows].tolist()
            channel = [CHANNELS[c] for c in t.channel[rows].tolist()]
            category, condition = t.category[rows].tolist(), t.condition[rows].tolist()
            street, spot = t.street[rows].tolist(), t.spot[rows].tolist()
            owned = (t.dispatched[rows] != NEVER).tolist()
            counted = np.where(t.due[rows] != NEVER, t.condition[rows], -1).tolist()
            owner, level = self._decider.owner[rows].tolist(), t.level[rows].tolist()
            handled = t.handled[rows] != NEVER
            on_time = np.where(handled, np.where(t.handled[rows] <= t.due[rows], "t", "f"), _NULL).tolist()
            rung = np.where(
                np.isin(t.state[rows], [STATES.index(s) for s in HANDLING_STATES]) & (t.escalated[rows] == NEVER),
                t.due[rows],
                NEVER,
            )
            columns: list[list[str]] = [
                self._ids[rows],
                [JURISDICTION] * size,
                [f"{d}-{n:07d}" for d, n in zip(days[rows], range(self.first_number + start, 10**9), strict=False)],
                [str(n) for n in acts[rows].tolist()],
                ["demo"] * size,
                [c[0] for c in channel],
                [f"{c[5]}{d[2:]}{n:06d}" for c, d, n in zip(channel, days[rows], range(start, 10**9), strict=False)],
                [minor[k] for k in category],
                [numbers[k] if k >= 0 else _NULL for k in condition],
                [wording.text(*of) for of in zip(category, condition, street, spot, cell, salt, strict=True)],
                [wording.address(s, n) for s, n in zip(street, salt, strict=True)],
                ["{" + LEDGERS[k] + "}" for k in t.ledger[rows].tolist()],
                _points(t.lon[rows], t.lat[rows]),
                list(map(repr, t.raw_x[rows].tolist())),
                list(map(repr, t.raw_y[rows].tolist())),
                [c[4].value for c in channel],
                [str(self.version_id)] * size,
                [cells[k] for k in cell],
                [paths[k][2] for k in cell],
                ["covers" if k >= 0 else "out_of_grid" for k in cell],
                [TIE_RULE] * size,
                [s.value for s in state],
                *(
                    _instants(getattr(t, name)[rows])
                    for name in (
                        "reported", "accepted", "filed", "dispatched", "acknowledged", "handled", "checked", "closed",
                        "suspended_until", "due",
                    )
                ),
                np.where(t.provisional[rows] == 1, "t", "f").tolist(),
                _instants(t.warn[rows]),
                _instants(rung),
                on_time,
                np.where(t.closed[rows] != NEVER, t.level[rows].astype(np.str_), _NULL).tolist(),
                np.where(t.reworked[rows] != NEVER, "1", "0").tolist(),
                np.where(t.returned[rows] != NEVER, "1", "0").tolist(),
                [departments[k] for k in category],
                [str(self.post_ids[p]) if o else _NULL for p, o in zip(owner, owned, strict=True)],
                [self._decider.person(p) if o else _NULL for p, o in zip(owner, owned, strict=True)],
                [
                    self._decider.ladder(start + n, whole=s is not CaseState.CLOSED) or _NULL
                    for n, s in enumerate(state)
                ],
                [str(self.version_id) if c >= 0 and n < 3 else _NULL for c, n in zip(cell, level, strict=True)],
                [paths[c][n - 1] if c >= 0 and n < 3 else _NULL for c, n in zip(cell, level, strict=True)],
                [limits[k][0] for k in counted],
                [limits[k][1] for k in counted],
            ]  # fmt: skip
            yield size, _lines(columns)

    def event_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (rows, lines) for the event table."""
        h, t = self.history, self.table
        salts = t.salt.tolist()
        names = [s.value for s in STATES]
        moves = ["{" + ",".join(a.moves) + "}" for a in ACTS]
        channels = [CHANNELS[c][0] for c in t.channel.tolist()]
        persons = [self._decider.person(p) for p in self._decider.owner.tolist()]
        for start in range(0, len(h), _CHUNK):
            rows = slice(start, min(start + _CHUNK, len(h)))
            case, act = h.case[rows].tolist(), h.act[rows].tolist()
            at = _instants(h.at[rows])
            who = {"channel": channels, "person": persons}
            columns = [
                [self._ids[k] for k in case],
                list(map(str, h.seq[rows].tolist())),
                [ACTS[a].type for a in act],
                [moves[a] for a in act],
                [names[s] if s >= 0 else _NULL for s in h.before[rows].tolist()],
                [names[s] for s in h.after[rows].tolist()],
                at,
                at,
                [ACTS[a].actor for a in act],
                [
                    who[ACTS[a].actor][k] if ACTS[a].actor in who else _DESK_OF[ACTS[a].actor]
                    for a, k in zip(act, case, strict=True)
                ],
                [self._payload(a, k, salts[k], q) for a, k, q in zip(act, case, h.seq[rows].tolist(), strict=True)],
            ]
            yield rows.stop - rows.start, _lines(columns)

    def escalation_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (rows, lines) for the rungs that have fired: case, rung, clock epoch, fired at, person told."""
        rows = np.flatnonzero(self.table.escalated != NEVER)
        fired = _instants(self.table.escalated[rows])
        told = [self._told(int(k)) for k in rows]
        columns = [
            [self._ids[k] for k in rows.tolist()],
            ["due"] * len(rows),
            ["1"] * len(rows),
            fired,
            [_NULL if p is None else self._decider.person(p) for p in told],
        ]
        yield len(rows), _lines(columns)

    def _told(self, case: int) -> int | None:
        """Return the post told when the deadline passed: the A post above the owner's level; None above level 1."""
        level = int(self.table.level[case])
        if level == 1:
            return None
        leaf = self.district.of_level(3)[int(self.table.cell[case])]
        return self.people.head_of[(leaf.path[level - 2], "A")]

    def _payload(self, act: int, case: int, salt: int, seq: int) -> str:
        says = ACTS[act].says
        if says == "result":
            words = RESULTS[self._letters[self.table.category[case]]]
            return f'{{"result": "{words[salt % len(words)]}"}}'
        if says:
            return f'{{"reason": "{_REASONS[says][salt % len(_REASONS[says])]}"}}'
        if ACTS[act] is ESCALATE:
            return self._escalation(case)
        parts = ['"how": "covers"'] if seq == 1 and self.table.cell[case] >= 0 else []
        if ACTS[act] in _DECIDING:
            parts.append(self._decider.decision(case, whole=STATES[self.table.state[case]] is not CaseState.CLOSED))
        return "{" + ", ".join(filter(None, parts)) + "}"

    def _escalation(self, case: int) -> str:
        told = self._told(case)
        post = None if told is None else self.people.posts[told]
        return json.dumps(
            {
                "rung": "due",
                "due_at": _iso(int(self.table.due[case])),
                "told_post_id": None if told is None else self.post_ids[told],
                "told_zh": post.title_zh if post else None,
                "told_en": post.title_en if post else None,
                "told_person_id": None if told is None else self._decider.person(told),
            },
            ensure_ascii=False,
        )


_DECIDING = (LINE, DESK, RE_DISPATCH)
_DESK_OF = {"operator": "desk", "system": "worker"}


def _lines(columns: Sequence[Sequence[str]]) -> bytes:
    # Nothing the generator writes contains a tab, a newline or a backslash, so the lines need no escaping.
    return ("\n".join(map("\t".join, zip(*columns, strict=True))) + "\n").encode()


def _instants(micros: Ints) -> list[str]:
    texts = np.datetime_as_string(np.where(micros == NEVER, 0, micros).astype("datetime64[us]"), unit="us")
    return np.where(micros == NEVER, _NULL, np.char.add(texts, "Z")).tolist()  # type: ignore[no-any-return]


def _iso(micros: int) -> str:
    return str(np.datetime_as_string(np.datetime64(micros, "us"), unit="us")) + "+00:00"


def _days(micros: Ints) -> list[str]:
    """Return local days as YYYYMMDD. Zone: Asia/Shanghai, eight hours ahead all year."""
    local = (micros + 8 * 3_600_000_000).astype("datetime64[us]").astype("datetime64[D]")
    return [d.replace("-", "") for d in np.datetime_as_string(local).tolist()]


def _points(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> list[str]:
    """Return points as hexadecimal EWKB. SRID: 4326."""
    head = np.frombuffer(bytes.fromhex("0101000020e6100000"), dtype=np.uint8)
    body = np.stack([lon, lat], axis=1).astype("<f8").view(np.uint8)
    text = np.concatenate([np.broadcast_to(head, (len(lon), 9)), body], axis=1).tobytes().hex()
    return [text[k : k + 50] for k in range(0, len(text), 50)]


def _uuid7(micros: Ints, seed: int) -> list[str]:
    """Return version-7 ids that sort by the instant of reporting, drawn from the seed."""
    rng = np.random.default_rng(seed + 7)
    first = rng.integers(0, 1 << 12, len(micros))
    second = rng.integers(0, 1 << 62, len(micros))
    texts: list[str] = []
    for ms, a, b in zip((micros // 1000).tolist(), first.tolist(), second.tolist(), strict=True):
        digits = f"{ms:012x}7{a:03x}{b | 1 << 63:016x}"
        texts.append(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")
    return texts
