// The moves of a case as the panel offers them: which come first, what each asks for, and the form that asks.

import { make } from "./dom.js";
import { distance, instantOf, moment, t, wallTime } from "./texts.js";

/** @typedef {import("./types.js").Nearby} Nearby */
/** @typedef {"reason"|"result"|"until"|"into"} Field */
/** @typedef {{move: string, reason: string, result: string, until: string, into: string}} Draft */
/** @typedef {{move: string, reason?: string, result?: string, until?: string, into?: string, cell?: string}} MoveBody */

/** In the order of the work; the first that is allowed is the one to press. */
export const FORWARD = ["dispatch", "re_dispatch", "acknowledge", "report_back", "check_pass", "close", "accept", "file"];
const REASON = /** @type {const} */ (["reason"]);
/** What a move asks for; a move without an entry is made at once. @type {Record<string, readonly Field[]>} */
const FIELDS = {
  return: REASON, decline: REASON, refuse_file: REASON, void: REASON, check_fail: REASON, request_extension: REASON, refuse_extension: REASON,
  refuse_suspend: REASON, settle: REASON, sample_bad: REASON, follow_up_dissatisfied: REASON, appeal: REASON, refuse_appeal: REASON, unmerge: REASON,
  supervise: REASON, answer_supervision: REASON, escalate_now: REASON,
  report_back: ["result"],
  merge: ["into"],
  request_suspend: ["reason", "until"],
};
/** The keys that begin a move; the first of the moves that is allowed counts. */
export const MOVE_KEYS = /** @type {const} */ ({
  dispatch: ["dispatch", "re_dispatch"],
  merge: ["merge"],
  giveBack: ["return"],
  supervise: ["supervise"],
  extend: ["request_extension", "approve_extension"],
});
const LETTERS = /** @type {Record<string, string>} */ ({
  dispatch: "D", re_dispatch: "D", return: "R", merge: "M", supervise: "U", request_extension: "E", approve_extension: "E",
});
const LONGEST = { reason: 400, result: 4000 };
/** A suspension without a wish ends in a month, at the end of the working day. */
const SUSPEND_DAYS = 30;

/** @param {string} move */
export function asksFor(move) {
  return FIELDS[move] ?? [];
}

/**
 * @param {string} move
 * @param {Draft|null} before what was written for the same move already
 * @param {Nearby|null} nearby
 * @returns {Draft}
 */
export function beginDraft(move, before, nearby) {
  if (before?.move === move) return before;
  const until = asksFor(move).includes("until") ? `${wallTime(new Date(Date.now() + SUSPEND_DAYS * 86_400_000)).slice(0, 10)}T18:00` : "";
  return { move, reason: "", result: "", until, into: asksFor(move).includes("into") ? (nearby?.duplicates[0]?.case ?? "") : "" };
}

/**
 * @param {Draft} draft
 * @returns {MoveBody|null} what is sent; null while something is missing
 */
export function bodyOf(draft) {
  /** @type {MoveBody} */
  const body = { move: draft.move };
  for (const field of asksFor(draft.move)) {
    const value = draft[field].trim().replace(field === "into" ? /^#/ : /^$/, "");
    if (!value) return null;
    if (field === "until") {
      const until = instantOf(value);
      if (!until) return null;
      body.until = until.toISOString();
    } else body[field] = value;
  }
  return body;
}

/**
 * The next step first.
 * @param {string[]} moves
 */
export function inOrder(moves) {
  const rank = (/** @type {string} */ move) => (FORWARD.includes(move) ? FORWARD.indexOf(move) : FORWARD.length);
  return [...moves].sort((a, b) => rank(a) - rank(b));
}

/**
 * The moves as a row of buttons, the next step first.
 * @param {string[]} allowed
 * @param {string} busy the move that is being made
 * @param {(move: string) => void} choose
 */
export function moveButtons(allowed, busy, choose) {
  const row = make("div", "move-row");
  for (const [at, move] of inOrder(allowed).entries()) {
    const button = make("button", at === 0 && FORWARD.includes(move) ? "button button-primary" : "button");
    button.type = "button";
    button.dataset.move = move;
    button.disabled = busy !== "";
    const name = t(`move.${move}`);
    button.append(make("span", "", busy === move ? t("console.move.working", { move: name }) : name));
    if (LETTERS[move]) button.append(make("kbd", "", LETTERS[move]));
    button.addEventListener("click", () => choose(move));
    row.append(button);
  }
  return row;
}

/**
 * @param {Draft} draft is written into while somebody types
 * @param {{busy: boolean, nearby: Nearby|null, send: () => void, cancel: () => void}} on
 */
export function moveForm(draft, on) {
  const form = make("form", "move-form");
  const name = t(`move.${draft.move}`);
  for (const field of asksFor(draft.move)) form.append(field === "into" ? parentField(draft, on.nearby) : plainField(draft, field, name));
  const go = make("button", "button button-primary", t("console.move.confirm", { move: name }));
  go.disabled = on.busy;
  const cancel = make("button", "button", t("console.move.cancel"));
  cancel.type = "button";
  cancel.addEventListener("click", on.cancel);
  const row = make("div", "move-row");
  row.append(go, cancel);
  form.append(row);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (bodyOf(draft)) on.send();
  });
  return form;
}

/**
 * @param {Draft} draft
 * @param {"reason"|"result"|"until"} field
 * @param {string} name
 */
function plainField(draft, field, name) {
  const label = make("label");
  const input = field === "until" ? make("input") : make("textarea");
  if (input instanceof HTMLInputElement) {
    input.type = "datetime-local";
    input.min = wallTime(new Date());
    input.max = wallTime(new Date(Date.now() + 365 * 86_400_000));
  } else {
    input.rows = 3;
    input.maxLength = field === "result" ? LONGEST.result : LONGEST.reason;
  }
  input.required = true;
  input.value = draft[field];
  input.addEventListener("input", () => {
    draft[field] = input.value;
  });
  label.append(make("span", "", t(`console.move.${field}`, { move: name })), input);
  return label;
}

/**
 * Which case this one is merged into: those nearby to choose from, or any number.
 * @param {Draft} draft
 * @param {Nearby|null} nearby
 */
function parentField(draft, nearby) {
  const box = make("fieldset", "move-into");
  box.append(make("legend", "", t("console.move.into")));
  const number = make("input", "move-into-number");
  const now = new Date();
  for (const near of nearby?.duplicates.slice(0, 5) ?? []) {
    const label = make("label", "choice");
    const radio = make("input");
    radio.type = "radio";
    radio.name = "into";
    radio.checked = draft.into === near.case;
    radio.addEventListener("change", () => {
      draft.into = number.value = near.case;
    });
    const facts = [near.category.name, distance(near.distance_m), moment(new Date(near.reported_at), now), t(`state.${near.status}`)];
    label.append(radio, make("span", "panel-code", `#${near.case}`), make("bdi", "", facts.join(" · ")));
    box.append(label);
  }
  const label = make("label");
  number.required = true;
  number.maxLength = 40;
  number.autocomplete = "off";
  number.value = draft.into;
  number.addEventListener("input", () => {
    draft.into = number.value;
    for (const radio of box.querySelectorAll("input[type=radio]")) /** @type {HTMLInputElement} */ (radio).checked = false;
  });
  label.append(make("span", "", t("console.move.into_number")), number);
  box.append(label);
  return box;
}
