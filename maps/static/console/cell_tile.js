// One vector tile of cells, read into outlines. The wire format is pbf's business; what the fields mean is the Mapbox Vector Tile
// specification 2.1: a layer holds features, which name their properties by index and draw with a pen in the tile's own units.

import { PbfReader } from "../vendor/pbf/index.js";

/**
 * What a tile shows of one cell.
 * @typedef {object} Piece
 * @property {string} code
 * @property {string} nameZh empty where cells are too small for names
 * @property {string} nameEn
 * @property {Int16Array[]} rings x and y by turns, in the tile's units
 * @property {number} area of what the tile holds, in square units
 * @property {[number, number]} middle its centre of gravity
 */
/** @typedef {{extent: number, pieces: Piece[], edges: Path2D}} CellTile `edges`: all outlines of the tile as one path */

/**
 * @param {ArrayBuffer} bytes
 * @returns {CellTile}
 */
export function readCellTile(bytes) {
  /** @type {CellTile} */
  const tile = { extent: 4096, pieces: [], edges: new Path2D() };
  new PbfReader(bytes).readFields((field, out, reader) => {
    if (field === 3) readLayer(reader, reader.readVarint() + reader.pos, out);
  }, tile);
  return tile;
}

/**
 * @param {PbfReader} reader
 * @param {number} end
 * @param {CellTile} tile
 */
function readLayer(reader, end, tile) {
  /** @type {string[]} */
  const keys = [];
  /** @type {(string|number|null)[]} */
  const values = [];
  /** @type {number[]} */
  const features = [];
  reader.readFields((field) => {
    if (field === 2) features.push(reader.pos);
    else if (field === 3) keys.push(reader.readString());
    else if (field === 4) values.push(readValue(reader));
    else if (field === 5) tile.extent = reader.readVarint();
  }, null, end);
  // Keys and values stand behind the features that name them.
  for (const start of features) {
    reader.pos = start;
    readFeature(reader, reader.readVarint() + reader.pos, tile, (key, value) => [keys[key] ?? "", values[value] ?? null]);
  }
  reader.pos = end;
}

/**
 * @param {PbfReader} reader
 * @returns {string|number|null}
 */
function readValue(reader) {
  /** @type {string|number|null} */
  let value = null;
  reader.readMessage((field) => {
    if (field === 1) value = reader.readString();
    else if (field === 4 || field === 5) value = reader.readVarint();
    else if (field === 6) value = reader.readSVarint();
  }, null);
  return value;
}

/**
 * @param {PbfReader} reader
 * @param {number} end
 * @param {CellTile} tile
 * @param {(key: number, value: number) => [string, string|number|null]} pair
 */
function readFeature(reader, end, tile, pair) {
  /** @type {Record<string, string|number|null>} */
  const said = {};
  let isArea = false;
  let at = -1;
  reader.readFields((field) => {
    if (field === 2) {
      const last = reader.readVarint() + reader.pos;
      while (reader.pos < last) {
        const [key, value] = pair(reader.readVarint(), reader.readVarint());
        said[key] = value;
      }
    } else if (field === 3) isArea = reader.readVarint() === 3;
    else if (field === 4) at = reader.pos;
  }, null, end);
  if (!isArea || at < 0 || !said.code) return;
  reader.pos = at;
  const rings = readRings(reader, reader.readVarint() + reader.pos);
  for (const ring of rings) trace(tile.edges, ring);
  tile.pieces.push({ code: String(said.code), nameZh: String(said.name_zh ?? ""), nameEn: String(said.name_en ?? ""), rings, ...measure(rings) });
}

/**
 * @param {PbfReader} reader
 * @param {number} end
 * @returns {Int16Array[]}
 */
function readRings(reader, end) {
  const rings = [];
  /** @type {number[]} */
  let ring = [];
  let x = 0;
  let y = 0;
  while (reader.pos < end) {
    const command = reader.readVarint();
    const act = command & 7;
    if (act === 7) {
      rings.push(Int16Array.from(ring));
      ring = [];
      continue;
    }
    for (let left = command >> 3; left > 0; left -= 1) {
      x += reader.readSVarint();
      y += reader.readSVarint();
      ring.push(x, y);
    }
  }
  return rings;
}

/**
 * Shoelace over all rings; holes wind the other way and count against.
 * @param {Int16Array[]} rings
 * @returns {{area: number, middle: [number, number]}}
 */
function measure(rings) {
  let [doubled, sumX, sumY] = [0, 0, 0];
  for (const ring of rings) {
    for (let n = 0, before = ring.length - 2; n < ring.length; before = n, n += 2) {
      const [ax, ay, bx, by] = [ring[before] ?? 0, ring[before + 1] ?? 0, ring[n] ?? 0, ring[n + 1] ?? 0];
      const cross = ax * by - bx * ay;
      doubled += cross;
      sumX += (ax + bx) * cross;
      sumY += (ay + by) * cross;
    }
  }
  return { area: Math.abs(doubled) / 2, middle: doubled ? [sumX / (3 * doubled), sumY / (3 * doubled)] : [0, 0] };
}

/**
 * @param {Path2D} path
 * @param {Int16Array} ring
 */
export function trace(path, ring) {
  path.moveTo(ring[0] ?? 0, ring[1] ?? 0);
  for (let n = 2; n < ring.length; n += 2) path.lineTo(ring[n] ?? 0, ring[n + 1] ?? 0);
  path.closePath();
}
