"""Benchmarks: every promise in figures, with its baseline measured beside it in the same run.

A module of this package offers one benchmark by decorating a function of its own name::

    @benchmark
    def locate(profile: Profile) -> Iterator[Result]: ...

``run("locate")`` imports ``bench.locate``, runs it, and prints one line for each `Result`.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable

from bench.profile import Profile
from bench.report import Report, Result
from geo.errors import BadInputError

__all__ = ["Profile", "Result", "benchmark", "names", "run"]

HOLDS, FELL_SHORT = 0, 3
# What is measured is how fast it can be, not how fast a channel may be.
os.environ.setdefault("GRIDWARD_CHANNEL_RATE", "")
Benchmark = Callable[[Profile], Iterable[Result]]
_found: dict[str, Benchmark] = {}


def benchmark(function: Benchmark) -> Benchmark:
    """Register a benchmark under the name of its function."""
    _found[function.__name__] = function
    return function


def names() -> list[str]:
    """Names of all benchmarks, sorted."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}")
    return sorted(_found)


def run(name: str, *, full: bool = False, as_json: bool = False) -> int:
    """Run one benchmark and print its report.

    Parameters
    ----------
    full
        The whole profile as promised; without it a quick one that ends within three minutes.
    as_json
        Print one JSON document instead of lines.

    Returns
    -------
    int
        0 when every promise holds, 3 when one falls short.

    Raises
    ------
    BadInputError
        ``bench.unknown`` with the names there are.
    """
    known = names()
    if name not in known:
        raise BadInputError("bench.unknown", name=name, known=", ".join(known))
    profile = Profile(full=full)
    report = Report(name=name, seed=profile.seed, full=full)
    for result in _found[name](profile):
        report.results.append(result)
        if not as_json:
            if len(report.results) == 1:
                print(report.heading())
            print(result.line(), flush=True)
    # What only a running server can tell, such as PostgreSQL's version.
    report.versions.update(profile.versions)
    print(report.as_json() if as_json else report.footing())
    sys.stdout.flush()
    return HOLDS if report.holds else FELL_SHORT
