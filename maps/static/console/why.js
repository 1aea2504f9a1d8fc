// "Why this time?": every stretch that counted and every one that did not, as the service explains it.

import { make } from "./dom.js";
import { getDeadline } from "./service.js";
import { duration, moment, t } from "./texts.js";

/** @typedef {import("./types.js").DeadlineLedger} DeadlineLedger */

// The panel is drawn anew with every answer and every minute; what somebody is reading must not fold up.
let isPersonOpen = false;
/** @type {{ref: string, version: number, parts: HTMLElement[]}} the case whose ledger is unfolded, and what it said of which version */
let ledger = { ref: "", version: 0, parts: [] };

/**
 * Unfold a box as it was in the drawing before, and remember what is done with it. A click is remembered at once:
 * "toggle" is told only later, when the next drawing may have taken the box's place.
 * @param {HTMLDetailsElement} box
 * @param {boolean} isOpen
 * @param {(isOpen: boolean) => void} remember
 */
function keep(box, isOpen, remember) {
  box.open = isOpen;
  box.querySelector("summary")?.addEventListener("click", () => remember(!box.open));
  box.addEventListener("toggle", () => {
    if (box.isConnected) remember(box.open);
  });
}

/**
 * A line to press that unfolds the ledger of a case's deadline; read when it is asked for, and for every version anew.
 * @param {{case: string, version: number}} one
 * @returns {HTMLElement}
 */
export function whyThisTime({ case: ref, version }) {
  const box = make("details", "why");
  const body = make("div", "why-body");
  body.setAttribute("role", "status");
  box.append(make("summary", "link", t("console.why.time")), body);
  const isOpen = ledger.ref === ref;
  if (isOpen) body.append(...ledger.parts);
  keep(box, isOpen, (isUnfolded) => {
    if (isUnfolded && ledger.ref !== ref) ledger = { ref, version: 0, parts: [] };
    else if (!isUnfolded && ledger.ref === ref) ledger = { ref: "", version: 0, parts: [] };
  });
  box.addEventListener("toggle", async () => {
    if (!box.open || (body.hasChildNodes() && ledger.version === version)) return;
    try {
      const parts = ledgerParts(await getDeadline(ref), new Date());
      if (ledger.ref === ref) ledger = { ref, version, parts };
      body.replaceChildren(...parts);
    } catch (fault) {
      body.replaceChildren(make("p", "fault", fault instanceof Error ? fault.message : ""));
    }
  });
  return box;
}

/**
 * A line to press that unfolds why this person has the case: from the point to the post, as it was decided then.
 * @param {string[]} lines
 * @returns {HTMLElement}
 */
export function whyThisPerson(lines) {
  const box = make("details", "why");
  const steps = make("ol", "why-body why-steps");
  steps.append(...lines.map((line) => make("li", "", line)));
  box.append(make("summary", "link", t("console.why.person")), steps);
  keep(box, isPersonOpen, (isOpen) => (isPersonOpen = isOpen));
  return box;
}

/**
 * @param {DeadlineLedger} found
 * @param {Date} now
 * @returns {HTMLElement[]}
 */
function ledgerParts(found, now) {
  /** @type {HTMLElement[]} */
  const parts = [make("p", "", t("console.why.limit", { limit: found.limit.text, start: moment(new Date(found.start_at), now) }))];
  const list = make("ol", "why-ledger");
  for (const stretch of found.ledger) {
    const begins = new Date(stretch.begins_at);
    const ends = new Date(stretch.ends_at);
    const item = make("li", stretch.counted_s > 0 ? "counted" : "skipped");
    const length = duration(stretch.counted_s > 0 ? stretch.counted_s * 1000 : ends.getTime() - begins.getTime());
    item.append(
      make("span", "why-when", `${moment(begins, now)} – ${moment(ends, now)}`),
      make("span", "why-kind", stretch.is_provisional ? t("console.why.provisional", { kind: stretch.text }) : stretch.text),
      make("span", "why-length", length),
    );
    list.append(item);
  }
  parts.push(list);
  for (const approval of found.approvals) {
    const change = { before: moment(new Date(approval.due_before), now), after: moment(new Date(approval.due_after), now), reason: approval.reason };
    parts.push(make("p", "quiet", t("console.why.approval", change)));
  }
  if (!found.agrees) parts.push(make("p", "quiet", t("console.why.kept")));
  return parts;
}
