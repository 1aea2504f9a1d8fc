// Where the names of cells stand: in the middle of all parts of a cell that were seen, so that a name stays when the map is moved.

import { hasNames } from "./cell_look.js";
import { context } from "./texts.js";

/** @typedef {import("./cell_tile.js").CellTile} CellTile */
/** @typedef {import("./cell_look.js").Label} Label */
/** @typedef {{level: number, zoom: number, x: number, y: number}} Address of a tile */
/** @typedef {{area: number, x: number, y: number, tiles: Set<string>}} Seen area and first moments of the parts seen; the world is one wide */

/** @param {Address} address */
export function keyOf({ level, zoom, x, y }) {
  return `${level}/${zoom}/${x}/${y}`;
}

export class SeenCells {
  /** What has been seen of a cell, by zoom of tiles. @type {Map<string, Map<number, Seen>>} */
  #seen = new Map();

  /** Other cells hold now. */
  clear() {
    this.#seen.clear();
  }

  /**
   * Add what a tile shows of its cells.
   * @param {Address} address
   * @param {CellTile} tile
   */
  measure(address, tile) {
    const scale = 1 / (tile.extent * 2 ** address.zoom);
    const tileKey = keyOf(address);
    for (const piece of tile.pieces) {
      if (!piece.nameZh && !piece.nameEn) continue;
      const key = `${address.level}/${piece.code}`;
      const zooms = this.#seen.get(key) ?? new Map();
      const seen = zooms.get(address.zoom) ?? { area: 0, x: 0, y: 0, tiles: new Set() };
      if (!seen.tiles.has(tileKey)) {
        const area = piece.area * scale * scale;
        seen.tiles.add(tileKey);
        seen.area += area;
        seen.x += area * (address.x / 2 ** address.zoom + piece.middle[0] * scale);
        seen.y += area * (address.y / 2 ** address.zoom + piece.middle[1] * scale);
      }
      this.#seen.set(key, zooms.set(address.zoom, seen));
    }
  }

  /** @param {string} key of a cell; the zoom at which most of it was seen knows best where its middle is */
  #middle(key) {
    /** @type {Seen|null} */
    let best = null;
    for (const seen of this.#seen.get(key)?.values() ?? []) if (!best || seen.area > best.area * 1.02) best = seen;
    return best;
  }

  /**
   * @param {L.Map} map
   * @param {{level: number}[]} levels from the top down
   * @param {Address[]} addresses of what is in sight
   * @param {(address: Address) => CellTile|null} tileOf null while it is on its way
   * @returns {Label[]}
   */
  labels(map, levels, addresses, tileOf) {
    const isEnglish = context.locale === "en";
    const zoom = map.getZoom();
    /** @type {Map<string, Label>} */
    const labels = new Map();
    const worldPx = 256 * 2 ** zoom;
    for (const { level } of levels) {
      if (!hasNames(level, zoom)) continue;
      for (const address of addresses) {
        const tile = address.level === level ? tileOf(address) : null;
        for (const piece of tile?.pieces ?? []) {
          const name = (isEnglish && piece.nameEn) || piece.nameZh || piece.nameEn;
          const key = `${level}/${piece.code}`;
          const seen = name && !labels.has(key) ? this.#middle(key) : null;
          if (!seen) continue;
          const at = map.unproject(L.point((seen.x / seen.area) * worldPx, (seen.y / seen.area) * worldPx));
          // As wide as a square of its size: near enough to know whether a name fits.
          labels.set(key, { name, level, at, width: () => Math.sqrt(seen.area) * worldPx * 1.15 });
        }
      }
    }
    return [...labels.values()];
  }
}
