"""The office around the dispatcher's page: reports arrive and cases end, over the real doors."""

from __future__ import annotations

import json
import random
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

from bench._intake_stage import Stage

#: The doors take that many at once.
_MOST_REPORTS: Final = 1000
_MOST_MOVES: Final = 500
#: How a case that somebody has comes to its end.
_WAY_OUT: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("acknowledge", {}),
    ("report_back", {"result": "已清运"}),
    ("close", {}),
)


@dataclass(kw_only=True)
class Office:
    """Who reports and who handles.

    Attributes
    ----------
    events
        How many events its acts have made: one for each report and each move.
    """

    site: str
    stage: Stage
    chance: random.Random
    events: int = 0
    _reported: int = 0
    _open: deque[tuple[str, int, str]] = field(default_factory=deque)

    def report(self) -> dict[str, Any]:
        """The body of one more report, somewhere in the district."""
        west, south, east, north = self.stage.box
        place = {"lon": round(self.chance.uniform(west, east), 6), "lat": round(self.chance.uniform(south, north), 6)}
        self._reported += 1
        ticket = f"B{self._reported}"
        return {"ticket": ticket, "text": "路边垃圾满溢", "category": "E0101", "coord_sys": "wgs84", **place}

    def open_one(self) -> None:
        """One report by itself, as a hotline sends it."""
        self._keep(self._send("/v1/reports", self.report()))

    def open_many(self, count: int) -> None:
        """So many reports, in as few requests as the door allows."""
        for first in range(0, count, _MOST_REPORTS):
            reports = [self.report() for _ in range(min(_MOST_REPORTS, count - first))]
            for one in self._send("/v1/reports:batch", {"reports": reports})["results"]:
                self._keep(one["receipt"])

    def end(self, count: int) -> None:
        """The oldest so many are handled and closed; those that fell beside the grid are declined."""
        leaving = [self._open.popleft() for _ in range(count)]
        under_way = [(ref, version) for ref, version, status in leaving if status == "dispatched"]
        for move, more in _WAY_OUT:
            under_way = self._move(move, under_way, **more)
        self._move(
            "decline", [(ref, version) for ref, version, status in leaving if status != "dispatched"], reason="不在辖区"
        )

    def urge(self, count: int) -> None:
        """The oldest so many are urged and stay open."""
        staying = [self._open.popleft() for _ in range(count)]
        urged = self._move("urge", [(ref, version) for ref, version, _ in staying])
        self._open.extend((ref, version, status) for (ref, version), (*_, status) in zip(urged, staying, strict=True))

    def keep_open(self, count: int) -> None:
        """Report or end cases until exactly so many are open at the desk."""
        left = count - self.open_cases()
        if left > 0:
            self.open_many(left)
        elif left < 0:
            self.end(-left)
        if self.open_cases() != count:
            raise RuntimeError(f"{self.open_cases()} cases are open, {count} are wanted")

    def open_cases(self) -> int:
        """How many the service counts."""
        counts: dict[str, int] = self._send("/v1/inboxes")["counts"]
        return counts["all"]

    def bring_places(self, table: str) -> None:
        """A file of places, in WGS84."""
        self._ask("/v1/places:import?coord_sys=wgs84", table.encode(), "text/csv")

    def _keep(self, receipt: dict[str, Any]) -> None:
        self.events += 1
        self._open.append((receipt["case"], 1, receipt["status"]))

    def _move(self, move: str, cases: list[tuple[str, int]], **more: Any) -> list[tuple[str, int]]:
        made: list[tuple[str, int]] = []
        for first in range(0, len(cases), _MOST_MOVES):
            seen = [{"case": ref, "version": version} for ref, version in cases[first : first + _MOST_MOVES]]
            results = self._send("/v1/cases/moves:bulk", {"move": move, "cases": seen, **more})["results"]
            refused = [one for one in results if one["status"] != 200]
            if refused:
                raise RuntimeError(f"{move}: {refused[0]}")
            made += [(one["case"], one["version"]) for one in results]
        self.events += len(made)
        return made

    def _send(self, path: str, body: Any = None) -> Any:
        return self._ask(path, None if body is None else json.dumps(body).encode(), "application/json")

    def _ask(self, path: str, data: bytes | None, media_type: str) -> Any:
        headers = {"Content-Type": media_type}
        # The desk of a first start is open; reports come with a channel's key.
        if path.startswith("/v1/reports"):
            headers["Authorization"] = f"Bearer {self.stage.key}"
        request = urllib.request.Request(self.site + path, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)
