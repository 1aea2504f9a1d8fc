// How cells look on every map of ours: edges by level, names by level and zoom with a halo, none over another.

/** @typedef {{name: string, level: number, at: L.LatLng, width: () => number}} Label `width`: of the cell on this map, in pixels */

/** From which zoom the edges and the names of a level are drawn. */
export const EDGES_FROM = /** @type {Record<number, number>} */ ({ 1: 0, 2: 12.5, 3: 15 });
export const WIDTHS = /** @type {Record<number, number>} */ ({ 1: 2, 2: 1.25, 3: 0.75 });
const NAMES_FROM = /** @type {Record<number, number>} */ ({ 1: 0, 2: 13.5, 3: 16 });
const NAMES_UNTIL = /** @type {Record<number, number>} */ ({ 1: 15, 2: 17, 3: 30 });
const FONTS = /** @type {Record<number, string>} */ ({ 1: "600 15px", 2: "500 13px", 3: "400 12px" });

/**
 * @param {string} name of a token of the theme
 * @returns {string}
 */
export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @param {number} level */
export function edgeColour(level) {
  return token(`--map-edge-${Math.min(level, 3)}`);
}

/**
 * Whether a level has its edges at a zoom.
 * @param {number} level
 * @param {number} zoom
 */
export function hasEdges(level, zoom) {
  return zoom >= (EDGES_FROM[level] ?? 15);
}

/**
 * Whether a level has its names at a zoom.
 * @param {number} level
 * @param {number} zoom
 */
export function hasNames(level, zoom) {
  return zoom >= (NAMES_FROM[level] ?? 16) && zoom < (NAMES_UNTIL[level] ?? 30);
}

/**
 * A canvas over the whole map, emptied, with a pen in its pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {L.Map} map
 * @param {number} [margin] how far it reaches beyond what is seen, as a share of it
 * @returns {{pen: CanvasRenderingContext2D, corner: L.Point, ratio: number}|null} `corner`: its upper left one on the map's container
 */
export function layOver(canvas, map, margin = 0) {
  const size = map.getSize();
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(size.x * (1 + 2 * margin)), Math.round(size.y * (1 + 2 * margin))];
  const corner = L.point(-Math.round(size.x * margin), -Math.round(size.y * margin));
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint(corner));
  const pen = canvas.getContext("2d");
  return pen && { pen, corner, ratio };
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {L.Map} map
 * @param {Label[]} labels the upper levels first
 */
export function drawNames(canvas, map, labels) {
  const laid = layOver(canvas, map);
  if (!laid) return;
  const { pen, ratio } = laid;
  pen.scale(ratio, ratio);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 3.5;
  pen.strokeStyle = token("--paper");
  pen.fillStyle = token("--map-label");
  const family = token("--font");
  const size = map.getSize();
  /** @type {[number, number, number, number][]} */
  const taken = [];
  for (const { name, level, at, width } of labels) {
    const { x, y } = map.latLngToContainerPoint(at);
    if (x < -60 || y < -20 || x > size.x + 60 || y > size.y + 20) continue;
    pen.font = `${FONTS[level] ?? FONTS[3]} ${family}`;
    const half = pen.measureText(name).width / 2 + 4;
    // A name that is wider than its cell would stand in the neighbour's; only the top level may reach out.
    if (level > 1 && half * 2 > width()) continue;
    if (taken.some(([l, t0, r, b]) => x - half < r && x + half > l && y - 11 < b && y + 11 > t0)) continue;
    taken.push([x - half, y - 11, x + half, y + 11]);
    pen.strokeText(name, x, y);
    pen.fillText(name, x, y);
  }
}
