"""How the worker is, for probes and monitors: signs of life, and what the auditor found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Gauge

from dispatch.auditor import DUTY
from dispatch.queries import database_now
from dispatch.storage.worker import count_parked, read_signals
from geo.storage.uow import Unit

__all__ = ["PATIENCE_S", "WorkerHealth", "measure", "read_worker_health"]

#: A duty that has given no sign for this long counts as stopped. Units: seconds.
PATIENCE_S: Final = 60.0
_FOUND: Final = ("left", "unarmed", "wrong")

_AGE = Gauge("gridward_worker_age_seconds", "Seconds since a duty of the worker was last seen", ["duty"])
_LEFT = Gauge("gridward_worker_left_behind", "Cases that the auditor's last look found left behind")
_PARKED = Gauge("gridward_worker_parked", "Rows that failed too often and wait for a hand", ["kind"])
_WELL = Gauge("gridward_worker_well", "1 while every duty is alive and nothing due was left behind")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth:
    """Units: seconds. Without any sign of life the worker is absent."""

    seen_s: dict[str, float] = field(default_factory=dict)
    left_behind: int = 0
    parked: dict[str, int] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One word: ``ok``, ``absent`` (a duty is silent or was never seen) or ``left_behind``."""
        if not self.seen_s or max(self.seen_s.values()) >= PATIENCE_S:
            return "absent"
        return "left_behind" if self.left_behind else "ok"

    @property
    def is_well(self) -> bool:
        """Whether a monitor may rest. A worker whose auditor has not looked yet is not known to be well."""
        return self.verdict == "ok" and DUTY in self.seen_s


async def read_worker_health(unit: Unit) -> WorkerHealth:
    """Read the signs of life."""
    now = await database_now(unit)
    signals = await read_signals(unit)
    findings = signals[DUTY][1] if DUTY in signals else {}
    return WorkerHealth(
        seen_s={duty: round((now - seen_at).total_seconds(), 1) for duty, (seen_at, _) in signals.items()},
        left_behind=sum(int(findings.get(name, 0)) for name in _FOUND),
        parked=await count_parked(unit),
    )


def measure(worker: WorkerHealth) -> None:
    """Set the gauges."""
    _AGE.clear()
    for duty, age_s in worker.seen_s.items():
        _AGE.labels(duty=duty).set(age_s)
    for kind, count in worker.parked.items():
        _PARKED.labels(kind=kind).set(count)
    _LEFT.set(worker.left_behind)
    _WELL.set(1 if worker.is_well else 0)
