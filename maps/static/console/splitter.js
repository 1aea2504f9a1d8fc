// The border between queue and map: dragged, or moved with the arrow keys; its place is remembered on this computer.

import { byId } from "./dom.js";

const KEY = "gridward.queue";
const LEAST = 320;
const MOST = 640;

/** @param {() => void} moved */
export function bindSplitter(moved) {
  const bar = byId("splitter");
  const desk = byId("desk");
  const read = () => {
    try {
      return Number(localStorage.getItem(KEY));
    } catch {
      return 0;
    }
  };
  let width = 400;

  /**
   * @param {number} wanted
   * @param {boolean} keep
   */
  function set(wanted, keep) {
    width = Math.min(MOST, Math.max(LEAST, Math.round(wanted)));
    desk.style.setProperty("--queue-width", `${width}px`);
    bar.setAttribute("aria-valuenow", String(width));
    if (keep) {
      try {
        localStorage.setItem(KEY, String(width));
      } catch {
        // Forbidden storage costs only the memory of the width.
      }
    }
    moved();
  }

  const kept = read();
  if (kept) set(kept, false);
  bar.addEventListener("pointerdown", (event) => {
    bar.setPointerCapture(event.pointerId);
    const from = event.clientX - width;
    const drag = (/** @type {PointerEvent} */ move) => set(move.clientX - from, false);
    bar.addEventListener("pointermove", drag);
    bar.addEventListener("lostpointercapture", () => {
      bar.removeEventListener("pointermove", drag);
      set(width, true);
    }, { once: true });
  });
  bar.addEventListener("dblclick", () => set(400, true));
  bar.addEventListener("keydown", (event) => {
    /** @type {Record<string, number>} */
    const places = { ArrowRight: width + 16, ArrowLeft: width - 16, Home: LEAST, End: MOST };
    const wanted = places[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    set(wanted, true);
  });
}
