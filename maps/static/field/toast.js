// One line that says what just happened, and goes away by itself.

import { byId } from "../console/dom.js";

const bar = byId("toast");
const text = byId("toast-text");
const undo = byId("toast-undo");
/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;
/** @type {(() => void)|null} */
let takeBack = null;

undo.addEventListener("click", () => {
  takeBack?.();
  bar.hidden = true;
});

/**
 * @param {string} said
 * @param {() => void} [onUndo]
 */
export function toast(said, onUndo) {
  clearTimeout(timer);
  text.textContent = said;
  takeBack = onUndo ?? null;
  undo.hidden = !onUndo;
  bar.hidden = false;
  timer = setTimeout(() => (bar.hidden = true), onUndo ? 8000 : 3500);
}
