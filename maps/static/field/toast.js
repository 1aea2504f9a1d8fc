// One line that says what just happened, and goes away by itself.

import { byId } from "../console/dom.js";
import { t } from "../console/texts.js";
import { desk, discard } from "./desk.js";
import { isFleeting } from "./store.js";

/** @typedef {import("./types.js").Entry} Entry */

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
 * Say where an act is now; what has not left the phone can be taken back.
 * @param {Entry} entry
 */
export function toastSaved(entry) {
  if (isFleeting(entry)) toast(t("field.sheet.saved_fleeting"), () => void discard(entry));
  else if (desk.net === "live") toast(t("field.sheet.saved"));
  else toast(t("field.sheet.saved_offline"), () => void discard(entry));
}

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
