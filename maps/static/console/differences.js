// What somebody else changed meanwhile, in words: shown instead of overwriting it.

import { moment, placeOf, t } from "./texts.js";

/** @typedef {import("./types.js").CaseDetail} CaseDetail */

/**
 * @param {CaseDetail} seen what was looked at
 * @param {CaseDetail} now what is true
 * @returns {string[]} one line per thing that differs, who did it first
 */
export function differences(seen, now) {
  const at = new Date();
  const lines = now.events
    .filter((event) => !seen.events.some((known) => known.seq === event.seq))
    .map((event) => t("desk.diff.event", { what: event.moves.map((move) => t(`move.${move}`)).join(" → "), who: event.actor ?? "", when: moment(new Date(event.at), at) }));
  const pairs = /** @type {const} */ ([
    ["status", (/** @type {CaseDetail} */ one) => t(`state.${one.status}`)],
    ["head", (/** @type {CaseDetail} */ one) => one.head?.name ?? "–"],
    ["due", (/** @type {CaseDetail} */ one) => (one.due_at ? moment(new Date(one.due_at), at) : "–")],
    ["place", placeOf],
  ]);
  for (const [name, valueOf] of pairs) {
    const before = valueOf(seen);
    const after = valueOf(now);
    if (before !== after) lines.push(t("desk.diff.line", { name: t(`desk.diff.${name}`), before, after }));
  }
  return lines;
}
