// What the palette offers: moves of the selected case, the desk's own commands, pages, cases, cells.

import { byId } from "./dom.js";
import { inOrder } from "./moves.js";
import { openNotes } from "./notes.js";
import { fits } from "./palette.js";
import { findCells } from "./service.js";
import { SHADES } from "./shading.js";
import { ALARMS } from "./sounds.js";
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
  for (const { kind, ...view } of desk.views()) add(kind, view);
  for (const own of desk.own()) add("desk", own);
  for (const [at, inbox] of INBOXES.entries()) add("inbox", { name: t(`console.inbox.${inbox}`), keys: `G ${at + 1}`, run: () => desk.inbox(inbox) }, inbox);
  for (const [page, path] of PAGES) add("page", { name: t(`desk.page.${page}`), run: () => location.assign(context.root + path) }, page);
  // A number or a word of a case is what is typed most, and few of them are a command's; without words the list of cases is the queue.
  if (words.length) for (const one of store.all()) add("case", { name: `${one.category.code} ${one.category.name}`, detail: `#${one.case} · ${placeOf(one)}`, run: () => desk.open(one.case) }, one.text, one.ticket, one.address);
  return entries;
}

/**
 * Cells by name or code, asked of the service: a page has never read all of a city's.
 * @param {string} typed
 * @param {(cell: import("./service.js").FoundCell) => void} show
 * @returns {Promise<Entry[]>}
 */
export async function findCellEntries(typed, show) {
  return (await findCells(typed)).map((cell) => ({ kind: "cell", name: cell.name, detail: cell.code, run: () => show(cell) }));
}

/**
 * What the desk can do by itself.
 * @param {{sounds: import("./sounds.js").Sounds, shade: import("./shading.js").Shade, setShade: (shade: import("./shading.js").Shade) => void, replay: () => void, inView: () => void, clearFilter: () => void, showWhole: () => void}} desk
 */
export function ownEntries(desk) {
  const { sounds } = desk;
  const soundName = (/** @type {import("./sounds.js").Alarm} */ alarm) =>
    t(sounds.isOn(alarm) ? "desk.sounds.turn_off" : "desk.sounds.turn_on", { what: t(`desk.sounds.${alarm}`) });
  return [
    { name: t("desk.notes.title"), run: () => void openNotes() },
    { name: t("desk.replay.title"), keys: "[ ]", run: desk.replay },
    ...SHADES.filter((one) => one !== desk.shade).map((one) => ({ name: t(`desk.shade.${one}`), run: () => desk.setShade(one) })),
    ...ALARMS.map((alarm) => ({ name: soundName(alarm), run: () => sounds.toggle(alarm) })),
    { name: t("desk.in_view"), run: desk.inView },
    { name: t("desk.clear_filter"), run: desk.clearFilter },
    { name: t("console.map.all"), run: desk.showWhole },
    { name: t("console.theme"), run: () => document.querySelector("[data-toggle-theme]")?.dispatchEvent(new MouseEvent("click", { bubbles: true })) },
    { name: t("console.keys.title"), keys: "?", run: () => byId("help-open").click() },
  ];
}
