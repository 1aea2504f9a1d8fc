// What is on its way: what waits, what was delivered, and what met a case that had changed — as a comparison.

import { make } from "../console/dom.js";
import { distance, t } from "../console/texts.js";
import { desk, discard, redo, sendNow } from "./desk.js";
import { button, when } from "./parts.js";
import { mendRecord } from "./record.js";
import { openSheet } from "./sheets.js";
import { isFleeting } from "./store.js";
import { TOO_LARGE } from "./sync.js";

/** @typedef {import("./types.js").Entry} Entry */

/** @returns {HTMLElement} */
export function outboxScreen() {
  const screen = make("section", "outbox");
  screen.append(make("h2", "", t("field.outbox.title")));
  const entries = [...desk.entries].reverse().sort((a, b) => order(a) - order(b));
  const open = entries.filter((entry) => entry.state !== "done");
  if (!open.length) screen.append(make("p", "empty", t("field.outbox.none")));
  if (open.some((entry) => entry.state === "waiting")) screen.append(button("secondary wide", t("field.outbox.send"), () => void sendNow()));
  const list = make("ol", "entries");
  for (const entry of entries) list.append(entryOf(entry));
  screen.append(list);
  return screen;
}

/** @param {Entry} entry */
function order(entry) {
  return { conflict: 0, refused: 1, waiting: 2, done: 3 }[entry.state];
}

/** @param {Entry} entry */
function entryOf(entry) {
  const item = make("li", `entry is-${entry.state}`);
  item.append(make("b", "", entry.title), make("span", "quiet", `${when(entry.done_at)}${entry.deed.case ? ` · ${entry.deed.case}` : ""}`));
  const said = entry.deed.result ?? entry.deed.reason ?? entry.deed.text;
  if (said) item.append(make("p", "typed entry-said", said));
  if (entry.photos.length) item.append(make("p", "quiet", t("field.sheet.photo.count", { count: entry.photos.length })));
  const word = entry.state === "done" ? t("field.outbox.done", { when: when(entry.ended_at) }) : t(`field.outbox.${entry.state}`);
  item.append(make("p", "entry-state", word));
  if (entry.problem) item.append(make("p", "problem", problemOf(entry, entry.problem)));
  if (entry.state !== "done" && isFleeting(entry)) item.append(make("p", "note", t("field.outbox.fleeting")));
  const found = entry.result?.evidence;
  if (found) item.append(make("p", "quiet", t("field.outbox.evidence", { relation: found.relation_name, distance: found.distance_m === null ? "–" : distance(found.distance_m) })));
  if (entry.state === "conflict") item.append(comparison(entry));
  if (entry.person !== desk.day?.person.id) {
    item.append(make("p", "hint", t("field.outbox.of", { name: entry.by })));
    return item;
  }
  if (entry.state === "conflict" || entry.state === "refused") item.append(choices(entry));
  else if (entry.state === "waiting" && entry.sent === null) item.append(button("quiet-button", t("field.undo"), () => void discard(entry)));
  return item;
}

/**
 * @param {Entry} entry
 * @param {import("./types.js").Problem} problem
 */
function problemOf(entry, problem) {
  if (problem.code === TOO_LARGE && !problem.detail) return t("field.outbox.too_large");
  return entry.state === "waiting" ? t("field.outbox.failing", { count: entry.tries, problem: problem.detail }) : problem.detail;
}

/** @param {Entry} entry */
function choices(entry) {
  const row = make("div", "choices");
  row.append(button("secondary", t("field.outbox.discard"), () => void discard(entry)));
  if (entry.state === "conflict" && entry.now?.moves.includes(entry.deed.move ?? "")) {
    row.append(button("primary", t("field.outbox.redo"), () => void redo(entry)));
  }
  const mend = entry.state === "refused" ? mendOf(entry) : null;
  if (mend) row.append(button("primary", t("field.outbox.mend"), mend));
  return row;
}

/**
 * What was refused opens again with its words and photos, so that nothing has to be done twice.
 * @param {Entry} entry
 * @returns {(() => void)|null}
 */
function mendOf(entry) {
  if (entry.deed.kind === "self_handled") return () => mendRecord(entry);
  const one = desk.day?.cases.find((each) => each.case === entry.deed.case);
  const leg = one?.legs.find((each) => each.leg === entry.deed.leg) ?? null;
  const move = entry.deed.move ?? "";
  if (!one || !(leg ?? one).moves.includes(move) || move === "acknowledge") return null;
  return () => openSheet(one, move, leg, entry);
}

/**
 * What this person saw beside what is now; only what differs.
 * @param {Entry} entry
 */
function comparison(entry) {
  const { was, now } = entry;
  if (!now) return make("p", "hint", t("field.outbox.gone"));
  const table = make("table", "difference");
  const head = make("tr");
  for (const word of ["", t("field.outbox.then"), t("field.outbox.now")]) {
    const cell = make("th", "", word);
    cell.scope = "col";
    head.append(cell);
  }
  table.append(head);
  const pairs = /** @type {[string, string, string][]} */ ([
    ["status", t(`state.${was?.status ?? ""}`), t(`state.${now.status}`)],
    ["due", when(was?.due_at ?? null), when(now.due_at)],
    ["head", was?.head ?? "–", now.head?.name ?? "–"],
    ["text", was?.text ?? "–", now.text],
  ]);
  for (const [name, before, after] of pairs) {
    if (before === after) continue;
    const row = make("tr");
    const label = make("th", "", t(`field.outbox.${name}`));
    label.scope = "row";
    row.append(label, make("td", "typed", before), make("td", "typed is-new", after));
    table.append(row);
  }
  const holder = make("div", "comparison");
  if (table.rows.length > 1) holder.append(table);
  const since = now.events.filter((event) => was && event.at > was.as_of);
  if (since.length) {
    const list = make("ol", "events");
    for (const event of since) {
      const line = make("li");
      line.append(make("b", "", event.moves.map((move) => t(`move.${move}`)).join(" · ") || event.type), make("span", "quiet", `${when(event.at)} · ${event.actor}`));
      if (event.text) line.append(make("span", "typed", event.text));
      list.append(line);
    }
    holder.append(make("p", "quiet", t("field.outbox.since")), list);
  }
  return holder;
}
