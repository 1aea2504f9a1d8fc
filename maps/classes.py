"""Class breaks for coloured cells, and the one sequential ramp that every planner's map uses.

A count is drawn in one of a few classes, never on a continuous ramp: an eye tells five to seven tones apart, and a
legend can name them. The ramp goes in equal steps of CIE lightness, so that "two classes darker" means the same at both
ends, in greyscale and for every kind of colour vision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["ClassBreaks", "ClassMethod", "lightness_of", "make_breaks", "make_ramp", "nice_ladder"]

MIN_CLASSES: Final = 2
MAX_CLASSES: Final = 7
#: Above this many different values the exact Jenks search works on evenly chosen ones of them.
_JENKS_VALUES: Final = 1500
_JENKS_GAPS: Final = 300


class ClassMethod(StrEnum):
    """How breaks are found; the legend names it."""

    QUANTILE = "quantile"
    JENKS = "jenks"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBreaks:
    """Classes of a set of numbers.

    Attributes
    ----------
    method
        How the breaks were found.
    lowers, uppers
        Smallest and largest number of the data in each class, ascending. Boundary: both ends belong to the class; a
        number between two classes belongs to the upper one.
    """

    method: ClassMethod
    lowers: tuple[float, ...]
    uppers: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.uppers)

    def index_of(self, value: float) -> int:
        """Return the class of a number; what lies outside the data falls into the first or the last class."""
        return min(int(np.searchsorted(np.asarray(self.uppers), value, side="left")), len(self.uppers) - 1)


def make_breaks(
    values: Sequence[float] | npt.NDArray[np.float64],
    *,
    classes: int = 6,
    method: ClassMethod = ClassMethod.JENKS,
) -> ClassBreaks:
    """Divide numbers into classes.

    Parameters
    ----------
    values
        The numbers to colour; their order does not matter.
    classes
        How many classes are wanted, 2 to 7. There are never more classes than different values.
    method
        ``quantile``: about as many values in each; ``jenks``: least variance inside the classes (Fisher's exact
        search); ``equal``: classes of equal width.

    Returns
    -------
    ClassBreaks
        No class is empty; equal values are never in two classes. No values, no classes.

    Raises
    ------
    ValueError
        If ``classes`` is out of range or a value is not finite.

    Notes
    -----
    Cost: O(n log n); Jenks O(classes * u²) with u different values, at most 1,500, about 0.1 s.
    Source: Fisher (1958), On grouping for maximum homogeneity; Jenks (1967).

    Examples
    --------
    >>> make_breaks([5, 6, 7, 40, 41, 90], classes=3).uppers
    (7.0, 41.0, 90.0)
    >>> len(make_breaks([8, 8, 8], classes=5))
    1
    """
    if not MIN_CLASSES <= classes <= MAX_CLASSES:
        raise ValueError(f"classes must be {MIN_CLASSES} to {MAX_CLASSES}, not {classes}")
    array = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not np.all(np.isfinite(array)):
        raise ValueError("only finite numbers have classes")
    if array.size == 0:
        return ClassBreaks(method=method, lowers=(), uppers=())
    distinct, weights = np.unique(array, return_counts=True)
    if distinct.size <= classes:
        ends = np.arange(1, distinct.size + 1)
    elif method is ClassMethod.JENKS:
        ends = _jenks_ends(distinct, weights.astype(np.float64), classes)
    else:
        ends = _ends_at(distinct, _targets(array, classes, method))
    starts = np.concatenate(([0], ends[:-1]))
    return ClassBreaks(
        method=method,
        lowers=tuple(float(distinct[start]) for start in starts),
        uppers=tuple(float(distinct[end - 1]) for end in ends),
    )


def _targets(array: npt.NDArray[np.float64], classes: int, method: ClassMethod) -> npt.NDArray[np.float64]:
    """Return the wanted upper ends, before they are moved onto values of the data."""
    share = np.arange(1, classes + 1) / classes
    if method is ClassMethod.QUANTILE:
        # The value at rank ceil(n * share): always one of the data, so ties stay together.
        ranks = np.ceil(array.size * share - 1e-9).astype(int) - 1
        return np.asarray(array[np.clip(ranks, 0, array.size - 1)])
    return np.asarray(array[0] + (array[-1] - array[0]) * share)


def _ends_at(distinct: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Turn upper ends into positions; classes that would be empty disappear."""
    targets[-1] = distinct[-1]
    ends = np.unique(np.searchsorted(distinct, targets, side="right"))
    return ends[ends > 0]


def _jenks_ends(
    distinct: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], classes: int
) -> npt.NDArray[np.intp]:
    """Return the end positions with the least sum of squared deviations: dynamic programming, exact."""
    if distinct.size > _JENKS_VALUES:
        # Thin out by rank, but keep the ends of the widest gaps: breaks belong there. The loss is below a tone.
        evenly = np.linspace(0, distinct.size - 1, _JENKS_VALUES - _JENKS_GAPS).round().astype(int)
        keep = np.unique(np.concatenate((evenly, np.argsort(np.diff(distinct))[-_JENKS_GAPS:])))
        groups = np.add.reduceat(weights, np.concatenate(([0], keep[:-1] + 1)))
        return keep[_jenks_ends(distinct[keep], groups, classes) - 1] + 1
    centred = distinct - np.average(distinct, weights=weights)
    count = np.concatenate(([0.0], np.cumsum(weights)))
    first = np.concatenate(([0.0], np.cumsum(weights * centred)))
    second = np.concatenate(([0.0], np.cumsum(weights * centred**2)))

    def cost(start: npt.NDArray[np.intp], end: int) -> npt.NDArray[np.float64]:
        mass = first[end] - first[start]
        return np.asarray(second[end] - second[start] - mass * mass / (count[end] - count[start]))

    size = distinct.size
    best = np.array([0.0, *(cost(np.array([0]), end)[0] for end in range(1, size + 1))])
    cuts = np.zeros((classes + 1, size + 1), dtype=np.intp)
    for number in range(2, classes + 1):
        following = np.full(size + 1, math.inf)
        for end in range(number, size + 1):
            starts = np.arange(number - 1, end)
            totals = best[starts] + cost(starts, end)
            chosen = int(np.argmin(totals))
            following[end], cuts[number, end] = totals[chosen], starts[chosen]
        best = following
    ends, end = [], size
    for number in range(classes, 0, -1):
        ends.append(end)
        end = int(cuts[number, end])
    return np.array(ends[::-1], dtype=np.intp)


def nice_ladder(top: float, *, steps: int, floor: float = 0.0) -> tuple[float, ...]:
    """Return round numbers (1, 2, 5, 10, …) that lead up to ``top``, as the fixed scale of a surface.

    Parameters
    ----------
    top
        The highest value to be drawn.
    steps
        At most so many numbers.
    floor
        Nothing below this is drawn.

    Returns
    -------
    tuple[float, ...]
        Ascending lower bounds of the bands; the last is at most ``top``. Empty when ``top`` does not reach ``floor``.

    Examples
    --------
    >>> nice_ladder(730, steps=5, floor=20)
    (20.0, 50.0, 100.0, 200.0, 500.0)
    """
    if not math.isfinite(top) or top <= 0 or top < floor:
        return ()
    numbers: list[float] = []
    exponent = math.floor(math.log10(top))
    while len(numbers) < steps and exponent > -12:
        for factor in (5, 2, 1):
            number = factor * 10.0**exponent
            if number <= top and len(numbers) < steps and number >= max(floor, 1e-9):
                numbers.append(float(f"{number:.6g}"))
        exponent -= 1
        if 10.0 ** (exponent + 1) < floor:
            break
    return tuple(reversed(numbers))


# The ramp runs from pale sand over ochre and terracotta to aubergine. It avoids the accent (celadon: what can be acted
# on), and at each lightness it keeps away from the red and the amber of overdue and soon due.
_LIGHT_ENDS: Final = ((89.0, 26.0, 84.0), (24.0, 34.0, 2.0))
_DARK_ENDS: Final = ((27.0, 26.0, 2.0), (90.0, 40.0, 84.0))
_MIDDLE_CHROMA: Final = 26.0


def make_ramp(classes: int, *, dark: bool = False) -> tuple[str, ...]:
    """Return colours from few to many, in equal steps of lightness.

    Parameters
    ----------
    classes
        How many colours.
    dark
        For a dark page: "many" is then the lightest, so that the most stands out from either paper.

    Returns
    -------
    tuple[str, ...]
        ``#rrggbb``. Units: steps of CIE L* are equal to 8-bit rounding (about 0.3).
    """
    (l0, c0, h0), (l1, c1, h1) = _DARK_ENDS if dark else _LIGHT_ENDS
    positions = [0.5] if classes == 1 else [step / (classes - 1) for step in range(classes)]
    return tuple(
        _hex_of(
            l0 + (l1 - l0) * at,
            c0 + (c1 - c0) * at + _MIDDLE_CHROMA * 4 * at * (1 - at),
            h0 + (h1 - h0) * at,
        )
        for at in positions
    )


def _hex_of(lightness: float, chroma: float, hue_degrees: float) -> str:
    """Convert CIE LCh(ab) to sRGB, giving up chroma (never lightness) where the screen cannot show it."""
    while True:
        hue = math.radians(hue_degrees)
        rgb = _lab_to_rgb(lightness, chroma * math.cos(hue), chroma * math.sin(hue))
        if chroma <= 0 or all(-1e-4 <= part <= 1 + 1e-4 for part in rgb):
            return "#" + "".join(f"{round(255 * min(1.0, max(0.0, part))):02x}" for part in rgb)
        chroma -= 0.5


_EPSILON: Final = 6 / 29


def _lab_to_rgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    fy = (lightness + 16) / 116
    x, y, z = (
        white * (f**3 if f > _EPSILON else 3 * _EPSILON**2 * (f - 4 / 29))
        for white, f in ((0.95047, fy + a / 500), (1.0, fy), (1.08883, fy - b / 200))
    )
    linear = (
        3.2404542 * x - 1.5371385 * y - 0.4985314 * z,
        -0.9692660 * x + 1.8760108 * y + 0.0415560 * z,
        0.0556434 * x - 0.2040259 * y + 1.0572252 * z,
    )
    red, green, blue = (12.92 * c if c <= 0.0031308 else 1.055 * max(c, 0.0) ** (1 / 2.4) - 0.055 for c in linear)
    return red, green, blue


def lightness_of(colour: str) -> float:
    """Return CIE L* (0 to 100) of ``#rrggbb``."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    y = 0.2126729 * linear[0] + 0.7151522 * linear[1] + 0.0721750 * linear[2]
    return 116 * (y ** (1 / 3) if y > _EPSILON**3 else y / (3 * _EPSILON**2) + 4 / 29) - 16
