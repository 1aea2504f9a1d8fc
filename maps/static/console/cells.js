// The cells as the map's own ground: vector tiles of the levels that a zoom shows, on one canvas. While the map is dragged the
// canvas moves with it and nothing is drawn; a change of shade or light draws what is in sight once, without asking anybody.

import { drawNames, edgeColour, hasEdges, layOver, token, WIDTHS } from "./cell_look.js";
import { keyOf, SeenCells } from "./cell_names.js";
import { readCellTile, trace } from "./cell_tile.js";
import { latLngOf } from "./lonlat.js";
import { readGround, readTile } from "./service.js";

/** @typedef {import("./cell_tile.js").CellTile} CellTile */
/** @typedef {import("./cell_tile.js").Piece} Piece */
/** @typedef {{level: number, width_m: number}} Level */
/** @typedef {{level: number, code: string}} Cell */
/** @typedef {import("./cell_names.js").Address} Address */

/** One tone by opacity, in even steps of lightness. */
const SHADE_OPACITY = [0, 0.08, 0.16, 0.26, 0.38, 0.52];
const LIT_OPACITY = 0.12;
/** Width of the world. Units: metres of EPSG:3857. */
const WORLD_M = 2 * Math.PI * 6_378_137;
/** Our tiles are made to be drawn about 512 pixels wide: one zoom less than Leaflet counts. */
const TILE_PX = 512;
const CLOSEST = 16;
/** How far the canvas reaches beyond the map on each side: so far it can be dragged before anything is missing. */
const MARGIN = 0.3;
const KEPT_TILES = 128;
/** Narrower than this a cell is not worth its own shade; its parent's stands for it. Units: pixels. */
const LEAST_SHADED = 5;
const LEAST_LIT = 10;
/** A page stays open for weeks, and the grid is redrawn meanwhile. */
const LOOK_AGAIN_MS = 60_000;

export class Cells {
  #map;
  #canvas = document.createElement("canvas");
  #names = document.createElement("canvas");
  /** The oldest first. @type {Map<string, CellTile|null>} null while it is on its way */
  #tiles = new Map();
  /** Outlines of single cells, made when one is filled. @type {WeakMap<Piece, Path2D>} */
  #outlines = new WeakMap();
  /** @type {Level[]} from the top down */
  #levels = [];
  /** @type {number|null} */
  #version = null;
  /** @type {L.LatLngBounds|null} */
  #bounds = null;
  /** Step of shade by code of a cell, of all levels. @type {Map<string, number>} */
  #shades = new Map();
  /** The cell in question, with its parents; the first is the smallest. @type {Cell[]} */
  #lit = [];
  #isDrawing = false;
  /** @type {L.Point|null} where the map stood when it was drawn last */
  #drawnAt = null;
  #seen = new SeenCells();

  /** @param {L.Map} map */
  constructor(map) {
    this.#map = map;
    const pane = map.createPane("cells");
    pane.classList.add("pane-cells");
    pane.append(this.#canvas);
    const names = map.createPane("names");
    names.classList.add("pane-names");
    names.append(this.#names);
    map.on("moveend zoomend viewreset resize", () => this.#draw());
    map.on("move", () => {
      const size = map.getSize();
      const at = map.containerPointToLayerPoint([0, 0]);
      const from = this.#drawnAt;
      if (from && (Math.abs(at.x - from.x) > size.x * MARGIN || Math.abs(at.y - from.y) > size.y * MARGIN)) this.#draw();
    });
    setInterval(() => void this.#look().then(() => this.#draw(), () => undefined), LOOK_AGAIN_MS);
  }

  /**
   * Read which cells there are.
   * @returns {Promise<boolean>} whether there are any
   */
  async begin() {
    await this.#look();
    return this.#levels.length > 0;
  }

  /** Settles when all tiles in sight are drawn, or could not be read. @returns {Promise<void>} */
  async settled() {
    await Promise.all(this.#wanted().map((address) => this.#load(address)));
    this.#paint();
  }

  get bounds() {
    return this.#bounds;
  }

  /** The smallest level whose cells are wide enough here to be shaded each for itself; 0 without cells. */
  get shadedLevel() {
    return this.#levels.filter((one) => this.#pixels(one) >= LEAST_SHADED).at(-1)?.level ?? this.#levels[0]?.level ?? 0;
  }

  get levels() {
    return this.#levels.map((one) => one.level);
  }

  /**
   * Shade cells by how much they have to do.
   * @param {Map<string, number>} steps
   */
  shade(steps) {
    const isSame = steps.size === this.#shades.size && [...steps].every(([code, step]) => this.#shades.get(code) === step);
    if (isSame) return;
    const wasShaded = this.#shades.size > 0;
    this.#shades = steps;
    if (wasShaded === steps.size > 0) this.#soon();
    else this.#draw();
  }

  /** @param {Cell[]} chain the cell to fill with the accent, with its parents; none lights nothing */
  light(chain) {
    const lit = [...chain].sort((a, b) => b.level - a.level);
    if (lit[0]?.code === this.#lit[0]?.code) return;
    this.#lit = lit;
    this.#draw();
  }

  /** Take the colours of the theme anew. */
  repaint() {
    this.#paint();
  }

  async #look() {
    const found = await readGround();
    if (found.version === this.#version) return;
    this.#version = found.version;
    this.#levels = found.levels;
    this.#bounds = found.bounds && L.latLngBounds(latLngOf(found.bounds.slice(0, 2)), latLngOf(found.bounds.slice(2)));
    this.#tiles.clear();
    this.#seen.clear();
  }

  /** @param {Level} level how wide its cells are on this map */
  #pixels(level) {
    return (level.width_m / WORLD_M) * 256 * 2 ** this.#map.getZoom();
  }

  /** Levels that this view needs, and what for. */
  #shown() {
    const zoom = this.#map.getZoom();
    const shaded = this.#shades.size ? this.shadedLevel : 0;
    const lit = this.#litLevel();
    return this.#levels.filter(({ level }) => hasEdges(level, zoom) || level === shaded || level === lit);
  }

  /** The smallest level of the cell in question that can be seen here. */
  #litLevel() {
    for (const cell of this.#lit) {
      const level = this.#levels.find((one) => one.level === cell.level);
      if (level && (this.#pixels(level) >= LEAST_LIT || level === this.#levels[0])) return cell.level;
    }
    return 0;
  }

  get #tileZoom() {
    return Math.min(CLOSEST, Math.max(0, Math.round(this.#map.getZoom() - 1)));
  }

  /** @returns {Address[]} */
  #wanted() {
    const map = this.#map;
    if (this.#bounds === null || !map.getSize().x) return [];
    const zoom = this.#tileZoom;
    const side = this.#side(zoom);
    const origin = map.getPixelBounds();
    const size = map.getSize();
    const clip = (/** @type {number} */ n) => Math.min(2 ** zoom - 1, Math.max(0, n));
    const corners = [this.#bounds.getNorthWest(), this.#bounds.getSouthEast()].map((at) => map.project(at));
    const reach = (/** @type {"x"|"y"} */ axis) => {
      const [low = 0, high = 0] = corners.map((corner) => corner[axis]);
      const from = Math.max((origin.min?.[axis] ?? 0) - size[axis] * MARGIN, low);
      const to = Math.min((origin.max?.[axis] ?? 0) + size[axis] * MARGIN, high);
      return from > to ? [] : range(clip(Math.floor(from / side)), clip(Math.floor(to / side)));
    };
    const columns = reach("x");
    const lines = reach("y");
    return this.#shown().flatMap(({ level }) => columns.flatMap((x) => lines.map((y) => ({ level, zoom, x, y }))));
  }

  /** @param {number} zoom of tiles; how wide one is on this map, in pixels */
  #side(zoom) {
    return TILE_PX * 2 ** (this.#map.getZoom() - 1 - zoom);
  }

  #draw() {
    for (const address of this.#wanted()) void this.#load(address);
    this.#paint();
  }

  /** Draw before the next frame; many changes of one moment cost one drawing. */
  #soon() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#paint();
    });
  }

  /** @type {Map<string, Promise<void>>} */
  #loading = new Map();

  /**
   * @param {Address} address
   * @returns {Promise<void>}
   */
  #load(address) {
    const key = keyOf(address);
    if (this.#tiles.has(key)) return this.#loading.get(key) ?? Promise.resolve();
    this.#tiles.set(key, null);
    const version = this.#version;
    const reading = readTile(`cells-${address.level}`, address, version)
      .then((bytes) => {
        if (version !== this.#version) return;
        const tile = readCellTile(bytes);
        this.#tiles.set(key, tile);
        this.#seen.measure(address, tile);
        this.#soon();
      })
      // A tile that could not be read is asked for again when the map is next moved.
      .catch(() => void (version === this.#version && this.#tiles.delete(key)))
      .finally(() => void this.#loading.delete(key));
    this.#loading.set(key, reading);
    return reading;
  }

  #forgetSome() {
    const wanted = new Set(this.#wanted().map(keyOf));
    for (const key of this.#tiles.keys()) {
      if (this.#tiles.size <= KEPT_TILES) return;
      if (!wanted.has(key)) this.#tiles.delete(key);
    }
  }

  #paint() {
    const laid = layOver(this.#canvas, this.#map, MARGIN);
    if (!laid) return;
    const { pen, corner, ratio } = laid;
    this.#drawnAt = this.#map.containerPointToLayerPoint([0, 0]);
    const zoom = this.#map.getZoom();
    const addresses = this.#wanted();
    // Where the canvas begins, in pixels of the whole world at this zoom.
    const from = (this.#map.getPixelBounds().min ?? L.point(0, 0)).add(corner);
    pen.lineJoin = "round";
    /** @param {(tile: CellTile, scale: number, level: number) => void} draw */
    const each = (draw, /** @type {(level: number) => boolean} */ fits) => {
      for (const address of addresses) {
        const tile = this.#tiles.get(keyOf(address));
        if (!tile || !fits(address.level)) continue;
        const side = this.#side(address.zoom);
        // Borders of tiles lie on whole pixels: no slit and no doubled tone where two meet.
        const at = (/** @type {number} */ n, /** @type {number} */ start) => Math.round((n * side - start) * ratio);
        const [left, top, right, bottom] = [at(address.x, from.x), at(address.y, from.y), at(address.x + 1, from.x), at(address.y + 1, from.y)];
        pen.save();
        pen.beginPath();
        pen.rect(left, top, right - left, bottom - top);
        pen.clip();
        const scale = (right - left) / tile.extent;
        pen.setTransform(scale, 0, 0, (bottom - top) / tile.extent, left, top);
        draw(tile, scale, address.level);
        pen.restore();
      }
    };
    const shaded = this.#shades.size ? this.shadedLevel : 0;
    pen.fillStyle = token("--shade-ink");
    each((tile) => this.#fill(pen, tile, (code) => SHADE_OPACITY[this.#shades.get(code) ?? 0] ?? 0), (level) => level === shaded);
    for (const { level } of [...this.#levels].reverse()) {
      if (!hasEdges(level, zoom)) continue;
      pen.strokeStyle = edgeColour(level);
      each((tile, scale) => {
        pen.lineWidth = ((WIDTHS[level] ?? 0.75) * ratio) / scale;
        pen.stroke(tile.edges);
      }, (one) => one === level);
    }
    this.#paintLit(pen, ratio, each);
    drawNames(this.#names, this.#map, this.#seen.labels(this.#map, this.#levels, addresses, (address) => this.#tiles.get(keyOf(address)) ?? null));
    this.#forgetSome();
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {number} ratio
   * @param {(draw: (tile: CellTile, scale: number, level: number) => void, fits: (level: number) => boolean) => void} each
   */
  #paintLit(pen, ratio, each) {
    const level = this.#litLevel();
    const code = this.#lit.find((one) => one.level === level)?.code;
    if (!code) return;
    pen.fillStyle = pen.strokeStyle = token("--accent");
    each((tile, scale) => {
      if (!this.#shades.get(code)) this.#fill(pen, tile, (one) => (one === code ? LIT_OPACITY : 0));
      pen.lineWidth = (((WIDTHS[level] ?? 0.75) + 0.75) * ratio) / scale;
      for (const piece of tile.pieces) if (piece.code === code) pen.stroke(this.#outline(piece));
    }, (one) => one === level);
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {CellTile} tile
   * @param {(code: string) => number} opacityOf
   */
  #fill(pen, tile, opacityOf) {
    for (const piece of tile.pieces) {
      const opacity = opacityOf(piece.code);
      if (!opacity) continue;
      pen.globalAlpha = opacity;
      pen.fill(this.#outline(piece), "evenodd");
    }
    pen.globalAlpha = 1;
  }

  /** @param {Piece} piece */
  #outline(piece) {
    let outline = this.#outlines.get(piece);
    if (!outline) {
      outline = new Path2D();
      for (const ring of piece.rings) trace(outline, ring);
      this.#outlines.set(piece, outline);
    }
    return outline;
  }
}

/**
 * @param {number} first
 * @param {number} last
 * @returns {number[]}
 */
function range(first, last) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => first + n);
}
