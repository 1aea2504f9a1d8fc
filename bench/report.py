"""What a benchmark prints: one result per promise, and the circumstances it was measured in."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

_PACKAGES = ("gridward", "numpy", "shapely", "numba", "psycopg", "fastapi", "uvicorn", "folium")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One promise, measured. ``target`` is text for people; ``holds`` is the verdict."""

    id: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: str
    holds: bool
    note: str = ""

    @classmethod
    def times_baseline(
        cls, id_: str, value: float, unit: str, *, baseline: float, at_least: float, note: str = ""
    ) -> Result:
        """Make a rate that must reach a multiple of its baseline's rate."""
        ratio = value / baseline
        return cls(
            id=id_,
            value=value,
            unit=unit,
            baseline=baseline,
            ratio=ratio,
            target=f"≥ {at_least:g} × baseline",
            holds=ratio >= at_least,
            note=note,
        )

    @classmethod
    def at_most(cls, id_: str, value: float, unit: str, limit: float, *, note: str = "") -> Result:
        """Make a figure that must not exceed a limit."""
        return cls(id=id_, value=value, unit=unit, target=f"≤ {limit:g} {unit}", holds=value <= limit, note=note)

    @classmethod
    def at_least(cls, id_: str, value: float, unit: str, least: float, *, note: str = "") -> Result:
        """Make a rate that must reach a number."""
        return cls(id=id_, value=value, unit=unit, target=f"≥ {least:,g} {unit}", holds=value >= least, note=note)

    @classmethod
    def none_of(cls, id_: str, failures: int, tries: int, *, note: str = "") -> Result:
        """Make a count of failures that must be zero, with the 95 % bound that zero of so many tries proves."""
        bound = f"0 of {tries:,} proves < {3 / tries:.1e} (95 %)" if tries else "nothing tried"
        holds = failures == 0 and tries > 0
        note = "; ".join(part for part in (bound, note) if part)
        return cls(id=id_, value=failures, unit=f"of {tries:,}", target="0", holds=holds, note=note)

    def line(self) -> str:
        """One line for people."""
        baseline = f"{self.baseline:,.4g}" if self.baseline is not None else "–"
        ratio = f"{self.ratio:,.1f} ×" if self.ratio is not None else "–"
        verdict = "holds" if self.holds else "FALLS SHORT"
        value = f"{self.value:,.0f}" if abs(self.value) >= 1000 else f"{self.value:,.4g}"
        text = f"{self.id:<34} {value:>14} {self.unit:<14} {baseline:>12} {ratio:>10}  {self.target:<18} {verdict}"
        return f"{text}\n    {self.note}" if self.note else text


@dataclass(kw_only=True)
class Report:
    """All results of one run."""

    name: str
    seed: int
    full: bool
    results: list[Result] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: _versions())

    @property
    def holds(self) -> bool:
        """Whether there are results and all of them hold."""
        return bool(self.results) and all(result.holds for result in self.results)

    def heading(self) -> str:
        """Column names."""
        titles = ("value", "unit", "baseline", "ratio")
        return f"{'id':<34} {titles[0]:>14} {titles[1]:<14} {titles[2]:>12} {titles[3]:>10}  {'target':<18} verdict"

    def footing(self) -> str:
        """The circumstances, in lines for people."""
        versions = ", ".join(f"{name} {version}" for name, version in sorted(self.versions.items()))
        machine = ", ".join(f"{name} {value}" for name, value in _machine().items())
        profile = "full" if self.full else "quick"
        return f"{self.name} ({profile}), commit {_commit()}, seed {self.seed}\n{machine}\n{versions}"

    def as_json(self) -> str:
        """The whole report as one JSON document."""
        document = {
            "name": self.name,
            "commit": _commit(),
            "versions": dict(sorted(self.versions.items())),
            "seed": self.seed,
            "profile": "full" if self.full else "quick",
            "machine": _machine(),
            "holds": self.holds,
            "results": [asdict(result) for result in self.results],
        }
        return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def _machine() -> dict[str, str]:
    model = platform.processor() or platform.machine()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    try:
        cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next(line.split(":", 1)[1].strip() for line in cpu.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "system": platform.platform(terse=True),
        "cpu": model,
        "cores": str(os.cpu_count()),
        "memory": f"{memory_gb:.0f} GB",
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
