"""When: the cells step by step with a slider, and the hours of the week. From plain values; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from maps.classes import make_breaks, make_ramp
from maps.figures import format_change, format_ratio
from maps.findings import Period, describe_period
from maps.folium_page import FrameContent, render_frame
from maps.i18n import Locale, subset, translate
from maps.measures import paint_counts
from maps.outline import EncodedOutlines
from maps.page_parts import Scene, category_words, closed, page_parts, rough
from maps.question import Question
from maps.sheet import Sheet
from maps.suppression import SMALL_COUNT

__all__ = [
    "FORMS",
    "MOST_STEPS",
    "Step",
    "TimeData",
    "TimeView",
    "steps_of",
    "time_context",
    "time_frame",
    "time_geojson_values",
    "time_sheet",
]

Ints = npt.NDArray[np.int64]

#: Files that the page can be had as.
FORMS: Final = ("html", "png", "pdf", "csv", "xlsx", "geojson")
MOST_STEPS: Final = 120
#: With more numbers than this the pointer is told the class instead of the number: a page of 1.5 MB is enough.
_MOST_TIPS: Final = 40_000
_CLASSES: Final = 6


class Step(StrEnum):
    """How long a step of the slider is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeView(Question):
    """What somebody asked to see."""

    step: Step = Step.DAY

    def parts(self) -> dict[str, object]:
        """Return the parts of the address, the empty ones too."""
        return {**Question.parts(self), "step": self.step.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeData(Scene):
    """Everything that is known about a view.

    Attributes
    ----------
    codes, names, outlines, parents
        The cells in one order, and the levels above.
    steps
        Days of each step, oldest first.
    counts
        Cases by step and cell. Shape: (steps, cells).
    totals
        Cases of each step in all cells.
    hours
        Cases by weekday and hour. Shape: (7, 24), Monday first. Zone: the jurisdiction's.
    """

    codes: Sequence[str]
    names: Sequence[str]
    outlines: EncodedOutlines
    parents: Sequence[tuple[int, EncodedOutlines, Sequence[str]]]
    steps: Sequence[Period]
    counts: Ints
    totals: Sequence[int]
    hours: Ints


def steps_of(period: Period, step: Step) -> list[Period]:
    """Cut a period into steps; weeks begin on Monday, months on the first. The outer ones may be short.

    Examples
    --------
    >>> week = Period(from_on=date(2026, 11, 18), to_on=date(2026, 11, 24))
    >>> [(each.from_on.day, each.to_on.day) for each in steps_of(week, Step.WEEK)]
    [(18, 22), (23, 24)]
    """
    found, day = [], period.from_on
    while day <= period.to_on:
        match step:
            case Step.DAY:
                last = day
            case Step.WEEK:
                last = day + timedelta(days=6 - day.weekday())
            case _:
                last = (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        last = min(last, period.to_on)
        found.append(Period(from_on=day, to_on=last))
        day = last + timedelta(days=1)
    return found


def _step_name(locale: Locale, step: Step, period: Period) -> str:
    match step:
        case Step.DAY:
            weekday = translate(locale, f"planner.weekday.{period.from_on.weekday()}")
            return f"{period.from_on.isoformat()} {weekday}"
        case Step.WEEK:
            return translate(locale, "planner.period.range", first=period.from_on, last=period.to_on)
        case _:
            month = translate(locale, f"planner.month.{period.from_on.month}")
            return translate(locale, "planner.period.month", year=period.from_on.year, month=month)


def time_frame(
    locale: Locale, view: TimeView, data: TimeData, *, static_url: str = "/static", inline: bool = False
) -> str:
    """Return the map's own document, with a slider."""
    names = [_step_name(locale, view.step, period) for period in data.steps]
    layers = [(name, "", counts) for name, counts in zip(names, data.counts.tolist(), strict=True)]
    variants, legend, classes = paint_counts(
        locale, layers, is_coarse=not data.sees_cases, with_tips=data.counts.size <= _MOST_TIPS
    )
    last = variants[-1]
    texts = {key.removeprefix("planner.frame."): text for key, text in subset(locale, "planner.frame.").items()}
    return render_frame(
        FrameContent(
            locale=locale,
            title=time_title(locale, view, data),
            outlines=data.outlines,
            codes=data.codes,
            names=data.names,
            counts=[0] * len(data.codes),
            total=0,
            tones=last.tones,
            tips=last.tips or [""] * len(data.codes),
            level=view.level,
            parents=data.parents,
            spots=[],
            spot_peak=1.0,
            surface=None,
            palette_light=make_ramp(max(classes, 1)),
            palette_dark=make_ramp(max(classes, 1), dark=True),
            surface_palette_light=[],
            surface_palette_dark=[],
            legends={"cells": legend},
            texts=texts,
            credit=translate(locale, "planner.credit", as_of=data.stand, grid=data.grid_name),
            variants=variants,
            control="slider",
        ),
        static_url=static_url,
        inline=inline,
    )


def time_title(locale: Locale, view: TimeView, data: TimeData) -> str:
    """Return the finding: the hour of the week with the most cases."""
    said = {
        "period": describe_period(locale, view.period, today=data.today),
        "category": category_words(locale, view.categories, data.categories),
    }
    total = int(data.hours.sum())
    if int(data.hours.max(initial=0)) < SMALL_COUNT:
        return translate(locale, "planner.time.finding.none", **said)
    weekday, hour = (int(k) for k in np.unravel_index(int(data.hours.argmax()), data.hours.shape))
    return translate(
        locale,
        "planner.time.finding",
        weekday=translate(locale, f"planner.weekday.{weekday}"),
        hour=hour,
        next=hour + 1,
        cases=f"{int(data.hours[weekday, hour]):,}",
        share=format_ratio(int(data.hours[weekday, hour]), total, scale=100, digits=1),
        **said,
    )


def time_context(locale: Locale, view: TimeView, data: TimeData, *, root: str = "") -> dict[str, Any]:
    """Return the context of ``times.html``."""
    parts = page_parts(locale, view, data, kind="time", title=time_title(locale, view, data), root=root, forms=FORMS)
    cases_url = str(parts["cases_url"])
    shown = data.hours[data.hours >= SMALL_COUNT]
    breaks = make_breaks(shown.astype(np.float64), classes=_CLASSES)
    matrix = [
        (
            translate(locale, f"planner.weekday.{weekday}"),
            [
                {
                    "words": rough(cases) if cases else "",
                    "tone": "" if cases == 0 else "h" if cases < SMALL_COUNT else str(breaks.index_of(float(cases))),
                    "url": f"{cases_url}&weekday={weekday}&hour={hour}",
                }
                for hour, cases in enumerate(row)
            ],
            rough(sum(row)),
        )
        for weekday, row in enumerate(data.hours.tolist())
    ]
    most = max(data.totals, default=1) or 1
    rows = []
    for at, (period, total) in enumerate(zip(data.steps, data.totals, strict=True)):
        before = data.totals[at - 1] if at else 0
        is_told = total >= SMALL_COUNT and before >= SMALL_COUNT
        rows.append(
            {
                "name": _step_name(locale, view.step, period),
                "cases": rough(total),
                "bar": round(100 * total / most, 1) if total >= SMALL_COUNT else 0,
                "change": format_change(f"{total - before:+,}") if is_told else "",
                "url": f"{parts['root']}/maps/cases?" + _days(view, period).query(lang=locale),
            }
        )
    return closed(
        parts
        | {
            "summary": translate(locale, "planner.time.summary", total=rough(sum(data.totals)), steps=len(data.steps)),
            "steps": [(each.value, translate(locale, f"planner.step.{each.value}")) for each in Step],
            "matrix": matrix,
            "hours": list(range(24)),
            "light": make_ramp(max(len(breaks), 1)),
            "dark": make_ramp(max(len(breaks), 1), dark=True),
            "ramp": [
                f"{int(lower):,}" if lower == upper else f"{int(lower):,}–{int(upper):,}"
                for lower, upper in zip(breaks.lowers, breaks.uppers, strict=True)
            ],
            "rows": rows[::-1],
        }
    )


def _days(view: TimeView, period: Period) -> Question:
    return Question(
        period=period,
        level=view.level,
        categories=view.categories,
        channel=view.channel,
        ledger=view.ledger,
        state=view.state,
        area=view.area,
    )


def time_sheet(locale: Locale, view: TimeView, data: TimeData) -> Sheet:
    """Return one line per step and cell that has a number to tell."""
    head = [translate(locale, f"planner.step.{view.step.value}"), translate(locale, "measures.column.code")]
    head += [translate(locale, "measures.column.name"), translate(locale, "measures.column.cases")]
    lines: list[list[str | float | None]] = []
    for period, counts in zip(data.steps, data.counts.tolist(), strict=True):
        for code, name, cases in zip(data.codes, data.names, counts, strict=True):
            if cases:
                told: str | float = float(cases) if cases >= SMALL_COUNT else rough(cases)
                lines.append([period.from_on.isoformat(), code, name, told])
    return Sheet(
        title=time_title(locale, view, data),
        head=head,
        lines=lines,
        notes=[translate(locale, "planner.stand", as_of=data.stand)],
    )


def time_geojson_values(data: TimeData) -> list[dict[str, object]]:
    """Return of each cell its cases by the first day of every step; null where there are too few to tell."""
    steps = [period.from_on.isoformat() for period in data.steps]
    return [
        {
            "code": code,
            "name": name,
            "cases": {
                step: cases if cases == 0 or cases >= SMALL_COUNT else None
                for step, cases in zip(steps, data.counts[:, k].tolist(), strict=True)
            },
        }
        for k, (code, name) in enumerate(zip(data.codes, data.names, strict=True))
    ]
