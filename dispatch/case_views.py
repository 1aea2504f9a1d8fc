"""What is read of a case: plain values without SQL, language or HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from dispatch.belonging import Belonging
from dispatch.guards import Facts, Request
from dispatch.posts import Head, find_head, parse_ladder
from dispatch.states import CaseState, Light


class Inbox(StrEnum):
    """The dispatcher's inboxes; each is one condition in ``dispatch/storage/cases.py``."""

    ALL = "all"
    TO_DISPATCH = "to_dispatch"
    OUT_OF_GRID = "out_of_grid"
    DUE_SOON = "due_soon"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """A case as lists, the live map and the stream show it. SRID: 4326 for lon, lat."""

    id: UUID
    ref: str
    version: int
    state: CaseState
    origin: str
    light: Light
    channel: str
    channel_zh: str
    channel_en: str
    ticket: str
    category: str
    category_zh: str
    category_en: str
    condition: int | None
    text: str
    address: str
    ledgers: tuple[str, ...]
    ledger_names: tuple[Mapping[str, Any], ...]
    reported_at: datetime
    dispatched_at: datetime | None
    acknowledged_at: datetime | None
    handled_at: datetime | None
    closed_at: datetime | None
    suspended_until: datetime | None
    due_at: datetime | None
    due_provisional: bool
    warn_at: datetime | None
    is_on_time: bool | None
    chain: tuple[Mapping[str, Any], ...]
    lon: float | None
    lat: float | None
    coord_sys: str | None
    how: str
    nearest: tuple[Mapping[str, Any], ...]
    owner_post_id: int | None
    ladder: tuple[Mapping[str, Any], ...]
    clock_epoch: int = 1
    return_count: int = 0
    rework_count: int = 0
    extension_count: int = 0
    suspend_count: int = 0
    asked: str | None = None
    is_exempt: bool = False
    follow_up: str | None = None
    received_by: str | None = None
    supervised_until: datetime | None = None
    stage_clock: str | None = None
    stage_due_at: datetime | None = None
    follows: str | None = None
    followers: tuple[str, ...] = ()
    open_legs: int = 0
    open_phases: int = 0
    area: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    accuracy_m: float | None = None
    limit_value: Decimal | None = None
    limit_unit: str | None = None
    confirm_on_site: bool = False

    def facts(self, as_of: datetime) -> Facts:
        """What the guards of the workflow look at."""
        return Facts(
            state=self.state,
            return_count=self.return_count,
            rework_count=self.rework_count,
            extension_count=self.extension_count,
            suspend_count=self.suspend_count,
            clock_epoch=self.clock_epoch,
            asked=Request(self.asked) if self.asked else None,
            received_by=self.received_by or "",
            is_overdue=self.due_at is not None and as_of > self.due_at,
            is_late=self.is_on_time is False,
            is_exempt=self.is_exempt,
            is_supervised=self.supervised_until is not None,
            is_joint=self.open_legs > 0,
            has_open_phase=self.open_phases > 0,
        )

    @property
    def belonging(self) -> Belonging:
        """What decides who sees it."""
        return Belonging(cells=self.area, departments=self.departments, channel=self.channel)

    def head(self) -> Head | None:
        """The responsible person as decided when the case was dispatched; later leave does not rewrite it."""
        return find_head(parse_ladder(self.ladder)) if self.owner_post_id is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One act in a case's history."""

    seq: int
    type: str
    moves: tuple[str, ...]
    from_state: str | None
    to_state: str
    occurred_at: datetime
    actor_kind: str
    actor_id: str
    actor_name_zh: str
    actor_name_en: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """What a list asks for; None means "any". Boundary: ``[reported_from, reported_until)``.

    ``box`` is (west, south, east, north); where west lies east of east it crosses the antimeridian. SRID: 4326.
    """

    inbox: Inbox | None = None
    states: tuple[CaseState, ...] = ()
    only_open: bool = False
    cell_code: str | None = None
    category: str | None = None
    channel: str | None = None
    ledger: str | None = None
    department: str | None = None
    reported_from: datetime | None = None
    reported_until: datetime | None = None
    box: tuple[float, float, float, float] | None = None
    light: Light | None = None
    #: All of them are in its text, address, number or ticket.
    words: tuple[str, ...] = ()
    #: A polygon as WKT that covers the position. SRID: 4326.
    within: str | None = None
    jurisdiction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePage:
    """A page of a list, newest first, with the cursor of the next one."""

    cases: tuple[CaseView, ...]
    next: str | None
    as_of: datetime
