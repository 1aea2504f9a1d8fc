"""Why a cell has its colour, in words and numbers, for every statistic that a page shows. From plain values; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from maps.figures import format_count, format_ratio
from maps.hotspots.emerging import Emerging
from maps.hotspots.explaining import Reason
from maps.hotspots.moran import LocalMoran, Moran
from maps.hotspots.sites import FinderSplit
from maps.hotspots.sources import SOURCES, Statistic
from maps.i18n import Locale, translate
from maps.measures import CellValue, Measure
from maps.patterns import pattern_name
from maps.suppression import SMALL_COUNT, Disclosure

__all__ = ["STATISTICS", "Tests", "explain_cell", "method_words", "public_count", "small_p", "statistic_words"]

#: The statistics that a measure is made of.
STATISTICS: Final[Mapping[Measure, tuple[Statistic, ...]]] = {
    Measure.HOT_SPOTS: (Statistic.GI_STAR, Statistic.FDR),
    Measure.EMERGING: (Statistic.EMERGING, Statistic.GI_STAR, Statistic.FDR),
    Measure.LOCAL_MORAN: (Statistic.LOCAL_MORAN, Statistic.MORAN, Statistic.FDR),
    Measure.BAYES: (Statistic.EMPIRICAL_BAYES,),
    Measure.PATROL: (Statistic.FINDERS,),
}
_OPEN: Final = (Disclosure.SHOWN, Disclosure.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """What the statistics say of the cells of a map; empty where a measure does not ask for it.

    Attributes
    ----------
    patterns, steps, step_days
        Histories, over how many steps of how many days.
    local, whole
        Moran's I of each cell, and of the map.
    splits
        Who finds the cases of each cell.
    around
        Places of the neighbours of the cell that is explained.
    """

    patterns: Sequence[Emerging] | None = None
    steps: int = 0
    step_days: int = 0
    local: LocalMoran | None = None
    whole: Moran | None = None
    splits: Sequence[FinderSplit] = ()
    around: Sequence[int] = ()


def small_p(p: float) -> str:
    """Return a p-value as people read it."""
    if p != p:
        return "–"
    return "<0.001" if p < 0.001 else f"{format_ratio(p, 1, digits=3)}"


def public_count(cases: int, disclosure: Disclosure) -> str:
    """Return a count, or why there is none."""
    if disclosure is Disclosure.SMALL:
        return f"<{SMALL_COUNT}"
    return "–" if disclosure is Disclosure.WITHHELD else format_count(cases)


def method_words(locale: Locale, measure: Measure) -> list[dict[str, str]]:
    """Return of each statistic of a measure: name, unit, what it does not mean, paper."""
    return [statistic_words(locale, each) for each in STATISTICS.get(measure, ())]


def statistic_words(locale: Locale, statistic: Statistic) -> dict[str, str]:
    """Return name, unit, what it does not mean, and paper."""
    return {
        "name": translate(locale, f"hotspots.statistic.{statistic.value}"),
        "unit": translate(locale, f"hotspots.unit.{statistic.value}"),
        "means_not": translate(locale, f"hotspots.not.{statistic.value}"),
        "source": SOURCES[statistic].citation,
    }


def explain_cell(
    locale: Locale,
    measure: Measure,
    at: int,
    cells: Sequence[CellValue],
    disclosures: Mapping[str, Disclosure],
    tests: Tests,
    reason: Reason | None,
) -> dict[str, Any] | None:
    """Return the panel of one cell: verdict, numbers, neighbours, what it does not mean; None without a statistic.

    A sum is left out when it would give a small neighbour away.
    """
    cell = cells[at]
    panel: dict[str, Any] | None = None
    if measure is Measure.HOT_SPOTS and reason is not None:
        panel = _hot_spot(locale, cells, disclosures, reason)
    elif measure is Measure.EMERGING and tests.patterns is not None:
        panel = _history(locale, tests.patterns[at], tests, len(cells))
    elif measure is Measure.LOCAL_MORAN and tests.local is not None:
        panel = _among_neighbours(locale, at, cells, disclosures, tests.local)
    elif measure is Measure.BAYES and disclosures[cell.code] in _OPEN:
        panel = _smoothed(locale, cell, cells)
    elif measure is Measure.PATROL and tests.splits:
        panel = _finders(locale, tests.splits[at], tests.splits)
    if panel is None:
        return None
    around = [cells[k] for k in tests.around]
    panel.setdefault("neighbours", [(each.name, public_count(each.cases, disclosures[each.code])) for each in around])
    panel["heading"] = translate(locale, "measures.why.heading", name=cell.name)
    panel["facts"] = [(translate(locale, f"measures.fact.{name}"), value) for name, value in panel["facts"]]
    panel.setdefault("cautions", [translate(locale, f"hotspots.not.{each.value}") for each in STATISTICS[measure][:1]])
    return panel


def _hot_spot(
    locale: Locale, cells: Sequence[CellValue], disclosures: Mapping[str, Disclosure], reason: Reason
) -> dict[str, Any]:
    named = {cell.code: cell for cell in cells}
    members = [reason.code, *(each.code for each in reason.neighbours)]
    is_open = all(disclosures[code] in _OPEN for code in members)
    kind = translate(locale, f"measures.weights.{reason.kind.value}")
    facts = [("z", _ratio(reason.z, digits=2 if is_open else 1))]
    facts += [("p", small_p(reason.p) if reason.p is not None else "–")]
    facts += [("q", small_p(reason.q) if reason.q is not None else "–")]
    facts += [("own", public_count(int(reason.value), disclosures[reason.code]))]
    facts += [("sum", format_count(int(reason.sum)) if is_open else "–")]
    facts += [("expected", _ratio(reason.expected)), ("mean", _ratio(reason.mean))]
    facts += [("cells", format_count(reason.cells)), ("permutations", format_count(reason.permutations))]
    return {
        "verdict": translate(locale, f"measures.sign.{reason.tone.name.lower()}"),
        "sentence": translate(
            locale,
            "measures.why.sentence",
            count=len(reason.neighbours),
            kind=kind,
            permutations=format_count(reason.permutations),
        ),
        "facts": facts,
        "neighbours": [
            (named[each.code].name, public_count(int(each.value), disclosures[each.code])) for each in reason.neighbours
        ],
        "cautions": [translate(locale, f"measures.caution.{each.value}") for each in reason.cautions],
    }


def _history(locale: Locale, found: Emerging, tests: Tests, cells: int) -> dict[str, Any]:
    return {
        "verdict": pattern_name(locale, found),
        "sentence": translate(locale, f"measures.why.pattern.{found.pattern.value}"),
        "facts": [
            ("hot_steps", f"{found.hot_steps} / {tests.steps}"),
            ("cold_steps", f"{found.cold_steps} / {tests.steps}"),
            ("trend_z", _ratio(found.trend.z, digits=2)),
            ("trend_p", small_p(found.trend.p)),
            ("step_days", format_count(tests.step_days)),
            ("cells", format_count(cells)),
        ],
    }


def _among_neighbours(
    locale: Locale,
    at: int,
    cells: Sequence[CellValue],
    disclosures: Mapping[str, Disclosure],
    found: LocalMoran,
) -> dict[str, Any]:
    cell, quadrant = cells[at], found.quadrants[at]
    i = float(found.i[at])
    mean = sum(each.cases for each in cells) / len(cells)
    return {
        "verdict": translate(locale, f"measures.sign.{quadrant.value}"),
        "sentence": translate(locale, "measures.why.local_moran", permutations=format_count(found.permutations)),
        "facts": [
            ("local_i", _ratio(i, digits=1)),
            ("p", small_p(float(found.p[at]))),
            ("q", small_p(float(found.q[at]))),
            ("own", public_count(cell.cases, disclosures[cell.code])),
            ("mean", _ratio(mean)),
            ("cells", format_count(len(cells))),
            ("permutations", format_count(found.permutations)),
        ],
    }


def _smoothed(locale: Locale, cell: CellValue, cells: Sequence[CellValue]) -> dict[str, Any] | None:
    if not cell.population or cell.estimate is None:
        return None
    lived = [each for each in cells if each.population]
    residents = sum(each.population or 0 for each in lived)
    mean = 1000 * sum(each.cases for each in lived) / residents
    raw = 1000 * cell.cases / cell.population
    return {
        "verdict": translate(
            locale, "measures.value.bayes", value=_ratio(cell.estimate), cases=format_count(cell.cases)
        ),
        "sentence": translate(locale, "measures.why.bayes"),
        "facts": [
            ("own", format_count(cell.cases)),
            ("residents", format_count(cell.population)),
            ("raw", _ratio(raw, digits=2)),
            ("estimate", _ratio(cell.estimate, digits=2)),
            ("map_rate", _ratio(mean, digits=2)),
            ("cells", format_count(len(lived))),
        ],
        "neighbours": [],
    }


def _finders(locale: Locale, found: FinderSplit, splits: Sequence[FinderSplit]) -> dict[str, Any] | None:
    sides = (found.patrol, found.citizen)
    if found.share is None or any(0 < side < SMALL_COUNT for side in sides):
        return None
    patrol, everything = sum(each.patrol for each in splits), sum(each.patrol + each.citizen for each in splits)
    interval = f"{_ratio(100 * (found.low or 0))}–{_ratio(100 * (found.high or 0))} %"
    return {
        "verdict": f"{_ratio(100 * found.share)} %",
        "sentence": translate(locale, "measures.why.patrol"),
        "facts": [
            ("patrol", format_count(found.patrol)),
            ("citizen", format_count(found.citizen)),
            ("interval", interval),
            ("map_share", f"{_ratio(100 * patrol / everything)} %" if everything else "–"),
            ("trend_z", _ratio(found.z, digits=2)),
            ("p", small_p(found.p) if found.p is not None else "–"),
            ("cells", format_count(len(splits))),
        ],
        "neighbours": [],
    }


def _ratio(value: float | None, *, digits: int = 1) -> str:
    if value is None or value != value:
        return "–"
    return (format_ratio(value, 1, digits=digits) or "–").replace("-", "−")
