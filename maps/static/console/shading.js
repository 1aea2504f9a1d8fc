// Workload on the map: how many open or overdue cases the smallest cells have, in a few steps that the legend names.

import { make } from "./dom.js";
import { t } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {"none"|"open"|"overdue"} Shade */

export const SHADES = /** @type {const} */ (["none", "open", "overdue"]);
/** Upper ends of the steps; the last has none. */
export const STEPS = [1, 3, 6, 10];

/**
 * @param {Iterable<Case>} cases
 * @param {Shade} shade
 * @returns {Map<string, number>} cases by code of the smallest cell
 */
export function workload(cases, shade) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const one of cases) {
    if (shade === "none" || (shade === "overdue" && one.light !== "red")) continue;
    const leaf = one.chain.reduce((/** @type {import("./types.js").CellRef|null} */ deepest, cell) => (deepest && deepest.level >= cell.level ? deepest : cell), null);
    if (leaf) counts.set(leaf.code, (counts.get(leaf.code) ?? 0) + 1);
  }
  return counts;
}

/**
 * @param {number} count
 * @returns {number} 0 for none, else 1 to 5
 */
export function stepOf(count) {
  if (!count) return 0;
  const at = STEPS.findIndex((most) => count <= most);
  return at < 0 ? STEPS.length + 1 : at + 1;
}

/**
 * The steps as a line of the legend.
 * @param {Exclude<Shade, "none">} shade
 * @returns {HTMLElement}
 */
export function shadeLegend(shade) {
  const line = make("span", "legend-item legend-shade");
  line.append(make("span", "", t(`desk.shade.legend.${shade}`)));
  for (let step = 1; step <= STEPS.length + 1; step += 1) {
    const first = (STEPS[step - 2] ?? 0) + 1;
    const last = STEPS[step - 1];
    line.append(make("i", `shade-step shade-${step}`), make("span", "", last === undefined ? `${first}+` : first === last ? `${first}` : `${first}–${last}`));
  }
  return line;
}
