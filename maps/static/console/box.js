// Dragging a box on the map with Shift held: marks what lies in it, and leaves the view where it is.

/**
 * @param {L.Map} map
 * @param {(bounds: L.LatLngBounds) => void} chosen
 */
export function bindBox(map, chosen) {
  const pane = map.getContainer();
  /** @type {L.Point|null} */
  let begin = null;
  /** @type {HTMLElement|null} */
  let frame = null;
  map.boxZoom.disable();
  pane.addEventListener("pointerdown", (event) => {
    if (!event.shiftKey || event.button !== 0) return;
    begin = map.mouseEventToContainerPoint(event);
    map.dragging.disable();
    pane.setPointerCapture(event.pointerId);
  });
  pane.addEventListener("pointermove", (event) => {
    if (!begin) return;
    const at = map.mouseEventToContainerPoint(event);
    if (!frame) {
      frame = document.createElement("div");
      frame.className = "box-frame";
      pane.append(frame);
    }
    frame.style.left = `${Math.min(begin.x, at.x)}px`;
    frame.style.top = `${Math.min(begin.y, at.y)}px`;
    frame.style.width = `${Math.abs(at.x - begin.x)}px`;
    frame.style.height = `${Math.abs(at.y - begin.y)}px`;
  });
  const end = (/** @type {PointerEvent} */ event, /** @type {boolean} */ isGivenUp) => {
    const from = begin;
    begin = null;
    if (!from) return;
    map.dragging.enable();
    const wasDrawn = frame !== null;
    frame?.remove();
    frame = null;
    if (!wasDrawn) return;
    // The drag ends with a click, which must not ask who covers the box's corner.
    pane.addEventListener("click", (click) => click.stopPropagation(), { capture: true, once: true });
    if (isGivenUp) return;
    const to = map.mouseEventToContainerPoint(event);
    chosen(L.latLngBounds(map.containerPointToLatLng(from), map.containerPointToLatLng(to)));
  };
  pane.addEventListener("pointerup", (event) => end(event, false));
  pane.addEventListener("pointercancel", (event) => end(event, true));
}
