// Cases outside the grid or without a point: take one of the nearest cells by key, or drag a pin to where it is.

import { latLngOf } from "./lonlat.js";
import { make } from "./dom.js";
import { distance, t } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */

/** The moves by which the desk says which cell answers, the first that is allowed. */
export const PLACING_MOVES = ["dispatch", "re_dispatch"];

/**
 * @param {{code: string, name: string, distance_m: number}[]} nearest
 * @param {((code: string) => void)|null} take null when the case cannot be dispatched now
 * @returns {HTMLElement}
 */
export function nearestChoices(nearest, take) {
  const list = make("ol", "chain nearest");
  for (const [at, cell] of nearest.entries()) {
    const item = make("li");
    item.append(make("span", "chain-level", distance(cell.distance_m)), make("bdi", "chain-name", cell.name));
    if (take) {
      const button = make("button", "link nearest-take", t("desk.place.take"));
      button.type = "button";
      button.dataset.cell = cell.code;
      button.append(make("kbd", "", String(at + 1)));
      button.setAttribute("aria-label", t("desk.place.take_cell", { name: cell.name }));
      button.addEventListener("click", () => take(cell.code));
      item.append(button);
    } else item.append(make("span", "chain-code", cell.code));
    list.append(item);
  }
  return list;
}

/** The pin that is dragged; at most one. */
export class Pin {
  #map;
  #ask;
  /** @type {L.Marker|null} */
  #marker = null;

  /**
   * @param {L.Map} map
   * @param {(lon: number, lat: number) => void} ask called where the pin was let go
   */
  constructor(map, ask) {
    this.#map = map;
    this.#ask = ask;
  }

  /** @param {Case} one stands where the case is, or in the middle of the map when nobody knows */
  show(one) {
    this.hide();
    const at = one.location ? latLngOf([one.location.lon, one.location.lat]) : this.#map.getCenter();
    if (!this.#map.getBounds().contains(at)) this.#map.setView(at, this.#map.getZoom(), { animate: false });
    const icon = L.divIcon({ className: "pin", iconSize: [22, 30], iconAnchor: [11, 29] });
    this.#marker = L.marker(at, { icon, draggable: true, autoPan: true, keyboard: true, title: t("desk.place.pin"), alt: t("desk.place.pin") });
    this.#marker.on("dragend", () => {
      const to = this.#marker?.getLatLng();
      if (to) this.#ask(to.lng, to.lat);
    });
    this.#marker.addTo(this.#map);
    this.#marker.getElement()?.focus();
  }

  hide() {
    this.#marker?.remove();
    this.#marker = null;
  }
}
