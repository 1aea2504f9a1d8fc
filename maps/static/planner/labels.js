// @ts-check
// Names on the planner's map: which come first, where they stand, and which fit.
(function () {
  "use strict";

  /** @typedef {any} Leaflet */
  /** @type {Leaflet} */
  const L = /** @type {any} */ (window).L;
  const gridward = /** @type {any} */ (window).gridward;
  const LABELS_AT_ONCE = 160;

  /**
   * Which names come first: the highest level, then the darkest cells.
   *
   * @param {Record<string, Leaflet>} layers
   * @returns {{name: string, level: number, tone: string, isParent: boolean, at: Leaflet, bounds: Leaflet}[]}
   */
  function labelOrder(layers) {
    /** @type {{name: string, level: number, tone: string, isParent: boolean, at: Leaflet, bounds: Leaflet, rank: number}[]} */
    const all = [];
    for (const key of Object.keys(layers)) {
      if (key !== "cells" && !key.startsWith("level")) continue;
      layers[key].eachLayer((/** @type {Leaflet} */ polygon) => {
        const { name, level, tone } = polygon.gw;
        if (!name) return;
        const bounds = polygon.getBounds();
        all.push({
          name,
          level,
          tone,
          isParent: key !== "cells",
          at: middle(polygon),
          bounds,
          rank: level * 16 - (parseInt(tone, 16) || 0),
        });
      });
    }
    return all.sort((a, b) => a.rank - b.rank);
  }

  /**
   * Whether a class is so far from the paper that ink on it cannot be read.
   *
   * @param {string} tone
   * @param {string[]} colours
   * @param {boolean} isDark
   */
  function isStrong(tone, colours, isDark) {
    const colour = /^#(..)(..)(..)$/.exec(colours[parseInt(tone, 16)] ?? "");
    if (!colour) return false;
    const [red, green, blue] = colour.slice(1).map((part) => (parseInt(part, 16) / 255) ** 2.2);
    const light = 0.2126 * (red ?? 0) + 0.7152 * (green ?? 0) + 0.0722 * (blue ?? 0);
    // Where black and white ink read equally well.
    return isDark ? light > 0.18 : light < 0.18;
  }

  /**
   * A place for the name: on the line through the area's centre of the largest ring, the middle of the widest stretch that
   * is inside. (The centre itself may lie outside a bent cell.)
   *
   * @param {Leaflet} polygon
   */
  function middle(polygon) {
    let best = 0;
    let at = polygon.getBounds().getCenter();
    for (const [ring] of polygon.getLatLngs()) {
      const origin = ring[0];
      let area = 0;
      let moment = 0;
      eachEdge(ring, (a, b) => {
        const cross = (a.lng - origin.lng) * (b.lat - origin.lat) - (b.lng - origin.lng) * (a.lat - origin.lat);
        area += cross;
        moment += (a.lat + b.lat - 2 * origin.lat) * cross;
      });
      if (Math.abs(area) <= best) continue;
      best = Math.abs(area);
      const lat = origin.lat + moment / (3 * area);
      /** @type {number[]} */
      const crossings = [];
      eachEdge(ring, (a, b) => {
        if (a.lat > lat !== b.lat > lat) crossings.push(a.lng + ((lat - a.lat) / (b.lat - a.lat)) * (b.lng - a.lng));
      });
      crossings.sort((a, b) => a - b);
      let widest = -1;
      let entry = NaN;
      crossings.forEach((lng, i) => {
        if (i % 2 === 0) {
          entry = lng;
        } else if (lng - entry > widest) {
          widest = lng - entry;
          at = L.latLng(lat, (entry + lng) / 2);
        }
      });
    }
    return at;
  }

  /** @param {Leaflet[]} ring @param {(a: Leaflet, b: Leaflet) => void} use */
  function eachEdge(ring, use) {
    ring.forEach((a, at) => use(a, ring[(at + 1) % ring.length]));
  }

  /**
   * How wide a text stands. Units: pixels.
   *
   * @param {string} text
   * @param {number} size
   */
  function widthOf(text, size) {
    // A Chinese sign is as wide as it is high, a Latin one a little over half.
    return Array.from(text).reduce((sum, sign) => sum + (sign.charCodeAt(0) > 0x2e7f ? 1 : 0.56), 0) * size + 6;
  }

  /**
   * A name on one line, or on two where it is too long for its cell and has a space to break at.
   *
   * @param {string} name
   * @param {number} size
   * @param {number} room
   * @returns {string[]}
   */
  function linesOf(name, size, room) {
    const words = name.split(" ");
    if (words.length === 1 || room >= widthOf(name, size) * 0.8) return [name];
    const broken = words.slice(1).map((_, at) => [words.slice(0, at + 1).join(" "), words.slice(at + 1).join(" ")]);
    const length = (/** @type {string[]} */ lines) => Math.max(...lines.map((line) => line.length));
    return broken.reduce((best, lines) => (length(lines) < length(best) ? lines : best));
  }

  /**
   * Draw the names that fit: inside their cell, and over no other name.
   *
   * @param {Leaflet} map
   * @param {HTMLElement} pane
   * @param {{name: string, level: number, tone: string, isParent: boolean, at: Leaflet, bounds: Leaflet}[]} named
   * @param {(tone: string) => boolean} isOnStrong
   */
  function labels(map, pane, named, isOnStrong) {
    const view = map.getBounds();
    const room = map.getSize();
    /** @type {{left: number, right: number, top: number, bottom: number}[]} */
    const taken = [];
    const drawn = [];
    for (const { name, level, tone, isParent, at, bounds } of named) {
      if (drawn.length >= LABELS_AT_ONCE) break;
      if (!view.contains(at)) continue;
      const size = level === 1 ? 13 : 12;
      const corner = map.latLngToLayerPoint(bounds.getNorthWest());
      const opposite = map.latLngToLayerPoint(bounds.getSouthEast());
      const lines = linesOf(name, size, opposite.x - corner.x);
      const width = Math.max(...lines.map((line) => widthOf(line, size)));
      if (opposite.x - corner.x < width * 0.8 || opposite.y - corner.y < lines.length * (size + 2)) continue;
      // Where one cell of the level above fills the view, its name says nothing and stands in the way.
      if (isParent && opposite.x - corner.x > room.x / 3) continue;
      const point = map.latLngToLayerPoint(at);
      const high = 9 * lines.length;
      const box = { left: point.x - width / 2, right: point.x + width / 2, top: point.y - high, bottom: point.y + high };
      if (taken.some((o) => o.left < box.right && box.left < o.right && o.top < box.bottom && box.top < o.bottom)) continue;
      taken.push(box);
      const label = gridward.make("div", lines.join("\n"), `gw-label gw-level-${level}${isOnStrong(tone) ? " gw-on-strong" : ""}`);
      label.style.left = `${point.x}px`;
      label.style.top = `${point.y}px`;
      drawn.push(label);
    }
    pane.replaceChildren(...drawn);
  }

  Object.assign(gridward, { labelOrder, labels, isStrong });
})();
