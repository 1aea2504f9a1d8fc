// Every view has an address: reload, bookmark and the language link lead back to it.

import { byId } from "./dom.js";

/** @typedef {{inbox: string|null, q: string|null, at: string|null, shade: string|null, case: string|null}} View what the address says; null is left out */

/** The browser writes an address down for good, which takes longer than a frame has: not before the frame. Units: milliseconds. */
const PAUSE = 40;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;

/** @param {() => View} read what the page shows; read when it is written down */
export function remember(read) {
  clearTimeout(timer);
  timer = setTimeout(() => write(read()), PAUSE);
}

/** @param {View} view */
function write(view) {
  const url = new URL(location.href);
  for (const [key, value] of Object.entries(view)) {
    if (value) url.searchParams.set(key, value);
    else url.searchParams.delete(key);
  }
  if (url.href !== location.href) history.replaceState(null, "", url);
  const link = byId("language");
  url.searchParams.set("lang", link.dataset.lang ?? "en");
  link.setAttribute("href", url.search);
}

/**
 * @param {L.Map} map
 * @returns {string} zoom and centre
 */
export function spotOf(map) {
  const { lat, lng } = map.getCenter();
  return `${map.getZoom()}/${lat.toFixed(5)}/${lng.toFixed(5)}`;
}

/**
 * @param {string} text as `spotOf` writes it
 * @returns {{zoom: number, lon: number, lat: number}|null}
 */
export function readSpot(text) {
  const [zoom, lat, lon] = text.split("/").map(Number);
  return zoom && lat !== undefined && lon !== undefined && Number.isFinite(zoom + lat + lon) ? { zoom, lon, lat } : null;
}
