// The cells as the map's own ground: edges by level, labels with a halo, one cell lit.

/** @typedef {import("./types.js").CellCollection} CellCollection */
/** @typedef {import("./types.js").CellProperties} CellProperties */
/** @typedef {{name: string, level: number, at: L.LatLng, bounds: L.LatLngBounds}} Label */

/** From which zoom the edges and the names of a level are drawn. */
const EDGES_FROM = /** @type {Record<number, number>} */ ({ 1: 0, 2: 12.5, 3: 15 });
const NAMES_FROM = /** @type {Record<number, number>} */ ({ 1: 0, 2: 13.5, 3: 16 });
const NAMES_UNTIL = /** @type {Record<number, number>} */ ({ 1: 15, 2: 17, 3: 30 });
const WIDTHS = /** @type {Record<number, number>} */ ({ 1: 2, 2: 1.25, 3: 0.75 });
/** One tone by opacity, in even steps of lightness. */
const SHADE_OPACITY = [0, 0.08, 0.16, 0.26, 0.38, 0.52];
const FONTS = /** @type {Record<number, string>} */ ({ 1: "600 15px", 2: "500 13px", 3: "400 12px" });

/**
 * GeoJSON says (lon, lat), Leaflet (lat, lon): the only place of the page where they are swapped.
 * @param {readonly [number, number]|readonly number[]} lonLat
 * @returns {L.LatLng}
 */
export function latLngOf(lonLat) {
  return L.latLng(lonLat[1] ?? 0, lonLat[0] ?? 0);
}

export class Cells {
  #map;
  #style = getComputedStyle(document.documentElement);
  #renderer = L.canvas({ padding: 0.25, pane: "cells" });
  /** @type {Map<number, L.GeoJSON>} */
  #levels = new Map();
  /** @type {Map<string, L.Path>} */
  #byCode = new Map();
  /** @type {Label[]} */
  #labels = [];
  #canvas;
  /** Step of shade by code of a cell. @type {Map<string, number>} */
  #shades = new Map();
  /** @type {string|null} */
  #lit = null;
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
        style: () => this.#styleOf(level, null),
        coordsToLatLng: (lonLat) => latLngOf(lonLat),
        interactive: false,
        // @ts-expect-error The option is passed on to every path; the types do not list it here.
        renderer: this.#renderer,
        smoothFactor: level === 1 ? 1 : 0.6,
        onEachFeature: (feature, path) => {
          /** @type {CellProperties} */
          const cell = feature.properties;
          if (!(path instanceof L.Polygon)) return;
          this.#byCode.set(cell.code, path);
          if (cell.label) this.#labels.push({ name: cell.name, level, at: latLngOf(cell.label), bounds: path.getBounds() });
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
    this.light(null);
    for (const layer of this.#levels.values()) layer.remove();
    this.#levels.clear();
    this.#byCode.clear();
    this.#labels = [];
    this.#drawNames();
  }

  /** @param {number|null} level the level somebody works on: its edges and names are drawn at any zoom */
  always(level) {
    this.#always = level;
    this.#showLevels();
    this.#drawNames();
  }

  /** Codes and names of all cells, as the map knows them. */
  names() {
    return [...this.#byCode].map(([code, path]) => ({ code, name: String(/** @type {any} */ (path).feature?.properties.name ?? code) }));
  }

  /** @param {string} code */
  boundsOf(code) {
    const path = this.#byCode.get(code);
    return path instanceof L.Polygon ? path.getBounds() : null;
  }

  /**
   * Shade cells by how much they have to do; only those whose step differs are drawn anew.
   * @param {Map<string, number>} steps
   */
  shade(steps) {
    const before = this.#shades;
    this.#shades = steps;
    for (const code of new Set([...before.keys(), ...steps.keys()])) {
      const path = this.#byCode.get(code);
      if (!path || before.get(code) === steps.get(code)) continue;
      const level = Number(/** @type {any} */ (path).feature?.properties.level ?? 3);
      path.setStyle(this.#styleOf(level, code));
      // A shaded cell is shown at any zoom: the whole district at a glance is what shading is for.
      if (steps.get(code) && !this.#map.hasLayer(path)) path.addTo(this.#map).bringToBack();
      else if (!steps.get(code) && !this.#isShown(level)) path.remove();
    }
  }

  get bounds() {
    const top = this.#levels.get(1) ?? [...this.#levels.values()][0];
    return top?.getBounds() ?? null;
  }

  /** @param {string|null} code the cell to fill with the accent */
  light(code) {
    if (code === this.#lit) return;
    const before = this.#lit;
    this.#lit = code;
    for (const one of [before, code]) {
      const path = one === null ? undefined : this.#byCode.get(one);
      if (!path) continue;
      const level = Number(/** @type {{feature?: {properties: CellProperties}}} */ (path).feature?.properties.level ?? 3);
      path.setStyle(this.#styleOf(level, one));
      // A cell below the level that this zoom shows is drawn alone, as long as it is the one in question.
      if (one === code && !this.#map.hasLayer(path)) path.addTo(this.#map);
      if (one === before && !this.#isShown(level)) path.remove();
    }
  }

  /** Take the colours of the theme anew. */
  repaint() {
    for (const [level, layer] of this.#levels) {
      layer.setStyle((feature) => this.#styleOf(level, feature?.properties.code ?? null));
    }
    this.#drawNames();
  }

  /** @param {number} level */
  #isShown(level) {
    return level === this.#always || this.#map.getZoom() >= (EDGES_FROM[level] ?? 15);
  }

  #showLevels() {
    for (const level of [...this.#levels.keys()].sort((a, b) => b - a)) {
      const layer = this.#levels.get(level);
      if (!layer) continue;
      // Removing and adding keeps the strong edges of the upper levels on top.
      layer.remove();
      if (this.#isShown(level)) layer.addTo(this.#map);
    }
    for (const code of this.#shades.keys()) {
      const path = this.#byCode.get(code);
      if (path && !this.#map.hasLayer(path)) path.addTo(this.#map).bringToBack();
    }
    const lit = this.#lit;
    this.#lit = null;
    this.light(lit);
  }

  /**
   * @param {number} level
   * @param {string|null} code
   * @returns {L.PathOptions}
   */
  #styleOf(level, code) {
    const isLit = code !== null && code === this.#lit;
    const step = code === null ? 0 : (this.#shades.get(code) ?? 0);
    return {
      color: this.#token(isLit ? "--accent" : `--map-edge-${Math.min(level, 3)}`),
      weight: (WIDTHS[level] ?? 0.75) + (isLit ? 0.75 : 0),
      fill: isLit || step > 0,
      fillColor: this.#token(step > 0 ? "--shade-ink" : "--accent"),
      fillOpacity: step > 0 ? SHADE_OPACITY[step] ?? 0 : 0.12,
      lineJoin: "round",
    };
  }

  /** @param {string} name */
  #token(name) {
    return this.#style.getPropertyValue(name).trim();
  }

  /** Names by level and zoom, upper levels first, none over another. */
  #drawNames() {
    const map = this.#map;
    const size = map.getSize();
    const ratio = window.devicePixelRatio || 1;
    const canvas = this.#canvas;
    canvas.width = size.x * ratio;
    canvas.height = size.y * ratio;
    canvas.style.width = `${size.x}px`;
    canvas.style.height = `${size.y}px`;
    L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint([0, 0]));
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.scale(ratio, ratio);
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.lineWidth = 3.5;
    pen.strokeStyle = this.#token("--paper");
    pen.fillStyle = this.#token("--map-label");
    const zoom = map.getZoom();
    /** @type {[number, number, number, number][]} */
    const taken = [];
    for (const { name, level, at, bounds } of this.#labels) {
      const isShown = level === this.#always || (zoom >= (NAMES_FROM[level] ?? 16) && zoom < (NAMES_UNTIL[level] ?? 30));
      if (!isShown) continue;
      const { x, y } = map.latLngToContainerPoint(at);
      if (x < -60 || y < -20 || x > size.x + 60 || y > size.y + 20) continue;
      pen.font = `${FONTS[level] ?? FONTS[3]} ${this.#token("--font")}`;
      const half = pen.measureText(name).width / 2 + 4;
      // A name that is wider than its cell would stand in the neighbour's; only the top level may reach out.
      const width = map.latLngToContainerPoint(bounds.getNorthEast()).x - map.latLngToContainerPoint(bounds.getSouthWest()).x;
      if (level > 1 && half * 2 > width) continue;
      if (taken.some(([l, t0, r, b]) => x - half < r && x + half > l && y - 11 < b && y + 11 > t0)) continue;
      taken.push([x - half, y - 11, x + half, y + 11]);
      pen.strokeText(name, x, y);
      pen.fillText(name, x, y);
    }
  }
}
