"""The page of coloured cells, from plain values: finding, map in its frame, table, why a cell is red. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from maps.figures import format_count, format_ratio
from maps.findings import Period, describe_period
from maps.folium_page import FrameContent, render_frame
from maps.heat import Category
from maps.hotspots.explaining import Reason
from maps.hotspots.gi_star import HotSpots
from maps.hotspots.neighbours import Kind
from maps.hotspots.significance import FEWEST_CELLS, Tone
from maps.hotspots.sources import SOURCES, Statistic
from maps.i18n import Locale, subset, translate
from maps.measures import CellValue, Measure, Painted
from maps.outline import EncodedOutlines
from maps.suppression import SMALL_COUNT, Disclosure

__all__ = ["MeasureData", "MeasureView", "csv_rows", "geojson", "measure_context", "measure_frame"]

_ROWS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureView:
    """What somebody asked to see; everything that the address of the page says."""

    period: Period
    measure: Measure
    level: int
    weights: Kind = Kind.CONTIGUITY
    category: str = ""
    channel: str = ""
    ledger: str = ""
    state: str = ""
    cell: str = ""

    def query(self, **changes: object) -> str:
        """Return the query string of this view, with some parts changed."""
        parts: dict[str, object] = {
            "from": self.period.from_on.isoformat(),
            "to": self.period.to_on.isoformat(),
            "measure": self.measure.value,
            "level": self.level,
            "weights": self.weights.value if self.measure is Measure.HOT_SPOTS else "",
            "category": self.category,
            "channel": self.channel,
            "ledger": self.ledger,
            "state": self.state,
            "cell": self.cell,
            **changes,
        }
        return urlencode({key: value for key, value in parts.items() if value not in ("", None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureData:
    """Everything that is known about a view.

    Attributes
    ----------
    cells, outlines, parents
        As in `maps.heat.HeatData`.
    found, reason
        Gi* of the cells, and why one of them has its colour; for hot spots only.
    elsewhere
        Cases of the filter that are in no drawn cell.
    """

    cells: Sequence[CellValue]
    outlines: EncodedOutlines
    parents: Sequence[tuple[int, EncodedOutlines, Sequence[str]]]
    painted: Painted
    found: HotSpots | None
    reason: Reason | None
    elsewhere: int
    compared: Period | None
    as_of: datetime
    today: date
    time_zone: str
    place: str
    grid_name: str
    categories: Sequence[Category]
    choices: Mapping[str, Sequence[tuple[str, str]]]
    levels: Sequence[int]


def _stand(data: MeasureData) -> str:
    return data.as_of.astimezone(ZoneInfo(data.time_zone)).strftime("%Y-%m-%d %H:%M")


def measure_frame(
    locale: Locale, view: MeasureView, data: MeasureData, *, static_url: str = "/static", inline: bool = False
) -> str:
    """Return the map's own document (see `maps.folium_page.render_frame`)."""
    painted = data.painted
    shown = [painted.disclosures[cell.code] in (Disclosure.SHOWN, Disclosure.NONE) for cell in data.cells]
    texts = {key.removeprefix("planner.frame."): text for key, text in subset(locale, "planner.frame.").items()}
    return render_frame(
        FrameContent(
            locale=locale,
            title=_title(locale, view, data),
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
            credit=translate(locale, "planner.credit", as_of=_stand(data), grid=data.grid_name),
            tips=painted.words,
        ),
        static_url=static_url,
        inline=inline,
    )


def _title(locale: Locale, view: MeasureView, data: MeasureData) -> str:
    names = {category.code: category.name for category in data.categories}
    said = {
        "period": describe_period(locale, view.period, today=data.today),
        "category": names.get(view.category, view.category) or translate(locale, "planner.category.all"),
        "measure": translate(locale, f"measures.measure.{view.measure.value}"),
    }
    if view.measure is Measure.HOT_SPOTS and data.found is not None:
        if data.found.too_few:
            return translate(locale, "measures.finding.too_few", fewest=FEWEST_CELLS, **said)
        tones = [Tone(int(tone)) for tone in data.found.tones.tolist()]
        hot, cold = sum(tone > 0 for tone in tones), sum(tone < 0 for tone in tones)
        key = "measures.finding.hot_spots" if hot or cold else "measures.finding.chance"
        return translate(locale, key, hot=hot, cold=cold, cells=len(tones), **said)
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


def measure_context(locale: Locale, view: MeasureView, data: MeasureData, *, root: str = "") -> dict[str, Any]:
    """Return the context of ``measures.html``."""
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    total = sum(cell.cases for cell in data.cells)
    path = f"{root}/maps/cells"
    return {
        "locale": locale,
        "root": root,
        "texts": subset(locale, "planner.")
        | subset(locale, "console.")
        | subset(locale, "measures.")
        | {"rates.heading": translate(locale, "rates.heading")},
        "other_locale": other,
        "other_language": translate(other, "console.language_name"),
        "other_query": view.query(lang=other),
        "place": data.place,
        "title": _title(locale, view, data),
        "view": view,
        "today": data.today.isoformat(),
        "summary": translate(
            locale,
            "measures.summary",
            total=format_count(total) if total == 0 or total >= SMALL_COUNT else f"<{SMALL_COUNT}",
            cells=format_count(len(data.cells)),
            elsewhere=format_count(data.elsewhere) if data.elsewhere >= SMALL_COUNT else f"<{SMALL_COUNT}",
            as_of=_stand(data),
        ),
        "compared": ""
        if data.compared is None
        else translate(locale, "measures.compared", first=data.compared.from_on, last=data.compared.to_on),
        "measures": [(each.value, translate(locale, f"measures.measure.{each.value}")) for each in Measure],
        "weights": [(each.value, translate(locale, f"measures.weights.{each.value}")) for each in Kind],
        "is_tested": view.measure is Measure.HOT_SPOTS,
        "levels": [(level, translate(locale, f"planner.level.{level}")) for level in data.levels],
        "groups": _groups(data.categories),
        "choices": data.choices,
        "frame_url": f"{path}/frame?{view.query(lang=locale, cell=None)}",
        "file_url": f"{path}/frame?{view.query(lang=locale, cell=None, inline=1)}",
        "csv_url": f"{path}/file?{view.query(lang=locale, cell=None, form='csv')}",
        "geojson_url": f"{path}/file?{view.query(lang=locale, cell=None, form='geojson')}",
        "rows": _rows(view, data, locale)[:_ROWS],
        "reason": None if data.reason is None else _reason(locale, data),
        "define": translate(locale, f"measures.define.{view.measure.value}", small=SMALL_COUNT),
        "sources": [SOURCES[s].citation for s in (Statistic.GI_STAR, Statistic.FDR)]
        if view.measure is Measure.HOT_SPOTS
        else [],
        "grid_name": data.grid_name,
        "small": SMALL_COUNT,
    }


def _groups(categories: Sequence[Category]) -> list[tuple[str, list[Category]]]:
    groups: dict[str, list[Category]] = {}
    for category in categories:
        groups.setdefault(category.group, []).append(category)
    return list(groups.items())


def _rows(view: MeasureView, data: MeasureData, locale: Locale) -> list[dict[str, Any]]:
    painted, found = data.painted, data.found
    rows = []
    for k, cell in enumerate(data.cells):
        value = painted.values[k]
        if value is None:
            continue
        row: dict[str, Any] = {"code": cell.code, "name": cell.name, "words": painted.words[k], "value": value}
        row["cases"] = _public(cell.cases, painted.disclosures[cell.code])
        if found is not None:
            row["p"] = "" if found.p[k] != found.p[k] else _small_p(float(found.p[k]))
            row["q"] = "" if found.q[k] != found.q[k] else _small_p(float(found.q[k]))
            row["strength"] = abs(int(found.tones[k]))
            row["why"] = view.query(lang=locale, cell=cell.code) + "#why"
        rows.append(row)
    if found is not None:
        rows.sort(key=lambda row: (-row["strength"], -abs(row["value"]), row["code"]))
    else:
        rows.sort(key=lambda row: (-abs(row["value"]), row["code"]))
    return rows


def _public(cases: int, disclosure: Disclosure) -> str:
    if disclosure is Disclosure.SMALL:
        return f"<{SMALL_COUNT}"
    return "–" if disclosure is Disclosure.WITHHELD else format_count(cases)


def _small_p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{format_ratio(p, 1, digits=3)}"


def _reason(locale: Locale, data: MeasureData) -> dict[str, Any]:
    """Return the panel; a sum is left out when it would give a small neighbour away."""
    reason = data.reason
    assert reason is not None
    named = {cell.code: cell for cell in data.cells}
    disclosures = data.painted.disclosures
    members = [reason.code, *(each.code for each in reason.neighbours)]
    is_open = all(disclosures[code] in (Disclosure.SHOWN, Disclosure.NONE) for code in members)
    kind = translate(locale, f"measures.weights.{reason.kind.value}")
    facts = [("z", format_ratio(reason.z, 1, digits=2 if is_open else 1) if reason.z is not None else "–")]
    facts += [("p", _small_p(reason.p) if reason.p is not None else "–")]
    facts += [("q", _small_p(reason.q) if reason.q is not None else "–")]
    facts += [("own", _public(int(reason.value), disclosures[reason.code]))]
    facts += [("sum", format_count(int(reason.sum)) if is_open else "–")]
    facts += [("expected", format_ratio(reason.expected, 1, digits=1) or "–")]
    facts += [("mean", format_ratio(reason.mean, 1, digits=1) or "–")]
    facts += [("cells", format_count(reason.cells)), ("permutations", format_count(reason.permutations))]
    return {
        "heading": translate(locale, "measures.why.heading", name=named[reason.code].name),
        "verdict": translate(locale, f"measures.sign.{reason.tone.name.lower()}"),
        "sentence": translate(
            locale,
            "measures.why.sentence",
            count=len(reason.neighbours),
            kind=kind,
            permutations=format_count(reason.permutations),
        ),
        "facts": [(translate(locale, f"measures.fact.{name}"), value) for name, value in facts],
        "neighbours": [
            (named[each.code].name, _public(int(each.value), disclosures[each.code])) for each in reason.neighbours
        ],
        "cautions": [translate(locale, f"measures.caution.{each.value}") for each in reason.cautions],
    }


def csv_rows(locale: Locale, view: MeasureView, data: MeasureData) -> list[list[str]]:
    """Return heading and one line per cell; what may not be shown is empty."""
    words = ("code", "name", "cases", "value")
    heading = [translate(locale, f"measures.column.{word}") for word in words]
    heading[3] = translate(locale, f"measures.measure.{view.measure.value}")
    tested = data.found is not None
    lines = [heading + (["p", "q", translate(locale, "measures.column.tone")] if tested else [])]
    for k, cell in enumerate(data.cells):
        value = data.painted.values[k]
        line = [cell.code, cell.name, _public(cell.cases, data.painted.disclosures[cell.code]).replace(",", "")]
        line.append("" if value is None else f"{value:.6g}")
        if data.found is not None:
            line += [f"{data.found.p[k]:.6g}", f"{data.found.q[k]:.6g}", Tone(int(data.found.tones[k])).name.lower()]
        lines.append(line)
    return lines


def geojson(view: MeasureView, data: MeasureData, boundaries: Sequence[str]) -> str:
    """Return the cells with their values as GeoJSON; ``boundaries`` are geometries already written, in their order."""
    features = []
    for k, (cell, boundary) in enumerate(zip(data.cells, boundaries, strict=True)):
        disclosure = data.painted.disclosures[cell.code]
        properties: dict[str, Any] = {
            "code": cell.code,
            "name": cell.name,
            "cases": cell.cases if disclosure in (Disclosure.SHOWN, Disclosure.NONE) else None,
            view.measure.value: data.painted.values[k],
        }
        if data.found is not None:
            properties["tone"] = Tone(int(data.found.tones[k])).name.lower()
        head = (
            f'{{"type":"Feature","id":{json.dumps(cell.code)},"properties":{json.dumps(properties, ensure_ascii=False)}'
        )
        features.append(f'{head},"geometry":{boundary}}}')
    return '{"type":"FeatureCollection","features":[' + ",".join(features) + "]}"
