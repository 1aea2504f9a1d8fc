"""Two maps in step: the same measure of two periods or two matters, with one scale. From plain values; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from maps.figures import format_change, format_ratio
from maps.findings import Period, describe_period
from maps.folium_page import FrameContent, render_frame
from maps.i18n import Locale, subset, translate
from maps.measures import CHANGES, CellValue, Measure, Painted
from maps.outline import EncodedOutlines
from maps.page_parts import Scene, category_words, closed, page_parts, rough
from maps.question import Question
from maps.sheet import Sheet
from maps.suppression import SMALL_COUNT, Disclosure

__all__ = [
    "COMPARED",
    "FORMS",
    "CompareData",
    "CompareView",
    "compare_context",
    "compare_file",
    "compare_frame",
    "compare_geojson_values",
    "compare_sheet",
]

#: What two maps can be compared by; a difference is a map of its own.
COMPARED: Final = tuple(each for each in Measure if each not in {*CHANGES, Measure.HOT_SPOTS})
FORMS: Final = ("html", "png", "pdf", "csv", "xlsx", "geojson")
_ROWS: Final = 200
#: From here on a change is told in whole numbers.
_WHOLE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareView(Question):
    """What somebody asked to see; ``other`` is the period of the second map, ``other_category`` its own class."""

    other: Period
    measure: Measure = Measure.COUNT
    other_category: str = ""

    def parts(self) -> dict[str, object]:
        """Return the parts of the address, the empty ones too."""
        mine: dict[str, object] = {
            "measure": self.measure.value,
            "from2": self.other.from_on.isoformat(),
            "to2": self.other.to_on.isoformat(),
            "category2": self.other_category,
        }
        return Question.parts(self) | mine

    @property
    def second(self) -> Question:
        """What the second map asks."""
        return Question(
            period=self.other,
            level=self.level,
            categories=(self.other_category,) if self.other_category else self.categories,
            channel=self.channel,
            ledger=self.ledger,
            state=self.state,
            area=self.area,
            boundaries=self.boundaries,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareData(Scene):
    """Both maps: cells in one order, painted by one scale."""

    cells: tuple[Sequence[CellValue], Sequence[CellValue]]
    painted: tuple[Painted, Painted]
    totals: tuple[int, int]
    outlines: EncodedOutlines
    parents: Sequence[tuple[int, EncodedOutlines, Sequence[str]]]


def compare_frame(
    locale: Locale,
    view: CompareView,
    data: CompareData,
    side: int,
    *,
    static_url: str = "/static",
    inline: bool = False,
) -> str:
    """Return one of the two maps (0 or 1)."""
    painted, cells = data.painted[side], data.cells[side]
    told = (Disclosure.SHOWN, Disclosure.NONE)
    texts = {key.removeprefix("planner.frame."): text for key, text in subset(locale, "planner.frame.").items()}
    return render_frame(
        FrameContent(
            locale=locale,
            title=side_title(locale, view, data, side),
            outlines=data.outlines,
            codes=[cell.code for cell in cells],
            names=[cell.name for cell in cells],
            counts=[cell.cases if painted.disclosures[cell.code] in told else -1 for cell in cells],
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
            texts=texts | {"layer.cells": side_title(locale, view, data, side)},
            credit=translate(locale, "planner.credit", as_of=data.stand, grid=data.grid_name),
            tips=painted.words,
        ),
        static_url=static_url,
        inline=inline,
    )


def side_title(locale: Locale, view: CompareView, data: CompareData, side: int) -> str:
    """Return what one map is about: its period, and its class if the two differ in it."""
    asked = view.second if side else view
    period = describe_period(locale, asked.period, today=data.today)
    if not view.other_category:
        return period
    category = category_words(locale, asked.categories, data.categories)
    return translate(locale, "planner.compare.side", period=period, category=category)


def compare_title(locale: Locale, view: CompareView, data: CompareData) -> str:
    """Return the finding: how the totals differ, and how many cells rose and fell."""
    first, second = data.totals
    said = {"first": side_title(locale, view, data, 0), "second": side_title(locale, view, data, 1)}
    if not view.other_category:
        category = category_words(locale, view.categories, data.categories)
        said["first"] = translate(locale, "planner.compare.matter", period=said["first"], category=category)
    if first < SMALL_COUNT or second < SMALL_COUNT:
        return translate(locale, "planner.compare.finding.none", **said)
    change = format_ratio(abs(first - second), second, scale=100, digits=1)
    key = "more" if first > second else "fewer" if first < second else "same"
    return translate(locale, f"planner.compare.finding.{key}", change=change, **said)


def compare_context(locale: Locale, view: CompareView, data: CompareData, *, root: str = "") -> dict[str, Any]:
    """Return the context of ``compare.html``."""
    parts = page_parts(
        locale, view, data, kind="compare", title=compare_title(locale, view, data), root=root, forms=FORMS
    )
    before, year = view.period.before, view.period.year_before
    difference = {"lang": locale, "measure": "change_before" if view.other == before else "change_year"}
    plain = Question.query(view, **difference) if view.other in (before, year) and not view.other_category else ""
    return closed(
        parts
        | {
            "summary": translate(
                locale, "planner.compare.summary", first=rough(data.totals[0]), second=rough(data.totals[1])
            ),
            "sides": [
                (side_title(locale, view, data, side), f"{parts['frame_url']}&side={side + 1}", f"map{side or ''}")
                for side in (0, 1)
            ],
            "all_categories": [(category.code, category.name) for category in data.categories],
            "measures": [(each.value, translate(locale, f"measures.measure.{each.value}")) for each in COMPARED],
            "against": [
                (translate(locale, "planner.compare.before"), _against(view, before, locale), view.other == before),
                (translate(locale, "planner.compare.year"), _against(view, year, locale), view.other == year),
            ],
            "difference_url": f"{root}/maps/cells?{plain}" if plain else "",
            "rows": _rows(data)[:_ROWS],
            "define": translate(locale, f"measures.define.{view.measure.value}", small=parts["small"]),
            "second_cases_url": f"{root}/maps/cases?{Question.query(view.second, lang=locale)}",
        }
    )


def _against(view: CompareView, other: Period, locale: Locale) -> str:
    return view.query(from2=other.from_on, to2=other.to_on, lang=locale)


def _rows(data: CompareData) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    first, second = data.painted
    for k, cell in enumerate(data.cells[0]):
        values = (first.values[k], second.values[k])
        if values == (None, None):
            continue
        change = None if None in values else float(values[0] or 0) - float(values[1] or 0)
        rows.append(
            {
                "code": cell.code,
                "name": cell.name,
                "first": first.words[k],
                "second": second.words[k],
                "change": ""
                if change is None
                else format_change(f"{change:+,.0f}" if abs(change) >= _WHOLE else f"{change:+.4g}"),
                "size": abs(change or 0),
            }
        )
    rows.sort(key=lambda row: (-float(row["size"]), str(row["code"])))
    return rows


def compare_sheet(locale: Locale, view: CompareView, data: CompareData) -> Sheet:
    """Return one line per cell with both values."""
    head = [translate(locale, f"measures.column.{name}") for name in ("code", "name")]
    head += [side_title(locale, view, data, 0), side_title(locale, view, data, 1)]
    lines: list[list[str | float | None]] = [
        [cell.code, cell.name, data.painted[0].values[k], data.painted[1].values[k]]
        for k, cell in enumerate(data.cells[0])
    ]
    notes = [
        translate(locale, f"measures.measure.{view.measure.value}"),
        translate(locale, "planner.stand", as_of=data.stand),
    ]
    return Sheet(title=compare_title(locale, view, data), head=head, lines=lines, notes=notes)


def compare_geojson_values(data: CompareData) -> list[dict[str, object]]:
    """Return what is told of each cell: both values and their difference; null where nothing may be told."""
    first, second = data.painted
    return [
        {
            "code": cell.code,
            "name": cell.name,
            "first": one,
            "second": other,
            "change": None if one is None or other is None else one - other,
        }
        for cell, one, other in zip(data.cells[0], first.values, second.values, strict=True)
    ]


#: Passes the view of one map on to the other; the frames have no origin, so they are told apart by their windows.
_RELAY: Final = """
const frames = [...document.querySelectorAll("iframe")];
window.addEventListener("message", (event) => {
  const from = frames.findIndex((frame) => frame.contentWindow === event.source);
  if (from < 0 || event.data?.gridward !== "heat" || event.data.type !== "view") return;
  frames[1 - from].contentWindow.postMessage({ type: "view", value: event.data.view }, "*");
});
"""


def compare_file(locale: Locale, view: CompareView, data: CompareData) -> str:
    """Return both maps as one file that works without any server."""
    frames = "".join(
        f"<figure><figcaption>{escape(side_title(locale, view, data, side))}</figcaption>"
        f'<iframe sandbox="allow-scripts"'
        f' srcdoc="{escape(compare_frame(locale, view, data, side, inline=True))}"></iframe></figure>'
        for side in (0, 1)
    )
    title = escape(compare_title(locale, view, data))
    style = (
        "html,body{height:100%;margin:0}body{display:flex;flex-direction:column;font:15px/24px 'PingFang SC',"
        "'Microsoft YaHei','Noto Sans CJK SC',sans-serif;background:Canvas;color:CanvasText;color-scheme:light dark}"
        "h1{font-size:20px;line-height:28px;margin:12px 16px}main{flex:1;display:flex;flex-wrap:wrap;gap:8px;"
        "padding:0 16px 16px}figure{flex:1 1 340px;display:flex;flex-direction:column;margin:0}"
        "iframe{flex:1;min-height:320px;border:1px solid color-mix(in srgb,currentcolor 20%,transparent)}"
    )
    return (
        f'<!doctype html><html lang="{locale}"><head><meta charset="utf-8"><meta name="viewport" content="width='
        f'device-width"><title>{title}</title><style>{style}</style></head><body><h1>{title}</h1><main>{frames}</main>'
        f"<script>{_RELAY}</script></body></html>"
    )
