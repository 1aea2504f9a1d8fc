// Where the map looks: at the selected case, in the middle of what can be seen of the map.

import { latLngOf } from "./lonlat.js";

/** @typedef {import("./types.js").Case} Case */

/** How much of the shorter side counts as the rim: a sign that was clicked there is brought to the middle after all. */
const RIM = 0.04;
const CLOSE = 16;

export class Aim {
  #map;
  #points;
  #panel = document.getElementById("panel");
  #isMoving = false;
  /** The part of the map that the queue is bound to, and its frame. @type {L.Rectangle|null} */
  #frame = null;

  /**
   * @param {L.Map} map
   * @param {import("./points.js").Points} points
   */
  constructor(map, points) {
    this.#map = map;
    this.#points = points;
    map.createPane("frame").classList.add("pane-frame");
  }

  /** Whether the page moves the map just now, and not somebody's hand. */
  get isMoving() {
    return this.#isMoving;
  }

  /**
   * Bring a case's sign to the middle of what can be seen of the map: at once, for what slides cannot be read, and a second
   * press of J would begin before the first had arrived.
   * @param {Case} one
   * @param {boolean} isSeen whether somebody looks at it already: then the map stays unless the panel covers it
   */
  at(one, isSeen) {
    if (!one.location) return;
    const map = this.#map;
    const at = this.#points.placeOf(one.case) ?? map.latLngToContainerPoint(latLngOf([one.location.lon, one.location.lat]));
    const seen = this.#visible();
    if (!seen) return;
    const rim = RIM * Math.min(seen.right - seen.left, seen.bottom - seen.top);
    const isInside = at.x > seen.left + rim && at.x < seen.right - rim && at.y > seen.top + rim && at.y < seen.bottom - rim;
    if (isSeen && isInside) return;
    const middle = L.point((seen.left + seen.right) / 2, (seen.top + seen.bottom) / 2);
    this.#move(() => map.panBy(at.subtract(middle), { animate: false }));
  }

  /** @param {Case} one to be seen with its courtyard around it */
  closer(one) {
    if (!one.location) return;
    const at = latLngOf([one.location.lon, one.location.lat]);
    this.#move(() => this.#map.setView(at, Math.max(this.#map.getZoom(), CLOSE), { animate: false }));
    this.at(one, false);
  }

  /** The map's room is another one: nothing in it moves. */
  resize() {
    this.#move(() => this.#map.invalidateSize({ animate: false, pan: false }));
  }

  /** @param {L.LatLngBounds|null} bounds what the queue is bound to; seen as a frame as soon as the map looks elsewhere */
  frame(bounds) {
    this.#frame?.remove();
    this.#frame = null;
    if (!bounds) return;
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    this.#frame = L.rectangle(bounds, { color: colour, weight: 1, dashArray: "4 4", fill: false, interactive: false, pane: "frame" }).addTo(this.#map);
  }

  /** @param {() => void} act */
  #move(act) {
    this.#isMoving = true;
    try {
      act();
    } finally {
      this.#isMoving = false;
    }
  }

  /** @returns {{left: number, top: number, right: number, bottom: number}|null} what the panel leaves of the map, in its pixels; null when nothing */
  #visible() {
    const { x, y } = this.#map.getSize();
    const ground = this.#map.getContainer().getBoundingClientRect();
    const over = this.#panel?.getBoundingClientRect();
    // A hidden panel has no size. In a narrow window it lies over the map, from the right or over all of it.
    const right = over && over.width && over.top < ground.bottom && over.bottom > ground.top ? Math.min(x, over.left - ground.left) : x;
    return right > 0 && y > 0 ? { left: 0, top: 0, right, bottom: y } : null;
  }
}
