"""What cells can be coloured by: counts, rates, lateness, handling time, hot spots, differences. Pure.

Each measure gives every cell a value and says whether it may be shown; one place turns that into classes, legend and
words under the pointer, so that map, table and files agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from maps.classes import make_breaks, make_ramp
from maps.figures import format_change, format_count, format_ratio
from maps.folium_page import LegendPart, Variant
from maps.hotspots.emerging import Emerging
from maps.hotspots.gi_star import HotSpots
from maps.hotspots.moran import LocalMoran
from maps.hotspots.significance import Tone
from maps.i18n import Locale, translate
from maps.patterns import paint_patterns, paint_quadrants
from maps.suppression import SMALL_COUNT, Disclosure, decide_disclosure

__all__ = ["CHANGES", "CellValue", "Measure", "Painted", "paint", "paint_counts"]

_CLASSES: Final = 6
#: Cold to hot, palest in the middle; on a dark page the surest is the brightest.
_TONES_LIGHT: Final = ("#2b5c8a", "#6c9ac4", "#b5cde3", "#f2c4b3", "#dd7a63", "#a8261c")
_TONES_DARK: Final = ("#86bdf0", "#4c7da8", "#2a4660", "#5c3129", "#a3523f", "#f08d76")
_CHANGE_LIGHT: Final = ("#2b5c8a", "#6c9ac4", "#b5cde3", "#f4cfa3", "#e08d3c", "#a85a10")
_CHANGE_DARK: Final = ("#86bdf0", "#4c7da8", "#2a4660", "#57402a", "#a8742f", "#f2b866")


class Measure(StrEnum):
    """What a cell is coloured by."""

    COUNT = "count"
    PER_1000 = "per_1000"
    PER_KM2 = "per_km2"
    LATE = "late"
    HANDLING = "handling"
    HOT_SPOTS = "hot_spots"
    EMERGING = "emerging"
    """How a cell has been hot or cold over the steps of the period."""
    LOCAL_MORAN = "local_moran"
    BAYES = "bayes"
    """Cases per 1,000 residents, drawn towards the map where few live."""
    PATROL = "patrol"
    """Share of the cases that patrols found, against those that citizens told."""
    CHANGE_BEFORE = "change_before"
    """Against the period of the same length just before (环比)."""
    CHANGE_YEAR = "change_year"
    """Against the same days a year earlier (同比)."""


CHANGES: Final = frozenset({Measure.CHANGE_BEFORE, Measure.CHANGE_YEAR})


@dataclass(frozen=True, slots=True, kw_only=True)
class CellValue:
    """What is known of one cell. Units: square metres, minutes; ``estimate`` cases per 1,000 residents."""

    code: str
    name: str
    population: int | None
    area_m2: float
    cases: int
    decided: int = 0
    late: int = 0
    handled: int = 0
    median_minutes: float | None = None
    before: int = 0
    estimate: float | None = None
    patrol: int = 0
    citizen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """A measure ready to be drawn and listed, in the order of the cells.

    Attributes
    ----------
    tones
        One sign per cell: digit of its class, ``h`` hatched, ``-`` blank.
    values
        What is sorted and exported; None where nothing may or can be said.
    words
        The value as people read it; a dash or "<5" where there is none.
    legend, light, dark
        The legend as a sentence, and the colours.
    disclosures
        By code.
    """

    tones: str
    values: tuple[float | None, ...]
    words: tuple[str, ...]
    legend: tuple[LegendPart, ...]
    light: tuple[str, ...]
    dark: tuple[str, ...]
    disclosures: Mapping[str, Disclosure]


def paint(
    locale: Locale,
    measure: Measure,
    cells: Sequence[CellValue],
    found: HotSpots | None = None,
    *,
    is_coarse: bool = False,
    beside: Sequence[CellValue] = (),
    patterns: Sequence[Emerging] | None = None,
    local: LocalMoran | None = None,
) -> Painted:
    """Colour cells by a measure.

    Parameters
    ----------
    found
        Gi* of the cells' counts; needed for hot spots only.
    is_coarse
        Counts come in steps of five (`maps.suppression.coarsen_all`).
    beside
        Cells of another map that shall have the same classes, so that one colour means one thing.
    patterns, local
        Histories, and Moran's I of the cells; for these two measures only.
    """
    disclosures = decide_disclosure({cell.code: cell.cases for cell in cells}, is_coarse=is_coarse)
    if measure is Measure.HOT_SPOTS:
        assert found is not None
        return _paint_hot_spots(locale, cells, found, disclosures)
    if measure is Measure.EMERGING or (measure is Measure.LOCAL_MORAN and local is not None):
        tones, told, said, legend, light, dark = (
            paint_patterns(locale, patterns, len(cells))
            if measure is Measure.EMERGING
            else paint_quadrants(locale, local)  # type: ignore[arg-type]
        )
        return Painted(
            tones=tones, values=told, words=said, legend=legend, light=light, dark=dark, disclosures=disclosures
        )
    if measure in CHANGES:
        return _paint_change(locale, measure, cells, disclosures, is_coarse=is_coarse)
    values = tuple(_value(measure, cell, disclosures[cell.code]) for cell in cells)
    others = decide_disclosure({cell.code: cell.cases for cell in beside}, is_coarse=is_coarse)
    known = np.array(
        [v for v in (*values, *(_value(measure, cell, others[cell.code]) for cell in beside)) if v is not None],
        dtype=np.float64,
    )
    breaks = make_breaks(known, classes=_CLASSES)
    tones = "".join(_tone(value, cell, disclosures, breaks.index_of) for value, cell in zip(values, cells, strict=True))
    parts = [LegendPart(text=translate(locale, f"measures.legend.{measure.value}"))]
    for index, (lower, upper) in enumerate(zip(breaks.lowers, breaks.uppers, strict=True)):
        first, last = _number(measure, lower), _number(measure, upper)
        parts.append(LegendPart(sign="class", index=index, text=first if first == last else f"{first}–{last}"))
    if len(breaks):
        parts.append(LegendPart(text=f"· {translate(locale, f'planner.method.{breaks.method}')} · "))
    return Painted(
        tones=tones,
        values=values,
        words=tuple(_words(locale, measure, v, c, disclosures) for v, c in zip(values, cells, strict=True)),
        legend=(*parts, *_small_parts(locale, measure)),
        light=make_ramp(max(len(breaks), 1)),
        dark=make_ramp(max(len(breaks), 1), dark=True),
        disclosures=disclosures,
    )


def _value(measure: Measure, cell: CellValue, disclosure: Disclosure) -> float | None:
    if disclosure in (Disclosure.SMALL, Disclosure.WITHHELD):
        return None
    match measure:
        case Measure.COUNT:
            return float(cell.cases) if cell.cases else None
        case Measure.PER_1000:
            return 1000 * cell.cases / cell.population if cell.cases and cell.population else None
        case Measure.PER_KM2:
            return 1e6 * cell.cases / cell.area_m2 if cell.cases and cell.area_m2 > 0 else None
        case Measure.BAYES:
            return cell.estimate
        case Measure.PATROL:
            sides, sums = (cell.patrol, cell.citizen), cell.patrol + cell.citizen
            is_told = sums and all(side == 0 or side >= SMALL_COUNT for side in sides)
            return 100 * cell.patrol / sums if is_told else None
        case Measure.LATE:
            # A share of few cases gives single ones away, and so does one that is nearly none or nearly all.
            sure = cell.decided >= SMALL_COUNT and (cell.late == 0 or cell.late >= SMALL_COUNT)
            rest = cell.decided - cell.late
            return 100 * cell.late / cell.decided if sure and (rest == 0 or rest >= SMALL_COUNT) else None
        case _:
            # The median of one handled case is that case's own time, however many wait beside it.
            if cell.median_minutes is None or cell.handled < SMALL_COUNT:
                return None
            return cell.median_minutes / 60


def _tone(value: float | None, cell: CellValue, disclosures: Mapping[str, Disclosure], index_of: object) -> str:
    if disclosures[cell.code] in (Disclosure.SMALL, Disclosure.WITHHELD) or (value is None and cell.cases):
        return "h"
    return "-" if value is None else str(index_of(value))  # type: ignore[operator]


def _number(measure: Measure, value: float) -> str:
    if measure is Measure.COUNT:
        return format_count(int(value))
    return f"{format_ratio(value, 1, digits=1)}"


def _words(
    locale: Locale, measure: Measure, value: float | None, cell: CellValue, disclosures: Mapping[str, Disclosure]
) -> str:
    if disclosures[cell.code] is Disclosure.SMALL:
        return f"<{SMALL_COUNT}"
    if value is None:
        return translate(locale, "measures.none" if cell.cases else "measures.no_case")
    return translate(
        locale,
        f"measures.value.{measure.value}",
        value=_number(measure, value),
        cases=format_count(cell.cases),
        decided=format_count(cell.decided),
        late=format_count(cell.late),
        patrol=format_count(cell.patrol),
        citizen=format_count(cell.citizen),
    )


def _small_parts(locale: Locale, measure: Measure) -> tuple[LegendPart, ...]:
    key = "planner.legend.small" if measure is Measure.COUNT else "measures.legend.small"
    return (
        LegendPart(sign="hatch", text=translate(locale, key, small=SMALL_COUNT)),
        LegendPart(sign="blank", text=translate(locale, "planner.legend.blank")),
    )


def _paint_hot_spots(
    locale: Locale, cells: Sequence[CellValue], found: HotSpots, disclosures: Mapping[str, Disclosure]
) -> Painted:
    """Six tones, everything else unfilled: a cell that stands out is coloured, whatever its own count."""
    place = {Tone.COLD_99: 0, Tone.COLD_95: 1, Tone.COLD_90: 2, Tone.HOT_90: 3, Tone.HOT_95: 4, Tone.HOT_99: 5}
    tones = [Tone(int(tone)) for tone in found.tones.tolist()]
    # One decimal: from more, and from mean and spread of the map, the sum of cell and neighbours could be worked back.
    values = tuple(None if np.isnan(z) else round(float(z), 1) for z in found.z.tolist())
    words = tuple(
        translate(locale, "measures.not_tested")
        if value is None
        else translate(locale, f"measures.tone.{tone.name.lower()}", z=format_ratio(value, 1, digits=1))
        for value, tone in zip(values, tones, strict=True)
    )
    parts = [LegendPart(text=translate(locale, "measures.legend.hot_spots"))]
    for tone, index in place.items():
        name = translate(locale, f"measures.sign.{tone.name.lower()}")
        parts.append(LegendPart(sign="class", index=index, text=name))
    parts.append(LegendPart(sign="blank", text=translate(locale, "measures.legend.nothing")))
    return Painted(
        tones="".join("-" if tone is Tone.NONE else str(place[tone]) for tone in tones),
        values=values,
        words=words,
        legend=tuple(parts),
        light=_TONES_LIGHT,
        dark=_TONES_DARK,
        disclosures=disclosures,
    )


def _paint_change(
    locale: Locale,
    measure: Measure,
    cells: Sequence[CellValue],
    disclosures: Mapping[str, Disclosure],
    *,
    is_coarse: bool,
) -> Painted:
    """Three tones fewer, three more, symmetric about zero."""
    earlier = decide_disclosure({cell.code: cell.before for cell in cells}, is_coarse=is_coarse)
    hidden = (Disclosure.SMALL, Disclosure.WITHHELD)
    values = tuple(
        None
        if disclosures[cell.code] in hidden or earlier[cell.code] in hidden or not (cell.cases or cell.before)
        else float(cell.cases - cell.before)
        for cell in cells
    )
    sizes = np.array([abs(value) for value in values if value], dtype=np.float64)
    ends = (
        [1.0, 1.0]
        if not len(sizes)
        else [float(np.quantile(sizes, share, method="higher")) for share in (1 / 3, 2 / 3)]
    )
    tones = []
    for value, cell in zip(values, cells, strict=True):
        if value is None:
            tones.append("h" if cell.cases or cell.before else "-")
        elif value == 0:
            tones.append("-")
        else:
            step = int(np.searchsorted(ends, abs(value), side="left"))
            tones.append(str(3 + step if value > 0 else 2 - step))
    words = tuple(
        translate(locale, "measures.none")
        if value is None and (cell.cases or cell.before)
        else translate(
            locale,
            "measures.value.change",
            change=format_change(f"{int(value or 0):+,}"),
            cases=format_count(cell.cases),
            before=format_count(cell.before),
        )
        for value, cell in zip(values, cells, strict=True)
    )
    low, high = format_count(int(ends[0])), format_count(int(ends[1]))
    names = (f"−>{high}", f"−{high}", f"−{low}", f"+{low}", f"+{high}", f"+>{high}")
    parts = [LegendPart(text=translate(locale, f"measures.legend.{measure.value}"))]
    parts += [LegendPart(sign="class", index=k, text=name) for k, name in enumerate(names)]
    parts.append(LegendPart(text=translate(locale, "measures.legend.change.unit")))
    return Painted(
        tones="".join(tones),
        values=values,
        words=words,
        legend=(*parts, LegendPart(sign="hatch", text=translate(locale, "measures.legend.small", small=SMALL_COUNT))),
        light=_CHANGE_LIGHT,
        dark=_CHANGE_DARK,
        disclosures=disclosures,
    )


def paint_counts(
    locale: Locale, layers: Sequence[tuple[str, str, Sequence[int]]], *, is_coarse: bool, with_tips: bool
) -> tuple[list[Variant], tuple[LegendPart, ...], int]:
    """Colour many counts of the same cells by one scale.

    Parameters
    ----------
    layers
        Name, heading, and cases of each cell.
    with_tips
        Also the number of each cell in words; without them the class is said.

    Returns
    -------
    tuple
        The colourings, the legend of them all, and the number of classes.
    """
    decided = [
        decide_disclosure({str(k): cases for k, cases in enumerate(counts)}, is_coarse=is_coarse)
        for *_, counts in layers
    ]
    shown = [
        float(cases)
        for (*_, counts), one in zip(layers, decided, strict=True)
        for k, cases in enumerate(counts)
        if one[str(k)] is Disclosure.SHOWN
    ]
    breaks = make_breaks(np.array(shown, dtype=np.float64), classes=_CLASSES)
    variants = []
    for (name, group, counts), one in zip(layers, decided, strict=True):
        tones, tips = [], []
        for k, cases in enumerate(counts):
            match one[str(k)]:
                case Disclosure.NONE:
                    tones.append("-")
                    tips.append(translate(locale, "measures.no_case"))
                case Disclosure.SHOWN:
                    tones.append(str(breaks.index_of(float(cases))))
                    tips.append(translate(locale, "measures.value.count", value=format_count(cases)))
                case hidden:
                    tones.append("h")
                    is_small = hidden is Disclosure.SMALL
                    tips.append(f"<{SMALL_COUNT}" if is_small else translate(locale, "measures.none"))
        variants.append(Variant(name=name, group=group, tones="".join(tones), tips=tips if with_tips else ()))
    parts = [LegendPart(text=translate(locale, "measures.legend.count"))]
    for index, (lower, upper) in enumerate(zip(breaks.lowers, breaks.uppers, strict=True)):
        first, last = format_count(int(lower)), format_count(int(upper))
        parts.append(LegendPart(sign="class", index=index, text=first if first == last else f"{first}–{last}"))
    if len(breaks):
        parts.append(LegendPart(text=f"· {translate(locale, f'planner.method.{breaks.method}')} · "))
    return variants, (*parts, *_small_parts(locale, Measure.COUNT)), len(breaks)
