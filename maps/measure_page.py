"""The page of coloured cells, from plain values: finding, map in its frame, table, why a cell is red. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from maps.figures import format_count, format_ratio
from maps.findings import Period, describe_period
from maps.folium_page import FrameContent, Variant, render_frame
from maps.hotspots.emerging import FEWEST_STEPS, Pattern
from maps.hotspots.explaining import Reason
from maps.hotspots.gi_star import HotSpots
from maps.hotspots.moran import Quadrant
from maps.hotspots.neighbours import Kind
from maps.hotspots.significance import FEWEST_CELLS, Tone
from maps.i18n import Locale, subset, translate
from maps.measures import CellValue, Measure, Painted
from maps.outline import EncodedOutlines
from maps.page_parts import Scene, category_words, closed, page_parts, rough
from maps.question import Question
from maps.reasons import STATISTICS, Tests, explain_cell, method_words, public_count, small_p
from maps.sheet import Sheet
from maps.suppression import SMALL_COUNT, Disclosure

__all__ = [
    "FORMS",
    "LAYERS",
    "WEIGHED",
    "MeasureData",
    "MeasureView",
    "measure_context",
    "measure_frame",
    "measure_geojson_values",
    "measure_sheet",
    "measure_title",
]

_ROWS: Final = 200
#: Measures that look at a cell with its neighbours.
WEIGHED: Final = frozenset({Measure.HOT_SPOTS, Measure.EMERGING, Measure.LOCAL_MORAN})
#: What the cells can be switched between.
LAYERS: Final = ("category", "ledger")


#: Files that the page can be had as.
FORMS: Final = ("html", "png", "pdf", "csv", "xlsx", "geojson")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureView(Question):
    """What somebody asked to see; ``cell`` is the one that they ask why, ``layers`` what else can be switched to."""

    measure: Measure = Measure.COUNT
    weights: Kind = Kind.CONTIGUITY
    cell: str = ""
    layers: str = ""

    def parts(self) -> dict[str, object]:
        """Return the parts of the address, the empty ones too."""
        mine: dict[str, object] = {
            "measure": self.measure.value,
            "weights": self.weights.value if self.measure in WEIGHED else "",
            "layers": self.layers,
            "cell": self.cell,
        }
        return Question.parts(self) | mine


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureData(Scene):
    """Everything that is known about a view.

    Attributes
    ----------
    cells, outlines, parents
        As in `maps.heat.HeatData`.
    found, reason
        Gi* of the cells, and why one of them has its colour; for hot spots only.
    tests
        What the other statistics say.
    total, elsewhere
        Cases in drawn cells, and cases of the filter that are in none.
    variants, drawn
        The same cells for each class or ledger, and how the first of them is painted.
    """

    cells: Sequence[CellValue]
    outlines: EncodedOutlines
    parents: Sequence[tuple[int, EncodedOutlines, Sequence[str]]]
    painted: Painted
    found: HotSpots | None
    reason: Reason | None
    elsewhere: int
    compared: Period | None
    total: int = 0
    tests: Tests = Tests()  # noqa: RUF009 - it is frozen
    variants: Sequence[Variant] = ()
    drawn: Painted | None = None


def measure_frame(
    locale: Locale, view: MeasureView, data: MeasureData, *, static_url: str = "/static", inline: bool = False
) -> str:
    """Return the map's own document (see `maps.folium_page.render_frame`)."""
    painted = data.drawn or data.painted
    shown = [painted.disclosures[cell.code] in (Disclosure.SHOWN, Disclosure.NONE) for cell in data.cells]
    texts = {key.removeprefix("planner.frame."): text for key, text in subset(locale, "planner.frame.").items()}
    return render_frame(
        FrameContent(
            locale=locale,
            title=measure_title(locale, view, data),
            outlines=data.outlines,
            codes=[cell.code for cell in data.cells],
            names=[cell.name for cell in data.cells],
            counts=[cell.cases if ok else -1 for cell, ok in zip(data.cells, shown, strict=True)],
            total=0,
            tones=painted.tones,
            level=view.level,
            parents=data.parents,
            spots=[],
            spot_peak=1.0,
            surface=None,
            palette_light=painted.light,
            palette_dark=painted.dark,
            surface_palette_light=[],
            surface_palette_dark=[],
            legends={"cells": painted.legend},
            texts=texts | {"layer.cells": translate(locale, f"measures.measure.{view.measure.value}")},
            credit=translate(locale, "planner.credit", as_of=data.stand, grid=data.grid_name),
            tips=painted.words,
            variants=data.variants,
            control="choice" if data.variants else "",
        ),
        static_url=static_url,
        inline=inline,
    )


def measure_title(locale: Locale, view: MeasureView, data: MeasureData) -> str:
    """Return the finding in words."""
    said = {
        "period": describe_period(locale, view.period, today=data.today),
        "category": category_words(locale, view.categories, data.categories),
        "measure": translate(locale, f"measures.measure.{view.measure.value}"),
    }
    if view.measure is Measure.HOT_SPOTS and data.found is not None:
        if data.found.too_few:
            return translate(locale, "measures.finding.too_few", fewest=FEWEST_CELLS, **said)
        tones = [Tone(int(tone)) for tone in data.found.tones.tolist()]
        hot, cold = sum(tone > 0 for tone in tones), sum(tone < 0 for tone in tones)
        key = "measures.finding.hot_spots" if hot or cold else "measures.finding.chance"
        return translate(locale, key, hot=hot, cold=cold, cells=len(tones), **said)
    if view.measure in (Measure.EMERGING, Measure.LOCAL_MORAN):
        return _tested_title(locale, view.measure, data, said)
    if data.compared is not None:
        if not any(cell.before for cell in data.cells):
            return translate(locale, "measures.finding.no_before", **said)
        more = sum(value is not None and value > 0 for value in data.painted.values)
        fewer = sum(value is not None and value < 0 for value in data.painted.values)
        return translate(locale, "measures.finding.change", more=more, fewer=fewer, **said)
    known = [(v, cell, w) for v, cell, w in zip(data.painted.values, data.cells, data.painted.words, strict=True) if v]
    if not known:
        return translate(locale, "measures.finding.nothing", **said)
    _, cell, words = max(known, key=lambda each: (each[0], each[1].code))
    return translate(locale, "measures.finding.most", name=cell.name, words=words, **said)


def _tested_title(locale: Locale, measure: Measure, data: MeasureData, said: dict[str, str]) -> str:
    tests = data.tests
    if measure is Measure.EMERGING:
        if tests.patterns is None:
            return translate(
                locale, "measures.finding.emerging.too_few", fewest=FEWEST_CELLS, steps=FEWEST_STEPS, **said
            )
        named = [one for one in tests.patterns if one.pattern is not Pattern.NONE]
        count = Counter(one.pattern for one in named if one.is_hot)
        return translate(
            locale,
            "measures.finding.emerging",
            hot=sum(one.is_hot for one in named),
            cold=sum(not one.is_hot for one in named),
            new=count[Pattern.NEW],
            growing=count[Pattern.INTENSIFYING],
            **said,
        )
    count_of = Counter() if tests.local is None or tests.local.too_few else Counter(tests.local.quadrants)
    whole = tests.whole
    if tests.local is None or tests.local.too_few:
        return translate(locale, "measures.finding.too_few", fewest=FEWEST_CELLS, **said)
    return translate(
        locale,
        "measures.finding.local_moran",
        high=count_of[Quadrant.HIGH_HIGH],
        low=count_of[Quadrant.LOW_LOW],
        odd=count_of[Quadrant.HIGH_LOW] + count_of[Quadrant.LOW_HIGH],
        i="–" if whole is None or whole.i != whole.i else format_ratio(whole.i, 1, digits=2),
        p="–" if whole is None else small_p(whole.p),
        **said,
    )


def measure_context(locale: Locale, view: MeasureView, data: MeasureData, *, root: str = "") -> dict[str, Any]:
    """Return the context of ``measures.html``."""
    # A file, a share and the map itself do not depend on which cell is being explained.
    bare = replace(view, cell="")
    parts = page_parts(
        locale, bare, data, kind="cells", title=measure_title(locale, view, data), root=root, forms=FORMS
    )
    return closed(
        parts
        | {
            "other_query": view.query(lang="en" if locale == "zh-CN" else "zh-CN"),
            "summary": measure_words(locale, data),
            "measures": [(each.value, translate(locale, f"measures.measure.{each.value}")) for each in Measure],
            "weights": [(each.value, translate(locale, f"measures.weights.{each.value}")) for each in Kind],
            "layers": [(each, translate(locale, f"measures.layers.{each}")) for each in LAYERS],
            "is_weighed": view.measure in WEIGHED,
            "is_tested": view.measure is Measure.HOT_SPOTS,
            "has_why": view.measure in STATISTICS,
            "rows": _rows(view, data, locale)[:_ROWS],
            "reason": _reason(locale, view, data),
            "define": translate(locale, f"measures.define.{view.measure.value}", small=SMALL_COUNT),
            "methods": method_words(locale, view.measure),
        }
    )


def measure_words(locale: Locale, data: MeasureData) -> str:
    """Return how many cases there are, and with what they are compared."""
    words = translate(
        locale,
        "measures.summary",
        total=rough(data.total),
        cells=format_count(len(data.cells)),
        elsewhere=rough(data.elsewhere),
        as_of=data.stand,
    )
    if data.compared is None:
        return words
    compared = translate(locale, "measures.compared", first=data.compared.from_on, last=data.compared.to_on)
    return f"{words} {compared}"


def _rows(view: MeasureView, data: MeasureData, locale: Locale) -> list[dict[str, Any]]:
    painted, found = data.painted, data.found
    rows = []
    for k, cell in enumerate(data.cells):
        value = painted.values[k]
        if value is None:
            continue
        row: dict[str, Any] = {"code": cell.code, "name": cell.name, "words": painted.words[k], "value": value}
        row["cases"] = public_count(cell.cases, painted.disclosures[cell.code])
        if found is not None:
            row["p"] = "" if found.p[k] != found.p[k] else small_p(float(found.p[k]))
            row["q"] = "" if found.q[k] != found.q[k] else small_p(float(found.q[k]))
            row["strength"] = abs(int(found.tones[k]))
        if view.measure in STATISTICS:
            row["why"] = view.query(lang=locale, cell=cell.code) + "#why"
        rows.append(row)
    if found is not None:
        rows.sort(key=lambda row: (-row["strength"], -abs(row["value"]), row["code"]))
    else:
        rows.sort(key=lambda row: (-abs(row["value"]), row["code"]))
    return rows


def _reason(locale: Locale, view: MeasureView, data: MeasureData) -> dict[str, Any] | None:
    codes = [cell.code for cell in data.cells]
    if view.cell not in codes:
        return None
    at, disclosures = codes.index(view.cell), data.painted.disclosures
    return explain_cell(locale, view.measure, at, data.cells, disclosures, data.tests, data.reason)


def measure_sheet(locale: Locale, view: MeasureView, data: MeasureData) -> Sheet:
    """Return one line per cell; what may not be shown is empty."""
    words = ("code", "name", "cases", "value")
    head = [translate(locale, f"measures.column.{word}") for word in words]
    head[3] = translate(locale, f"measures.measure.{view.measure.value}")
    if data.found is not None:
        head += ["p", "q", translate(locale, "measures.column.tone")]
    lines: list[list[str | float | None]] = []
    for k, cell in enumerate(data.cells):
        value = data.painted.values[k]
        disclosure = data.painted.disclosures[cell.code]
        is_told = disclosure in (Disclosure.SHOWN, Disclosure.NONE)
        line: list[str | float | None] = [cell.code, cell.name]
        line += [float(cell.cases) if is_told else public_count(cell.cases, disclosure), value]
        if data.found is not None:
            tested = [float(found[k]) for found in (data.found.p, data.found.q)]
            line += [None if number != number else number for number in tested]
            line.append(Tone(int(data.found.tones[k])).name.lower())
        lines.append(line)
    notes = [measure_words(locale, data), translate(locale, f"measures.define.{view.measure.value}", small=SMALL_COUNT)]
    return Sheet(title=measure_title(locale, view, data), head=head, lines=lines, notes=notes)


def measure_geojson_values(view: MeasureView, data: MeasureData) -> list[dict[str, object]]:
    """Return what is told of each cell; null where nothing may be told."""
    told = (Disclosure.SHOWN, Disclosure.NONE)
    features = []
    for k, cell in enumerate(data.cells):
        disclosure = data.painted.disclosures[cell.code]
        properties: dict[str, object] = {
            "code": cell.code,
            "name": cell.name,
            "cases": cell.cases if disclosure in told else None,
            view.measure.value: data.painted.values[k],
        }
        if data.found is not None:
            properties["tone"] = Tone(int(data.found.tones[k])).name.lower()
        features.append(properties)
    return features
