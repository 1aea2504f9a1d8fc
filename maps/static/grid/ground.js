// One version's cells on the map: loaded by level, drawn as the console draws them, found under a point.

import { latLngOf } from "../console/lonlat.js";
import { Cells } from "./cells.js";
import { listCells } from "./service.js";

/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").LonLat} LonLat */
/** @typedef {import("./types.js").Version} Version */

export class Ground {
  #map;
  #cells;
  /** @type {Map<string, CellFeature>} */
  #byCode = new Map();
  /** @type {number[]} */
  levels = [];

  /** @param {L.Map} map */
  constructor(map) {
    this.#map = map;
    this.#cells = new Cells(map);
  }

  /**
   * @param {Version} version
   * @param {AbortSignal} signal
   */
  async load(version, signal) {
    const collection = await listCells(version.number, signal);
    this.clear();
    /** @type {Map<number, CellFeature[]>} */
    const levels = new Map();
    for (const feature of collection.features) {
      const level = feature.properties.level;
      this.#byCode.set(feature.properties.code, feature);
      const same = levels.get(level);
      if (same) same.push(feature);
      else levels.set(level, [feature]);
    }
    this.levels = [...levels.keys()].sort((a, b) => a - b);
    this.#cells.show(this.levels.map((level) => ({ type: "FeatureCollection", features: levels.get(level) ?? [] })));
  }

  clear() {
    this.#byCode.clear();
    this.levels = [];
    this.#cells.clear();
  }

  get bounds() {
    return this.#cells.bounds;
  }

  fit() {
    const bounds = this.bounds;
    if (bounds?.isValid()) this.#map.fitBounds(bounds, { padding: [32, 32], animate: false });
  }

  repaint() {
    this.#cells.repaint();
  }

  /** @param {number} level the level that is worked on */
  emphasise(level) {
    this.#cells.always(level);
  }

  /**
   * @param {string} code
   * @returns {CellFeature|undefined}
   */
  get(code) {
    return this.#byCode.get(code);
  }

  /**
   * @param {number} level
   * @returns {CellFeature[]}
   */
  ofLevel(level) {
    return [...this.#byCode.values()].filter((cell) => cell.properties.level === level);
  }

  /**
   * @param {number} lon
   * @param {number} lat
   * @param {number} level
   * @returns {CellFeature|null} the cell of that level under a point
   */
  at(lon, lat, level) {
    return this.ofLevel(level).find((cell) => polygonsOf(cell.geometry).some((rings) => isInside(rings, lon, lat))) ?? null;
  }

  /**
   * Cells of the same level that can share an edge: their boxes touch. The server decides whether they do.
   * @param {CellFeature} cell
   * @returns {CellFeature[]}
   */
  neighbours(cell) {
    const box = boxOf(cell.geometry);
    const near = 1e-6;
    return this.ofLevel(cell.properties.level)
      .filter((other) => {
        if (other === cell) return false;
        const [west, south, east, north] = boxOf(other.geometry);
        const across = Math.min(box[2], east) - Math.max(box[0], west);
        const along = Math.min(box[3], north) - Math.max(box[1], south);
        // Corner to corner is no shared edge.
        return across > -near && along > -near && Math.max(across, along) > near;
      })
      .sort((a, b) => a.properties.code.localeCompare(b.properties.code));
  }

  /** @param {CellFeature[]} cells */
  zoomTo(cells) {
    const bounds = L.latLngBounds([]);
    for (const cell of cells) {
      const [west, south, east, north] = boxOf(cell.geometry);
      bounds.extend(latLngOf([west, south])).extend(latLngOf([east, north]));
    }
    if (bounds.isValid()) this.#map.fitBounds(bounds, { padding: [72, 72], maxZoom: 18, animate: false });
  }
}

/**
 * @param {GeoJSON.Polygon|GeoJSON.MultiPolygon} geometry
 * @returns {GeoJSON.Position[][][]}
 */
export function polygonsOf(geometry) {
  return geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
}

/**
 * @param {GeoJSON.Polygon|GeoJSON.MultiPolygon} geometry
 * @returns {[number, number, number, number]}
 */
function boxOf(geometry) {
  /** @type {[number, number, number, number]} */
  const box = [180, 90, -180, -90];
  for (const rings of polygonsOf(geometry)) {
    for (const [lon = 0, lat = 0] of rings[0] ?? []) {
      box[0] = Math.min(box[0], lon);
      box[1] = Math.min(box[1], lat);
      box[2] = Math.max(box[2], lon);
      box[3] = Math.max(box[3], lat);
    }
  }
  return box;
}

/**
 * Even-odd over all rings, so that holes count as outside.
 * @param {GeoJSON.Position[][]} rings
 * @param {number} lon
 * @param {number} lat
 */
function isInside(rings, lon, lat) {
  let inside = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
      const [ax = 0, ay = 0] = ring[i] ?? [];
      const [bx = 0, by = 0] = ring[j] ?? [];
      if (ay > lat !== by > lat && lon < ((bx - ax) * (lat - ay)) / (by - ay) + ax) inside = !inside;
    }
  }
  return inside;
}
