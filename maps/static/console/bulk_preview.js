// What would come of an act on many cases, before it is done: who would have how many of them, and which are refused and why.

import { make } from "./dom.js";
import { moment, number, t } from "./texts.js";

/** @typedef {import("./types.js").Outcome} Outcome */

/** Longer lists are counted, not shown: the marks themselves stand in the queue. */
const MOST_NAMED = 6;
const MOST_FAULTS = 20;
const MOST_ROWS = 5;

/**
 * @param {Outcome[]} outcomes of the same moves, made and given up again
 * @param {Date} now
 * @returns {HTMLElement[]}
 */
export function movePreview(outcomes, now) {
  /** @type {Map<string, {refs: string[], due: string|null}>} */
  const groups = new Map();
  for (const { case: ref, foreseen } of outcomes) {
    if (!foreseen) continue;
    const state = t(`state.${foreseen.state}`);
    const who = foreseen.owner ? `${state} · ${foreseen.owner.post} ${foreseen.owner.name ?? ""}`.trim() : state;
    const group = groups.get(who) ?? { refs: [], due: null };
    group.refs.push(ref);
    if (foreseen.due_at && (group.due === null || foreseen.due_at < group.due)) group.due = foreseen.due_at;
    groups.set(who, group);
  }
  const list = make("ul", "bulk-foreseen");
  for (const [who, { refs, due }] of groups) {
    const item = make("li");
    item.append(make("bdi", "", t("console.bulk.group", { who, count: number(refs.length) })));
    if (due) item.append(make("span", "quiet", t("console.bulk.earliest", { when: moment(new Date(due), now) })));
    const named = refs.slice(0, MOST_NAMED).map((ref) => `#${ref}`).join(" ");
    item.append(make("span", "bulk-refs quiet", refs.length > MOST_NAMED ? `${named} …` : named));
    list.append(item);
  }
  const parts = [list];
  const refused = outcomes.filter((one) => one.status !== 200);
  if (refused.length) {
    const faults = make("ul", "bulk-faults");
    faults.append(make("li", "fault", t("console.bulk.refused", { count: number(refused.length) })));
    for (const one of refused.slice(0, MOST_FAULTS)) faults.append(make("li", "", `#${one.case} ${one.detail ?? ""}`));
    parts.push(faults);
  }
  return groups.size ? parts : parts.slice(1);
}

/**
 * @param {string[]} head
 * @param {string[][]} rows
 * @returns {HTMLElement[]}
 */
export function exportPreview(head, rows) {
  const list = make("ul", "bulk-foreseen");
  for (const row of rows.slice(0, MOST_ROWS)) list.append(make("li", "bulk-line", row.filter(Boolean).join(" · ")));
  if (rows.length > MOST_ROWS) list.append(make("li", "quiet", t("console.bulk.more", { count: number(rows.length - MOST_ROWS) })));
  return [make("p", "quiet", t("console.bulk.columns", { columns: head.join(t("console.bulk.comma")) })), list];
}
