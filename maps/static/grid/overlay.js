// What lies over the cells: findings, differences, the selection, previews. SVG, because patterns tell classes apart.

import { latLngOf } from "../console/lonlat.js";
import { make } from "../console/dom.js";

/** @typedef {import("./types.js").LonLat} LonLat */
/** @typedef {{geometry: GeoJSON.Geometry, look: string, fill?: string, label?: string, at?: LonLat, click?: () => void}} Mark */

const SVG = "http://www.w3.org/2000/svg";

/**
 * A small sample of a look, as it is drawn on the map.
 * @param {string} look
 * @param {string} fill a pattern of the page
 * @returns {SVGSVGElement}
 */
export function swatch(look, fill) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("viewBox", "0 0 18 14");
  svg.setAttribute("aria-hidden", "true");
  const box = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ x: "1", y: "1", width: "16", height: "12", fill: `url(#fill-${fill})`, class: `look look-${look}` })) box.setAttribute(name, value);
  svg.append(box);
  return svg;
}

export class Overlay {
  #map;
  #renderer;
  /** @type {Map<string, L.LayerGroup>} */
  #groups = new Map();

  /** @param {L.Map} map */
  constructor(map) {
    this.#map = map;
    map.createPane("marks").classList.add("pane-marks");
    this.#renderer = L.svg({ pane: "marks", padding: 0.25 });
  }

  /**
   * Replace a group of marks.
   * @param {string} group
   * @param {Mark[]} marks ``look`` names the style ``.look-<look>``, ``fill`` a pattern of the page
   */
  set(group, marks) {
    this.clear(group);
    if (!marks.length) return;
    const layers = new L.LayerGroup();
    for (const mark of marks) {
      const layer = L.geoJSON(mark.geometry, {
        coordsToLatLng: (lonLat) => latLngOf(lonLat),
        pointToLayer: (_, at) => L.circleMarker(at, { renderer: this.#renderer, radius: 7 }),
        interactive: Boolean(mark.click),
        style: {
          className: `look look-${mark.look}`,
          fill: Boolean(mark.fill) || mark.look === "selected",
          // An attribute, not a rule of the style sheet: there "#…" would be looked for in the style sheet's own address.
          ...(mark.fill ? { fillColor: `url(#fill-${mark.fill})`, fillOpacity: 1 } : {}),
        },
        // @ts-expect-error The options are passed on to every path; the types do not list them here.
        renderer: this.#renderer, pane: "marks",
      });
      if (mark.click) layer.on("click", (event) => { L.DomEvent.stop(event); mark.click?.(); });
      layers.addLayer(layer);
      if (mark.label && mark.at) layers.addLayer(this.#label(mark, mark.at));
    }
    layers.addTo(this.#map);
    this.#groups.set(group, layers);
  }

  /** @param {string} group */
  clear(group) {
    this.#groups.get(group)?.remove();
    this.#groups.delete(group);
  }

  clearAll() {
    for (const group of [...this.#groups.keys()]) this.clear(group);
  }

  /**
   * @param {Mark} mark
   * @param {LonLat} at
   */
  #label(mark, at) {
    const sign = make("span", `mark-number look-${mark.look}`, mark.label ?? "");
    const icon = L.divIcon({ html: sign, className: "mark-label", iconSize: [22, 22] });
    // Not reachable by the keyboard: the list beside the map says the same, in order.
    const marker = L.marker(latLngOf(at), { icon, keyboard: false, interactive: Boolean(mark.click), pane: "markerPane" });
    if (mark.click) marker.on("click", (event) => { L.DomEvent.stop(event); mark.click?.(); });
    return marker;
  }
}
