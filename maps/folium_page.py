"""The one place that touches Folium: from plain values to a page that asks nobody else for anything.

Folium and branca put addresses of content networks into every page, escape nothing in pop-ups, and let a link override
change the class for the whole process. So, here:

* links are replaced on the *instances*, never through ``add_js_link`` (which edits the list of the class);
* Bootstrap, jQuery, Font Awesome and awesome-markers are not loaded: nothing on these maps needs them;
* no text goes through Folium's templates, for branca renders what it has rendered a second time: ``{{ }}`` in a name
  would run on the server;
* no text goes through Folium's HTML: names travel as JSON, and the page's script sets them as text;
* element ids are fixed, so that equal input gives equal bytes;
* `check_no_foreign` reads the finished page and raises when any foreign address is left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

import folium
from branca.element import Element, Figure
from folium.map import LayerControl
from folium.plugins import HeatMap
from folium.raster_layers import ImageOverlay

from maps.bins import HeatSpot
from maps.folium_layers import CellLayer, ClusterLayer, Finish, Raw, front_code
from maps.outline import EncodedOutlines
from maps.own_files import asset_tags, check_no_foreign, data_url

__all__ = [
    "FrameContent",
    "LegendPart",
    "Place",
    "SurfaceLayer",
    "Variant",
    "render_frame",
]

_FIXED_ZOOM: Final = re.compile(r'content="width=device-width,\s*initial-scale=1\.0[^"]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendPart:
    """A piece of a legend's sentence.

    Attributes
    ----------
    text, text_dark
        The words, and others for the dark page if they must differ (many is dark on light, and light on dark).
    sign
        What stands before them: ``class`` (with ``index``), ``hatch``, ``blank``, or nothing.
    index
        Number of the class, from 0.
    """

    text: str
    text_dark: str = ""
    sign: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceLayer:
    """A picture of the density. SRID: 4326 for the edges; the rows are even in EPSG:3857."""

    png_light: bytes
    png_dark: bytes
    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Another colouring of the cells, with the same classes: a step of time, a class of cases, a ledger.

    Attributes
    ----------
    name, group
        Words of it, and the heading it stands under.
    tones
        As in `FrameContent`.
    tips
        What is said under the pointer; without them, what the legend says of the class.
    """

    name: str
    tones: str
    group: str = ""
    tips: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A case, a repeat site or a square. SRID: 4326.

    Attributes
    ----------
    weight
        Cases that it stands for.
    status
        ``late``, ``normal``, ``done``, or empty when it stands for several.
    words, key
        What is said under the pointer; what the page outside is told when it is picked.
    """

    lon: float
    lat: float
    weight: int
    status: str = ""
    words: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameContent:
    """Everything that is drawn inside the frame; plain values, texts already in the reader's language.

    Attributes
    ----------
    locale, title
        Language tag and title of the document.
    outlines, codes, names, counts, tones
        The cells, in one order. ``counts``: cases, or -1 for "fewer than five" and -2 for "withheld"; ``tones``: one
        sign per cell, the digit of its class, ``h`` hatched, ``-`` blank.
    total
        What shares are shares of; 0 when it must not be known.
    levels
        Level of the cells; decides how strong their edges are.
    parents, parent_names
        Outlines of the levels above, strongest first: (level, outlines), and names of the cells of the first of them.
    spots, spot_peak
        The point heat layer and the weight at which it is darkest.
    surface
        The density picture, or None when there is too little to draw.
    palette_light, palette_dark
        Colours of the classes.
    legends
        Sentences for the layers ``cells``, ``density``, ``heat``.
    texts
        Small words of the controls, by the keys that the script uses.
    credit
        Data-as-of, grid version, attribution: one line at the foot.
    tips
        What is said of each cell under the pointer, in the order of the cells; without them it is its count and share.
    variants, control
        Other colourings of the same cells, and how to go between them: ``slider`` or ``choice``.
    places
        What lies on the map and comes together at small scales, by layer: ``cases``, ``squares``, ``sites``, ``gaps``.
    """

    locale: str
    title: str
    outlines: EncodedOutlines
    codes: Sequence[str]
    names: Sequence[str]
    counts: Sequence[int]
    tones: str
    total: int
    level: int
    parents: Sequence[tuple[int, EncodedOutlines, Sequence[str]]]
    spots: Sequence[HeatSpot]
    spot_peak: float
    surface: SurfaceLayer | None
    palette_light: Sequence[str]
    palette_dark: Sequence[str]
    surface_palette_light: Sequence[str]
    surface_palette_dark: Sequence[str]
    legends: Mapping[str, Sequence[LegendPart]]
    texts: Mapping[str, str]
    credit: str
    tips: Sequence[str] = ()
    variants: Sequence[Variant] = ()
    control: str = ""
    places: Mapping[str, Sequence[Place]] = field(default_factory=dict)


def render_frame(content: FrameContent, *, static_url: str = "/static", inline: bool = False) -> str:
    """Render the map as a complete HTML document.

    Parameters
    ----------
    content
        What to draw.
    static_url
        Where this server serves ``maps/static``, without a trailing slash.
    inline
        Put scripts, styles and pictures into the document: one file that works from a disk without any server.

    Returns
    -------
    str
        The document. The same content gives the same text.

    Raises
    ------
    ForeignAddressError
        If a foreign address is left.
    """
    page = folium.Map(
        location=_centre(content.outlines),
        zoom_start=12,
        tiles=None,
        zoom_control=False,
        font_size="13px",
        prefer_canvas=True,
        # Fractional zoom lets the cells fill the frame. The page's script fits them: Folium's `fit_bounds` glides there
        # and would still be on its way when the names are placed.
        zoomSnap=0.25,
        zoomDelta=0.5,
        minZoom=5,
        maxZoom=19,
        attributionControl=False,
    )
    page.default_js, page.default_css = [], []
    _fix_id(page, "heat")
    layers = _add_layers(page, content)
    control = LayerControl(position="topright", collapsed=False)
    finish = Finish(layers, _finish_payload(content))
    page.add_child(control)
    page.add_child(finish)
    _fix_id(control, "switch")
    _fix_id(finish, "end")
    figure = page.get_root()
    assert isinstance(figure, Figure)
    _fix_id(figure, "page")
    figure.title = escape(content.title)
    for number, tag in enumerate(asset_tags(static_url, inline=inline, clusters=bool(content.places))):
        figure.header.add_child(Raw(tag), name=f"file{number}")
    html = figure.render()
    html = html.replace("<html>", f'<html lang="{escape(content.locale)}">', 1)
    # Folium forbids zooming by hand for the whole document; people who need large type must be able to.
    html = re.sub(
        r'content="width=device-width,\s*initial-scale=1\.0[^"]*"', 'content="width=device-width"', html, count=1
    )
    check_no_foreign(html)
    return html


def _add_layers(page: folium.Map, content: FrameContent) -> dict[str, str]:
    """Add the three views (one at a time) and the edges of the levels above; return their script variables."""
    cells = CellLayer(
        {
            "shapes": list(content.outlines.shapes),
            "codes": front_code(content.codes),
            "names": front_code(content.names),
            "counts": list(content.counts),
            **({"tips": list(content.tips)} if content.tips else {}),
            "tones": content.tones,
            "total": content.total,
            "level": content.level,
            "light": list(content.palette_light),
            "dark": list(content.palette_dark),
        },
        name=escape(content.texts["layer.cells"]),
    )
    page.add_child(cells)
    _fix_id(cells, "main")
    layers = {"cells": cells.get_name()}
    if content.surface is not None:
        surface = content.surface
        picture = ImageOverlay(
            data_url("image/png", surface.png_light),
            bounds=[[surface.south, surface.west], [surface.north, surface.east]],
            pixelated=False,
            overlay=False,
            show=False,
            name=escape(content.texts["layer.density"]),
            alt=content.texts["layer.density"],
        )
        page.add_child(picture)
        _fix_id(picture, "density")
        layers["density"] = picture.get_name()
    if content.spots:
        heat = HeatMap(  # type: ignore[no-untyped-call]
            [[round(spot.lat, 5), round(spot.lon, 5), spot.cases] for spot in content.spots],
            name=escape(content.texts["layer.heat"]),
            overlay=False,
            show=False,
            min_opacity=0.08,
            # Not lower: Leaflet's switch refuses a layer beyond its `maxZoom`. The page's script sets `max` by zoom.
            max_zoom=19,
            radius=20,
            blur=18,
            max=content.spot_peak,
        )
        heat.default_js, heat.default_css = [], []
        page.add_child(heat)
        _fix_id(heat, "spots")
        layers["heat"] = heat.get_name()
    for key, places in content.places.items():
        cluster = ClusterLayer(
            {
                "kind": key,
                "at": [[round(place.lat, 5), round(place.lon, 5), place.weight] for place in places],
                "status": [place.status for place in places],
                "words": [place.words for place in places],
                "keys": [place.key for place in places],
            },
            name=escape(content.texts[f"layer.{key}"]),
        )
        page.add_child(cluster)
        _fix_id(cluster, key)
        layers[key] = cluster.get_name()
    for level, outlines, names in content.parents:
        edges = CellLayer(
            {"shapes": list(outlines.shapes), "names": front_code(names), "level": level, "edges": True},
            name=f"level {level}",
            overlay=True,
            control=False,
        )
        page.add_child(edges)
        _fix_id(edges, f"level{level}")
        layers[f"level{level}"] = edges.get_name()
    return layers


def _finish_payload(content: FrameContent) -> dict[str, Any]:
    return {
        "legends": {
            layer: [[part.sign, part.index, part.text, part.text_dark] for part in parts]
            for layer, parts in content.legends.items()
        },
        "surface": {"light": list(content.surface_palette_light), "dark": list(content.surface_palette_dark)},
        "pictureDark": data_url("image/png", content.surface.png_dark) if content.surface else "",
        "spotPeak": content.spot_peak,
        "control": content.control,
        "variants": [
            [variant.name, variant.group, variant.tones, *([list(variant.tips)] if variant.tips else [])]
            for variant in content.variants
        ],
        "texts": dict(content.texts),
        "credit": content.credit,
    }


def _fix_id(element: Element, name: str) -> None:
    """Give an element a fixed id, and its place in the parent the matching name."""
    parent, before = element._parent, element.get_name()
    element._id = name
    if parent is not None and before in parent._children:
        parent._children = type(parent._children)(
            (element.get_name() if key == before else key, child) for key, child in parent._children.items()
        )


def _centre(outlines: EncodedOutlines) -> list[float]:
    """Return [lat, lon], as Leaflet wants it: this module is one of the two places that turn the pair round."""
    return [(outlines.south + outlines.north) / 2, (outlines.west + outlines.east) / 2]
