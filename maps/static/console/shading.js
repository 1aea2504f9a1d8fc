// Shades on the map: how many open or overdue cases cells have, or where nobody is on duty, in a few steps that the legend names. Wide cells are shaded each
// for itself; from afar their parents stand for them, with steps as much wider as a parent is larger.

import { make } from "./dom.js";
import { t } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {"none"|"open"|"overdue"|"coverage"} Shade */
/** @typedef {{chain: {level: number, code: string}[], gap: "backup"|"nobody"}} DutyGap */

export const SHADES = /** @type {const} */ (["none", "open", "overdue", "coverage"]);
/** Upper ends of the steps of the smallest cells; the last has none. */
const STEPS = [1, 3, 6, 10];
/** A parent has about so many children. */
const CHILDREN = 5;

/**
 * @param {Iterable<Case>} cases
 * @param {"open"|"overdue"} shade
 * @param {number} level
 * @returns {Map<string, number>} cases by code of the cells of that level
 */
export function workload(cases, shade, level) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const one of cases) {
    if (shade === "overdue" && one.light !== "red") continue;
    const cell = one.chain.find((each) => each.level === level);
    if (cell) counts.set(cell.code, (counts.get(cell.code) ?? 0) + 1);
  }
  return counts;
}

/** What is missing in a cell, as dark as it is bad. */
const GAP_STEPS = { backup: 2, nobody: 5 };

/**
 * @param {DutyGap[]} gaps
 * @param {number} level
 * @param {number[]|null} steps of parents, which count their children without anybody; null for the smallest cells themselves
 * @returns {Map<string, number>} steps by code
 */
export function coverage(gaps, level, steps) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { chain, gap } of gaps) {
    const cell = chain.find((each) => each.level === level);
    if (!cell || (steps && gap !== "nobody")) continue;
    counts.set(cell.code, steps ? (counts.get(cell.code) ?? 0) + 1 : GAP_STEPS[gap]);
  }
  return steps ? new Map([...counts].map(([code, count]) => [code, stepOf(count, steps)])) : counts;
}

/**
 * Upper ends of the steps for cells that stand for so many levels below them.
 * @param {number} above
 */
export function stepsOf(above) {
  return above === 0 ? STEPS : STEPS.map((most) => most * CHILDREN ** above);
}

/**
 * @param {number} count
 * @param {number[]} steps
 * @returns {number} 0 for none, else 1 to 5
 */
export function stepOf(count, steps) {
  if (!count) return 0;
  const at = steps.findIndex((most) => count <= most);
  return at < 0 ? steps.length + 1 : at + 1;
}

/**
 * The steps as a line of the legend.
 * @param {Exclude<Shade, "none">} shade
 * @param {number[]} steps
 * @param {number} level whose cells are shaded
 * @returns {HTMLElement}
 */
export function shadeLegend(shade, steps, level) {
  const line = make("span", "legend-item legend-shade");
  line.append(make("span", "", t(`desk.shade.legend.${shade}`, { level: t(`level.${level}`) })));
  for (let step = 1; step <= steps.length + 1; step += 1) {
    const first = (steps[step - 2] ?? 0) + 1;
    const last = steps[step - 1];
    line.append(make("i", `shade-step shade-${step}`), make("span", "", last === undefined ? `${first}+` : first === last ? `${first}` : `${first}–${last}`));
  }
  return line;
}

/**
 * What the shades of the smallest cells say about duty, as a line of the legend.
 * @param {number} level
 * @returns {HTMLElement}
 */
export function coverageLegend(level) {
  const line = make("span", "legend-item legend-shade");
  line.append(make("span", "", t("desk.shade.legend.duty", { level: t(`level.${level}`) })));
  for (const gap of /** @type {const} */ (["backup", "nobody"])) line.append(make("i", `shade-step shade-${GAP_STEPS[gap]}`), make("span", "", t(`desk.shade.gap.${gap}`)));
  return line;
}
