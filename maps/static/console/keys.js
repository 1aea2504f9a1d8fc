// The keyboard path. One table; the help dialog shows the same keys.

import { byId } from "./dom.js";
import { MOVE_KEYS } from "./moves.js";

/**
 * @typedef {object} Actions
 * @property {(step: number) => void} next
 * @property {() => void} open
 * @property {() => void} back
 * @property {(isRange: boolean) => void} mark
 * @property {() => void} undo
 * @property {(key: keyof typeof MOVE_KEYS, isChoosing: boolean) => void} move
 * @property {() => void} notes
 * @property {(at: number) => void} inbox
 * @property {() => void} search
 * @property {(at: number) => void} nearest
 * @property {(step: number) => void} time
 * @property {(typed?: string, isAboutPlaces?: boolean) => void} palette
 */

/** @param {Actions} on */
export function bindKeys(on) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("keys"));
  byId("palette-open").addEventListener("click", () => on.palette());
  byId("help-open").addEventListener("click", () => dialog.showModal());
  let goUntil = 0;

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (!document.querySelector("dialog[open]")) on.palette();
      return;
    }
    if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    const isTyping = target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      event.preventDefault();
      if (target.id === "search") {
        target.blur();
        byId("list").focus();
      } else on.back();
      return;
    }
    if (isTyping) {
      if (target.id === "search" && (event.key === "Enter" || event.key === "ArrowDown")) {
        event.preventDefault();
        byId("list").focus();
        on.next(1);
      }
      return;
    }
    if (goUntil > Date.now() && /^[1-5]$/.test(event.key)) {
      goUntil = 0;
      event.preventDefault();
      on.inbox(Number(event.key) - 1);
      return;
    }
    goUntil = 0;
    if (/^[1-3]$/.test(event.key)) {
      on.nearest(Number(event.key) - 1);
      return;
    }
    if (event.key === "[" || event.key === "]") {
      event.preventDefault();
      on.time(event.key === "[" ? -1 : 1);
      return;
    }
    const letter = event.key.toLowerCase();
    if (Object.hasOwn(MOVE_KEYS, letter)) {
      event.preventDefault();
      on.move(/** @type {keyof typeof MOVE_KEYS} */ (letter), event.shiftKey);
      return;
    }
    const inList = target.id === "list" || target === document.body;
    // Who has chosen an inbox and walks on is in its list now: Enter shall open the case and not choose the inbox again.
    if (/^[jk]$/i.test(event.key) && target.closest("[role=tablist]")) byId("list").focus({ preventScroll: true });
    switch (event.key) {
      case "j":
      case "J":
        on.next(1);
        break;
      case "k":
      case "K":
        on.next(-1);
        break;
      case "ArrowDown":
        if (!inList) return;
        on.next(1);
        break;
      case "ArrowUp":
        if (!inList) return;
        on.next(-1);
        break;
      case "Enter":
        if (!inList) return;
        on.open();
        break;
      case "x":
      case "X":
        on.mark(event.shiftKey);
        break;
      case "z":
      case "Z":
        on.undo();
        break;
      case "w":
      case "W":
        on.palette("", true);
        break;
      case "n":
      case "N":
        on.notes();
        break;
      case "g":
      case "G":
        goUntil = Date.now() + 1500;
        break;
      case "/":
        on.search();
        break;
      case "?":
        dialog.showModal();
        break;
      default:
        return;
    }
    event.preventDefault();
  });
}
