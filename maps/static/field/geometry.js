// A point against a polygon, in metres on a small patch of the earth. Shapes are MultiPolygons: [lon, lat] everywhere.

/** @typedef {import("./types.js").Point} Point */
/** @typedef {number[][][][]} Shape */

const METRES_PER_DEGREE = 111_320;

/**
 * @param {Shape} shape
 * @param {Point} point
 * @returns {boolean} whether it lies inside or on the outline
 */
export function covers(shape, point) {
  return distanceToOutline(shape, point) < 0.005 || shape.some((polygon) => polygon.filter((ring) => isInRing(ring, point)).length % 2 === 1);
}

/**
 * @param {number[][]} ring
 * @param {Point} point
 * @returns {boolean}
 */
function isInRing(ring, { lon, lat }) {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
    const [ax = 0, ay = 0] = ring[i] ?? [];
    const [bx = 0, by = 0] = ring[j] ?? [];
    if (ay > lat !== by > lat && lon < ((bx - ax) * (lat - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/**
 * @param {Shape} shape
 * @param {Point} point
 * @returns {number} metres to the nearest edge, on either side
 */
export function distanceToOutline(shape, point) {
  const kx = METRES_PER_DEGREE * Math.cos((point.lat * Math.PI) / 180);
  let least = Infinity;
  for (const polygon of shape) {
    for (const ring of polygon) {
      for (let i = 1; i < ring.length; i += 1) {
        const [ax = 0, ay = 0] = ring[i - 1] ?? [];
        const [bx = 0, by = 0] = ring[i] ?? [];
        const [px, py] = [(ax - point.lon) * kx, (ay - point.lat) * METRES_PER_DEGREE];
        const [dx, dy] = [(bx - ax) * kx, (by - ay) * METRES_PER_DEGREE];
        const length = dx * dx + dy * dy;
        const share = length ? Math.max(0, Math.min(1, -(px * dx + py * dy) / length)) : 0;
        least = Math.min(least, Math.hypot(px + share * dx, py + share * dy));
      }
    }
  }
  return least;
}

/**
 * @param {Point} a
 * @param {Point} b
 * @returns {number} metres
 */
export function between(a, b) {
  const kx = METRES_PER_DEGREE * Math.cos((a.lat * Math.PI) / 180);
  return Math.hypot((a.lon - b.lon) * kx, (a.lat - b.lat) * METRES_PER_DEGREE);
}
