"""Why is this cell red: the numbers behind one cell of a hot-spot map, and what they do not mean. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from maps.hotspots.gi_star import HotSpots
from maps.hotspots.neighbours import Kind, Neighbours
from maps.hotspots.significance import Tone

__all__ = ["Caution", "Neighbour", "Reason", "explain"]

#: Units: standard deviations above the mean of the map.
_PEAK: Final = 3.0


class Caution(StrEnum):
    """What the colour does not mean; the catalogue has a sentence for each."""

    NOT_A_CAUSE = "not_a_cause"
    """More cases than chance explains, not why."""
    NEIGHBOURS_MAKE_IT = "neighbours_make_it"
    """The cell itself is not above the mean: its neighbours are."""
    OWN_PEAK_MAKES_IT = "own_peak_makes_it"
    """Without the cell's own value its neighbours would be ordinary."""
    COUNTS_NOT_RISK = "counts_not_risk"
    """Counts: where more people are, more is reported."""
    NOT_TESTED = "not_tested"
    """Too few cells: nothing was tested, so white does not mean quiet."""
    LONE_PEAK = "lone_peak"
    """Far above the mean, among ordinary neighbours: a single place, which no test for clusters can call one."""
    NOT_SAFE = "not_safe"
    """White means that nothing stands out, not that nothing happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A neighbour and its value."""

    code: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Everything that the panel shows for one cell.

    Attributes
    ----------
    tone, z, p, q
        The verdict; z, p and q are None where nothing was tested.
    value, neighbours, terms, sum, expected
        The cell's value, its neighbours, how many values are summed, their sum, and what the map's mean would give.
    mean, deviation, cells
        Of the whole map.
    kind, parameter, permutations, seed, null
        How neighbours were chosen and chance was drawn.
    cautions
        What it does not mean, in the order to read.
    """

    code: str
    tone: Tone
    z: float | None
    p: float | None
    q: float | None
    value: float
    neighbours: tuple[Neighbour, ...]
    terms: int
    sum: float
    expected: float
    mean: float
    deviation: float
    cells: int
    kind: Kind
    parameter: float | None
    permutations: int
    seed: int
    null: str
    cautions: tuple[Caution, ...]


def explain(
    cell: int,
    values: npt.NDArray[np.float64],
    codes: Sequence[str],
    neighbours: Neighbours,
    found: HotSpots,
    *,
    is_rate: bool = False,
) -> Reason:
    """Return why a cell has its colour.

    Parameters
    ----------
    cell
        Its place among ``values`` and ``codes``.
    is_rate
        Whether the values already account for residents or area.
    """
    around = neighbours.of(cell)
    tone = Tone(int(found.tones[cell]))
    value, terms = float(values[cell]), int(found.terms[cell])
    expected = terms * found.mean
    return Reason(
        code=codes[cell],
        tone=tone,
        z=_known(found.z[cell]),
        p=_known(found.p[cell]),
        q=_known(found.q[cell]),
        value=value,
        neighbours=tuple(
            Neighbour(code=codes[other], value=float(values[other]))
            for other in sorted(around.tolist(), key=lambda each: (-values[each], codes[each]))
        ),
        terms=terms,
        sum=float(found.sums[cell]),
        expected=expected,
        mean=found.mean,
        deviation=found.deviation,
        cells=len(values),
        kind=neighbours.kind,
        parameter=neighbours.parameter,
        permutations=found.permutations,
        seed=found.seed,
        null=str(found.null),
        cautions=tuple(_cautions(tone, value, float(found.sums[cell]), terms, found, is_rate=is_rate)),
    )


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _cautions(tone: Tone, value: float, total: float, terms: int, found: HotSpots, *, is_rate: bool) -> list[Caution]:
    if found.too_few:
        return [Caution.NOT_TESTED]
    if tone == Tone.NONE:
        is_peak = value > found.mean + _PEAK * found.deviation
        return [Caution.LONE_PEAK, Caution.NOT_SAFE] if is_peak else [Caution.NOT_SAFE]
    side = 1 if tone > 0 else -1
    cautions = [Caution.NOT_A_CAUSE]
    if side * (value - found.mean) <= 0:
        cautions.append(Caution.NEIGHBOURS_MAKE_IT)
    elif terms > 1 and side * ((total - value) / (terms - 1) - found.mean) <= 0:
        cautions.append(Caution.OWN_PEAK_MAKES_IT)
    if not is_rate:
        cautions.append(Caution.COUNTS_NOT_RISK)
    return cautions
