// The map by keyboard: arrows move it, + and - zoom, Enter asks who covers its middle, which a cross marks while the map has
// the focus. The signs themselves are reached in the queue, row by row.

import { make } from "./dom.js";

const STEP = 96;
const FINE_STEP = 12;

/** @param {L.Map} map */
export function bindMapKeys(map) {
  const ground = map.getContainer();
  const cross = make("i", "map-cross");
  cross.setAttribute("aria-hidden", "true");
  ground.append(cross);
  ground.addEventListener("keydown", (event) => {
    if (event.target !== ground || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? FINE_STEP : STEP;
    /** @type {Record<string, [number, number]>} */
    const moves = { ArrowUp: [0, -step], ArrowDown: [0, step], ArrowLeft: [-step, 0], ArrowRight: [step, 0] };
    const move = moves[event.key];
    if (move) map.panBy(move, { animate: false });
    else if (event.key === "+" || event.key === "=") map.zoomIn(0.5, { animate: false });
    else if (event.key === "-") map.zoomOut(0.5, { animate: false });
    else if (event.key === "Enter") map.fire("click", { latlng: map.getCenter() });
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}
