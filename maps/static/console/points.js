// The open cases as signs on the map. A sign is one object for the life of its case: a change redraws that one only.

import { latLngOf } from "./lonlat.js";
import { drawMarked, drawOutside, drawSign, known, LIGHTS } from "./shapes.js";
import { isIn } from "./store.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").Light} Light */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./store.js").Change} Change */

/** Distance in pixels between signs that would lie exactly on each other. */
const FAN = 11;

/**
 * @typedef {L.CircleMarker & {
 *   light: Light, ref: string, isDim: boolean, isMarked: boolean, isOutside: boolean, slot: number, spot: string,
 *   _renderer: {_drawing: boolean, _ctx: CanvasRenderingContext2D}, _point: L.Point, _empty: () => boolean,
 * }} SignMarker
 */

/** @returns {Record<Light|"rim"|"accent", string>} the colours of the present theme */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const token = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    rim: token("--paper"), accent: token("--accent"), green: token("--green"), yellow: token("--yellow"), red: token("--red"),
    supervised: token("--supervised"), suspended: token("--suspended"), none: token("--ink"),
  };
}

/** Three rings of six around the first. */
const MOST_FANNED = 18;
/** Half the side of the picture of a sign, its rim included. */
const REACH = 9;
/** The same with a frame (marked) or a broken ring (outside the grid) around it. */
const WIDE = 12;
/** Pixels of Leaflet's canvas to one of the map: pictures of that very size are copied, not scaled. */
const FINE = L.Browser.retina ? 2 : 1;
let colours = readColours();
/** One picture per look: thousands of signs are copied in the time that hundreds take to be drawn. @type {Map<string, HTMLCanvasElement>} */
const pictures = new Map();

/** @param {SignMarker} marker */
function pictureOf({ light, isMarked, isOutside }) {
  const look = `${light}${isMarked ? "+marked" : ""}${isOutside ? "+outside" : ""}`;
  let picture = pictures.get(look);
  if (!picture) {
    const reach = isMarked || isOutside ? WIDE : REACH;
    picture = document.createElement("canvas");
    picture.width = picture.height = 2 * reach * FINE;
    const pen = picture.getContext("2d");
    pen?.scale(FINE, FINE);
    if (pen && isOutside) drawOutside(pen, WIDE, colours);
    if (pen) drawSign(pen, light, reach, reach, { colour: colours[light], rim: colours.rim });
    if (pen && isMarked) drawMarked(pen, WIDE, colours);
    pictures.set(look, picture);
  }
  return picture;
}

// Leaflet's canvas renderer asks each path to draw itself and clips to what changed: overriding these two methods of a circle
// marker gives a sign of any shape, with the renderer's own bookkeeping of dirty regions.
const Sign = L.CircleMarker.extend({
  options: { radius: 7, weight: 2, bubblingMouseEvents: false },
  /** @this {SignMarker} */
  _updatePath() {
    if (!this._renderer._drawing || this._empty()) return;
    const pen = this._renderer._ctx;
    pen.globalAlpha = this.isDim ? 0.3 : 1;
    const [x, y] = [Math.round(this._point.x * FINE) / FINE, Math.round(this._point.y * FINE) / FINE];
    const reach = this.isMarked || this.isOutside ? WIDE : REACH;
    pen.drawImage(pictureOf(this), x - reach, y - reach, 2 * reach, 2 * reach);
    pen.globalAlpha = 1;
  },
  /** @this {SignMarker & {_updateBounds: () => void, _map: L.Map, _latlng: L.LatLng}} */
  _project() {
    const point = this._map.latLngToLayerPoint(this._latlng);
    if (this.slot > 0 && this.slot <= MOST_FANNED) {
      // Signs at one address fan out on rings, so that each can be seen and clicked; the rest of a large heap stays in its
      // middle, or a hundred reports of one square would cover the neighbouring cells. The queue has them all.
      const ring = Math.floor((this.slot - 1) / 6) + 1;
      const angle = ((this.slot - 1) % 6) * (Math.PI / 3) + ring * 0.4;
      point.x += Math.cos(angle) * FAN * ring;
      point.y += Math.sin(angle) * FAN * ring;
    }
    this._point = point;
    this._updateBounds();
  },
});

export class Points {
  /** @type {Map<string, SignMarker>} */
  #markers = new Map();
  /** Which cases lie on each other. @type {Map<string, string[]>} */
  #stacks = new Map();
  #map;
  #store;
  #isMarked;
  #renderer = L.canvas({ padding: 0.25, pane: "points", tolerance: 4 });
  /** @type {L.CircleMarker|null} */
  #ring = null;

  /**
   * @param {L.Map} map
   * @param {Store} store
   * @param {{select: (ref: string) => void, isMarked: (ref: string) => boolean}} on
   */
  constructor(map, store, on) {
    map.createPane("points").classList.add("pane-points");
    this.#map = map;
    this.#store = store;
    this.#isMarked = on.isMarked;
    // One listener for all signs, on what they have in common: thousands of lists with one listener each weigh more than the cases.
    /** @type {any} */ (Sign).prototype.on("click", (/** @type {{target: SignMarker}} */ event) => on.select(event.target.ref));
  }

  get size() {
    return this.#markers.size;
  }

  /** @param {Iterable<Change>} changes */
  apply(changes) {
    const sorted = [...changes].sort((a, b) => LIGHTS.indexOf(known(b.one.light)) - LIGHTS.indexOf(known(a.one.light)));
    for (const { one, kind } of sorted) {
      if (kind === "removed" || !one.location) this.#remove(one.case);
      else this.#put(one);
    }
  }

  /** Dim what the queue does not list. Only signs whose answer differs are redrawn. */
  dim() {
    for (const [ref, marker] of this.#markers) {
      const one = this.#store.get(ref);
      const isDim = one !== undefined && ref !== this.#store.selected && !this.#store.isShown(one);
      if (isDim === marker.isDim) continue;
      marker.isDim = isDim;
      marker.redraw();
    }
  }

  /** Frame those that are marked for one act together. Only signs whose answer differs are redrawn. */
  mark() {
    for (const [ref, marker] of this.#markers) {
      const isMarked = this.#isMarked(ref);
      if (isMarked === marker.isMarked) continue;
      marker.isMarked = isMarked;
      marker.redraw();
      if (isMarked) marker.bringToFront();
    }
  }

  /**
   * @param {string} ref
   * @returns {L.Point|null} where its sign stands in the map's window, its place in a fan included
   */
  placeOf(ref) {
    const marker = this.#markers.get(ref);
    return marker ? this.#map.layerPointToContainerPoint(marker._point) : null;
  }

  /** @param {Case|undefined} one the selected case, ringed */
  ring(one) {
    this.#ring?.remove();
    this.#ring = null;
    const marker = one && this.#markers.get(one.case);
    if (!marker) return;
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    this.#ring = new /** @type {any} */ (Sign)(marker.getLatLng(), {
      radius: 14, color: colour, weight: 2.5, fill: false, interactive: false, renderer: this.#renderer,
    });
    const ring = /** @type {SignMarker} */ (this.#ring);
    ring.slot = marker.slot;
    // The ring is a plain circle that stands where its sign stands, fan included.
    /** @type {any} */ (ring)._updatePath = /** @type {any} */ (L.CircleMarker.prototype)._updatePath;
    ring.addTo(this.#map);
    marker.bringToFront();
  }

  /**
   * Show for a moment where a case has arrived.
   * @param {Case} one
   */
  arrive(one) {
    const marker = this.#markers.get(one.case);
    if (!marker || !this.#map.getBounds().contains(marker.getLatLng())) return;
    const icon = L.divIcon({ className: `arrival arrival-${known(one.light)}`, iconSize: [36, 36] });
    const ring = L.marker(marker.getLatLng(), { icon, interactive: false, keyboard: false }).addTo(this.#map);
    setTimeout(() => ring.remove(), 3000);
  }

  repaint() {
    colours = readColours();
    pictures.clear();
    for (const marker of this.#markers.values()) marker.redraw();
    this.ring(this.#store.get(this.#store.selected));
  }

  /** @param {Case} one */
  #put(one) {
    if (!one.location) return;
    const light = known(one.light);
    const isOutside = isIn(one, "out_of_grid");
    const at = latLngOf([one.location.lon, one.location.lat]);
    const known_ = this.#markers.get(one.case);
    if (known_) {
      if (!known_.getLatLng().equals(at)) {
        this.#remove(one.case);
      } else {
        if (known_.light !== light || known_.isOutside !== isOutside) {
          Object.assign(known_, { light, isOutside });
          known_.redraw();
        }
        return;
      }
    }
    const key = `${one.location.lon.toFixed(5)},${one.location.lat.toFixed(5)}`;
    const stack = this.#stacks.get(key) ?? [];
    const used = new Set(stack.map((ref) => this.#markers.get(ref)?.slot));
    let slot = 0;
    while (used.has(slot)) slot += 1;
    // Not spread: a list that is made by spreading keeps room for sixteen more.
    this.#stacks.set(key, stack.concat(one.case));
    /** @type {SignMarker} */
    const marker = new /** @type {any} */ (Sign)(at, { renderer: this.#renderer });
    Object.assign(marker, { light, isOutside, ref: one.case, isDim: !this.#store.isShown(one), isMarked: this.#isMarked(one.case), slot, spot: key });
    marker.addTo(this.#map);
    this.#markers.set(one.case, marker);
  }

  /** @param {string} ref */
  #remove(ref) {
    const marker = this.#markers.get(ref);
    if (!marker) return;
    marker.remove();
    this.#markers.delete(ref);
    const left = this.#stacks.get(marker.spot)?.filter((each) => each !== ref) ?? [];
    if (left.length) this.#stacks.set(marker.spot, left);
    else this.#stacks.delete(marker.spot);
  }
}
