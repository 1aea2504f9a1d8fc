// The moves of a case as the panel offers them: which come first, what each asks for, what is sent.

import { make } from "./dom.js";
import { instantOf, t, wallTime } from "./texts.js";

/** @typedef {import("./types.js").Nearby} Nearby */
/** @typedef {"reason"|"result"|"until"|"into"} Field */
/** @typedef {"department"|"condition"|"cell"} Choice what the desk may say, and otherwise follows from the rules */
/** @typedef {{move: string, isChoosing: boolean} & Record<Field|Choice, string>} Draft */
/** @typedef {{move: string, reason?: string, result?: string, until?: string, into?: string, cell?: string, department?: string, condition?: number}} MoveBody */
/** @typedef {{departments: {code: string, name: string}[], conditions: {number: number, name: string, limit: {text: string}}[]}} Options */

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
/** Moves before which the desk may choose who gets the case and on which terms. */
export const CHOOSING = ["dispatch", "re_dispatch"];
const CHOICES = /** @type {const} */ (["department", "condition", "cell"]);
/** Made at one key, and taken back at one for some seconds. */
export const UNDOABLE = new Set(["accept", "file", "dispatch", "re_dispatch", "urge", "merge", "check_pass", "close"]);
/** The keys that begin a move; the first of the moves that is allowed counts. */
export const MOVE_KEYS = /** @type {const} */ ({
  d: ["dispatch", "re_dispatch"],
  m: ["merge"],
  r: ["return"],
  u: ["supervise"],
  e: ["request_extension", "approve_extension"],
  a: ["accept", "acknowledge"],
  b: ["report_back", "check_pass"],
  c: ["close"],
  p: ["urge"],
  s: ["request_suspend", "approve_suspend", "endorse_suspend", "resume"],
});
/** @type {Map<string, string>} */
const LETTERS = new Map(Object.entries(MOVE_KEYS).flatMap(([key, moves]) => moves.map((move) => [move, key.toUpperCase()])));
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
 * @param {boolean} [isChoosing]
 * @returns {Draft}
 */
export function beginDraft(move, before, nearby, isChoosing = false) {
  if (before?.move === move && before.isChoosing === isChoosing) return before;
  const until = asksFor(move).includes("until") ? `${wallTime(new Date(Date.now() + SUSPEND_DAYS * 86_400_000)).slice(0, 10)}T18:00` : "";
  const into = asksFor(move).includes("into") ? (nearby?.duplicates[0]?.case ?? "") : "";
  return { move, isChoosing, reason: "", result: "", until, into, department: "", condition: "", cell: "" };
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
  if (draft.isChoosing) {
    for (const choice of CHOICES) {
      const value = draft[choice].trim();
      if (value && choice === "condition") body.condition = Number(value);
      else if (value && choice !== "condition") body[choice] = value;
    }
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
 * @param {string|null} [twin] the case that a merge goes into
 */
export function moveButtons(allowed, busy, choose, twin = null) {
  const row = make("div", "move-row");
  for (const [at, move] of inOrder(allowed).entries()) {
    const button = make("button", at === 0 && FORWARD.includes(move) ? "button button-primary" : "button");
    button.type = "button";
    button.dataset.move = move;
    button.disabled = busy !== "";
    const name = move === "merge" && twin ? `${t("move.merge")} → #${twin}` : t(`move.${move}`);
    button.append(make("span", "", busy === move ? t("console.move.working", { move: name }) : name));
    const letter = LETTERS.get(move);
    if (letter) button.append(make("kbd", "", letter));
    button.addEventListener("click", () => choose(move));
    row.append(button);
  }
  return row;
}
