// The cells of a draft or a version as the map's own ground: edges by level, labels with a halo. From GeoJSON, not from tiles:
// a draft has none, and who draws works on the vertices themselves.

import { drawNames, edgeColour, hasEdges, hasNames, WIDTHS } from "../console/cell_look.js";
import { latLngOf } from "../console/lonlat.js";

/** @typedef {import("../console/types.js").CellProperties} CellProperties */
/** @typedef {GeoJSON.FeatureCollection<GeoJSON.MultiPolygon|GeoJSON.Polygon, CellProperties>} CellCollection */
export class Cells {
  #map;
  #renderer = L.canvas({ padding: 0.25, pane: "cells" });
  /** @type {Map<number, L.GeoJSON>} */
  #levels = new Map();
  /** @type {import("../console/cell_look.js").Label[]} */
  #labels = [];
  #canvas;
  /** @type {number|null} the level that is drawn at any zoom */
  #always = null;

  /** @param {L.Map} map */
  constructor(map) {
    this.#map = map;
    map.createPane("cells").classList.add("pane-cells");
    const pane = map.createPane("names");
    pane.classList.add("pane-names");
    this.#canvas = document.createElement("canvas");
    pane.append(this.#canvas);
    map.on("zoomend", () => this.#showLevels());
    map.on("moveend viewreset resize", () => this.#drawNames());
  }

  /** @param {CellCollection[]} collections one per level */
  show(collections) {
    for (const collection of collections) {
      const level = collection.features[0]?.properties.level;
      if (level === undefined) continue;
      const layer = L.geoJSON(collection, {
        style: () => this.#styleOf(level),
        coordsToLatLng: (lonLat) => latLngOf(lonLat),
        interactive: false,
        // @ts-expect-error The option is passed on to every path; the types do not list it here.
        renderer: this.#renderer,
        smoothFactor: level === 1 ? 1 : 0.6,
        onEachFeature: (feature, path) => {
          /** @type {CellProperties} */
          const cell = feature.properties;
          if (!(path instanceof L.Polygon)) return;
          if (!cell.label) return;
          const bounds = path.getBounds();
          const x = (/** @type {L.LatLng} */ at) => this.#map.latLngToContainerPoint(at).x;
          this.#labels.push({ name: cell.name, level, at: latLngOf(cell.label), width: () => x(bounds.getNorthEast()) - x(bounds.getSouthWest()) });
        },
      });
      this.#levels.set(level, layer);
    }
    this.#labels.sort((a, b) => a.level - b.level);
    this.#showLevels();
    this.#drawNames();
  }

  /** Take everything off the map, before another version is shown. */
  clear() {
    for (const layer of this.#levels.values()) layer.remove();
    this.#levels.clear();
    this.#labels = [];
    this.#drawNames();
  }

  /** @param {number|null} level the level somebody works on: its edges and names are drawn at any zoom */
  always(level) {
    this.#always = level;
    this.#showLevels();
    this.#drawNames();
  }

  get bounds() {
    const top = this.#levels.get(1) ?? [...this.#levels.values()][0];
    return top?.getBounds() ?? null;
  }

  /** Take the colours of the theme anew. */
  repaint() {
    for (const [level, layer] of this.#levels) {
      layer.setStyle(() => this.#styleOf(level));
    }
    this.#drawNames();
  }

  /** @param {number} level */
  #isShown(level) {
    return level === this.#always || hasEdges(level, this.#map.getZoom());
  }

  #showLevels() {
    for (const level of [...this.#levels.keys()].sort((a, b) => b - a)) {
      const layer = this.#levels.get(level);
      if (!layer) continue;
      // Removing and adding keeps the strong edges of the upper levels on top.
      layer.remove();
      if (this.#isShown(level)) layer.addTo(this.#map);
    }
  }

  /**
   * @param {number} level
   * @returns {L.PathOptions}
   */
  #styleOf(level) {
    return { color: edgeColour(level), weight: WIDTHS[level] ?? 0.75, fill: false, lineJoin: "round" };
  }

  #drawNames() {
    const zoom = this.#map.getZoom();
    drawNames(this.#canvas, this.#map, this.#labels.filter(({ level }) => level === this.#always || hasNames(level, zoom)));
  }
}
