"""Cells coloured by a name: histories of hot and cold spots, and what a cell is among its neighbours. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from maps.figures import format_count, format_ratio
from maps.folium_page import LegendPart
from maps.hotspots.emerging import Emerging, Pattern
from maps.hotspots.moran import LocalMoran, Quadrant
from maps.i18n import Locale, translate

__all__ = ["paint_patterns", "paint_quadrants", "pattern_name"]

#: From what needs somebody now to what is over; on a dark page the most pressing is the brightest.
_ORDER: Final = (
    Pattern.NEW,
    Pattern.INTENSIFYING,
    Pattern.PERSISTENT,
    Pattern.CONSECUTIVE,
    Pattern.SPORADIC,
    Pattern.OSCILLATING,
    Pattern.DIMINISHING,
    Pattern.HISTORICAL,
)
_HOT_LIGHT: Final = ("#c2410c", "#7f1d1d", "#a8261c", "#cf5145", "#e08d7e", "#edb9a4", "#f0cdbf", "#e6dcd3")
_COLD_LIGHT: Final = ("#0e7490", "#1e3a5f", "#2b5c8a", "#4b7fae", "#7ea7cc", "#a9c5de", "#c4d8e8", "#d5dde2")
_HOT_DARK: Final = ("#fb923c", "#f7a08d", "#e57561", "#c25745", "#9c4a3c", "#7a3f35", "#5f3731", "#4a3a35")
_COLD_DARK: Final = ("#38bdf8", "#9fcbf5", "#74aee4", "#5288bd", "#426b94", "#365574", "#2e465c", "#33424d")
_QUADRANTS: Final = (Quadrant.HIGH_HIGH, Quadrant.HIGH_LOW, Quadrant.LOW_HIGH, Quadrant.LOW_LOW)
_QUADRANT_LIGHT: Final = ("#a8261c", "#e08d3c", "#9db7d8", "#2b5c8a")
_QUADRANT_DARK: Final = ("#f08d76", "#d99a4a", "#4c6a93", "#86bdf0")
_SIGNS: Final = "0123456789abcdef"

Parts = tuple[str, tuple[float | None, ...], tuple[str, ...], tuple[LegendPart, ...], tuple[str, ...], tuple[str, ...]]


def pattern_name(locale: Locale, found: Emerging) -> str:
    """Return the name of a history with its side."""
    if found.pattern is Pattern.NONE:
        return translate(locale, "hotspots.pattern.none")
    side = "hot" if found.is_hot else "cold"
    return translate(locale, f"measures.pattern.{side}", name=translate(locale, f"hotspots.pattern.{found.pattern}"))


def paint_patterns(locale: Locale, found: Sequence[Emerging] | None, cells: int) -> Parts:
    """Return tones, values (z of the trend), words, legend and both palettes; only classes that occur are explained.

    Parameters
    ----------
    found
        None where there are too few cells or steps.
    """
    untested = translate(locale, "measures.not_tested")
    if found is None:
        legend = (LegendPart(text=translate(locale, "measures.legend.emerging.too_few")),)
        return "-" * cells, (None,) * cells, (untested,) * cells, legend, (), ()
    place = {(pattern, is_hot): k for k, (is_hot, pattern) in enumerate((h, p) for h in (True, False) for p in _ORDER)}
    tones = [_SIGNS[place[one.pattern, one.is_hot]] if one.pattern is not Pattern.NONE else "-" for one in found]
    values = tuple(None if one.pattern is Pattern.NONE else round(one.trend.z, 2) for one in found)
    words = tuple(
        translate(
            locale,
            "measures.value.emerging",
            name=pattern_name(locale, one),
            hot=one.hot_steps,
            cold=one.cold_steps,
        )
        for one in found
    )
    parts = [LegendPart(text=translate(locale, "measures.legend.emerging"))]
    named = {place[one.pattern, one.is_hot]: one for one in found if one.pattern is not Pattern.NONE}
    for index in sorted(named):
        count = format_count(tones.count(_SIGNS[index]))
        parts.append(LegendPart(sign="class", index=index, text=f"{pattern_name(locale, named[index])} {count}"))
    parts.append(LegendPart(sign="blank", text=translate(locale, "hotspots.pattern.none")))
    return "".join(tones), values, words, tuple(parts), _HOT_LIGHT + _COLD_LIGHT, _HOT_DARK + _COLD_DARK


def paint_quadrants(locale: Locale, found: LocalMoran) -> Parts:
    """Return tones, values (local I), words, legend and both palettes."""
    place = {quadrant: k for k, quadrant in enumerate(_QUADRANTS)}
    tones = "".join("-" if each is Quadrant.NONE else str(place[each]) for each in found.quadrants)
    # One decimal: from more, the sum of the neighbours could be worked back.
    values = tuple(
        None if quadrant is Quadrant.NONE or i != i else round(i, 1)
        for quadrant, i in zip(found.quadrants, found.i.tolist(), strict=True)
    )
    words = tuple(
        translate(
            locale,
            f"measures.quadrant.{quadrant.value}" if not found.too_few else "measures.not_tested",
            i=format_ratio(i, 1, digits=1) if i == i else "–",
        )
        for quadrant, i in zip(found.quadrants, found.i.tolist(), strict=True)
    )
    parts = [LegendPart(text=translate(locale, "measures.legend.local_moran"))]
    parts += [
        LegendPart(sign="class", index=k, text=translate(locale, f"measures.sign.{quadrant.value}"))
        for quadrant, k in place.items()
    ]
    parts.append(LegendPart(sign="blank", text=translate(locale, "measures.legend.nothing")))
    return tones, values, words, tuple(parts), _QUADRANT_LIGHT, _QUADRANT_DARK
