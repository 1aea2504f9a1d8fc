// What the palette offers: moves of the selected case, the desk's own commands, pages, cases, cells.

import { inOrder } from "./moves.js";
import { fits } from "./palette.js";
import { context, placeOf, t } from "./texts.js";
import { INBOXES } from "./store.js";

/** @typedef {import("./palette.js").Entry} Entry */
/** @typedef {import("./types.js").Inbox} Inbox */

const PAGES = /** @type {const} */ ([
  ["heat", "/maps/heat"], ["cells", "/maps/cells"], ["rates", "/maps/rates"], ["grid", "/grid"], ["worker", "/worker"], ["account", "/account"],
]);

/**
 * @typedef {object} Desk
 * @property {import("./store.js").Store} store
 * @property {() => string[]} moves those that may be made on the selected case now
 * @property {(move: string) => void} move
 * @property {(inbox: Inbox) => void} inbox
 * @property {(ref: string) => void} open
 * @property {(code: string) => void} cell
 * @property {() => {code: string, name: string}[]} cells
 * @property {() => Entry[]} views
 * @property {() => {name: string, keys?: string, detail?: string, run: () => void}[]} own
 */

/**
 * @param {Desk} desk
 * @param {string[]} words
 * @returns {Entry[]}
 */
export function deskEntries(desk, words) {
  const { store } = desk;
  /** @type {Entry[]} */
  const entries = [];
  const add = (/** @type {string} */ kind, /** @type {Omit<Entry, "kind">} */ entry, /** @type {string[]} */ ...also) => {
    if (fits(words, entry.name, entry.detail ?? "", ...also)) entries.push({ kind, ...entry });
  };
  for (const move of inOrder(desk.moves())) add("move", { name: t(`move.${move}`), detail: store.selected ? `#${store.selected}` : "", run: () => desk.move(move) }, move);
  // A number or a word of a case is what is typed most; without words the list of cases is the queue itself.
  if (words.length) for (const one of store.all()) add("case", { name: `${one.category.code} ${one.category.name}`, detail: `#${one.case} · ${placeOf(one)}`, run: () => desk.open(one.case) }, one.text, one.ticket, one.address);
  if (words.length) for (const cell of desk.cells()) add("cell", { name: cell.name, detail: cell.code, run: () => desk.cell(cell.code) });
  for (const { kind, ...view } of desk.views()) add(kind, view);
  for (const own of desk.own()) add("desk", own);
  for (const [at, inbox] of INBOXES.entries()) add("inbox", { name: t(`console.inbox.${inbox}`), keys: `G ${at + 1}`, run: () => desk.inbox(inbox) }, inbox);
  for (const [page, path] of PAGES) add("page", { name: t(`desk.page.${page}`), run: () => location.assign(context.root + path) }, page);
  return entries;
}
