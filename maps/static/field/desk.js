// What the page knows: the day, the acts on their way, whether there is a network and who is signed in.

import { context, t } from "../console/texts.js";
import { keepWorkingTime } from "../console/working_time.js";
import { hear, now, suspect } from "./clock.js";
import { addEntry, dropEntry, forgetDay, holdFast, isFleeting, keep, kept, listEntries, saveEntry } from "./store.js";
import { deliver, headersOf, patience, restOf } from "./sync.js";

/** @typedef {import("./types.js").Cell} Cell */
/** @typedef {import("./types.js").Day} Day */
/** @typedef {import("./types.js").Deed} Deed */
/** @typedef {import("./types.js").Entry} Entry */
/** @typedef {import("./types.js").FieldCase} FieldCase */
/** @typedef {"starting"|"live"|"offline"|"crowded"|"trouble"|"portal"|"signed_out"|"other_person"|"forbidden"} Net */

const { root, locale } = context;
/** @type {string[]} origins whose pages may show this one in a frame */
export const parents = /** @type {any} */ (context.config).parents ?? [];
const TOKEN = "gridward.field.token";
const AGAIN_MS = [2000, 5000, 10_000, 20_000, 40_000];
const FRESH_MS = 60_000;
const PATIENCE_MS = 20_000;

/** @type {{day: Day|null, cells: Cell[]|null, entries: Entry[], net: Net, detail: string, isSending: boolean}} */
export const desk = { day: null, cells: null, entries: [], net: "starting", detail: "", isSending: false };

/** @type {Set<() => void>} */
const listeners = new Set();
let token = takeToken();
let failures = 0;
let isLeaving = false;
/** Until then the service wants to be left alone. Units: ms since 1970 */
let restUntil = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let timer;

/** @param {() => void} listener */
export function watch(listener) {
  listeners.add(listener);
}

function changed() {
  for (const listener of listeners) listener();
}

/** @returns {string|null} the token that an app has put behind the #, taken out of the address at once */
function takeToken() {
  const found = /^#token=(gwf_[\w-]{20,90})$/.exec(location.hash);
  try {
    if (found?.[1]) {
      sessionStorage.setItem(TOKEN, found[1]);
      history.replaceState(null, "", location.pathname + location.search);
      return found[1];
    }
    return sessionStorage.getItem(TOKEN);
  } catch {
    // Storage may be forbidden inside a frame: the token lives as long as the page then.
    if (found) history.replaceState(null, "", location.pathname + location.search);
    return found?.[1] ?? null;
  }
}

/** @param {string} text a fresh token from the app around us */
export function useToken(text) {
  token = text;
  try {
    sessionStorage.setItem(TOKEN, text);
  } catch {
    // Kept in memory then.
  }
  void refresh();
}

/** Ask the app around us for a token; only the parents that the office has named get to hear it. */
export function askForToken() {
  if (parent === window) return;
  for (const origin of parents) parent.postMessage({ type: "gridward.token-needed" }, origin);
}

/**
 * @param {string} path
 * @returns {Promise<Response>}
 */
export async function ask(path) {
  const answer = await fetch(root + path, { headers: headersOf({ locale, token }), credentials: "same-origin", signal: patience(PATIENCE_MS) });
  hear(answer);
  return answer;
}

/** Show at once what the phone has, then what the service says. */
export async function begin() {
  try {
    desk.day = (await kept("day")) ?? null;
    desk.cells = (await kept("cells")) ?? null;
    const hours = /** @type {Parameters<typeof keepWorkingTime>[0]|undefined} */ (await kept("working_time"));
    if (hours) keepWorkingTime(hours);
    if (desk.day) suspect(desk.day.as_of);
  } catch {
    // A browser that keeps nothing: the page says so, and works while it is open.
  }
  desk.entries = await listEntries();
  changed();
  await refresh();
}

/** Ask for the day, then deliver what waits. */
export async function refresh() {
  clearTimeout(timer);
  try {
    const answer = await ask("/v1/field/day");
    if (answer.status === 401) settle("signed_out");
    else if (answer.status === 403) settle("forbidden", String((await answer.json()).detail ?? ""));
    else if (answer.status === 429 || answer.status === 503) {
      restUntil = Date.now() + restOf(answer);
      settle("crowded");
    }
    else if (!answer.ok) settle("trouble");
    else {
      const day = /** @type {Day|null} */ (await answer.json().catch(() => null));
      if (!Array.isArray(day?.cases)) {
        settle("portal");
        return;
      }
      // Somebody may have signed out while this was on its way: what is shown no more is not kept either.
      if (isLeaving) return;
      // Reading the day proves nothing about what could not be delivered: its pause goes on growing.
      if (!desk.entries.some((entry) => entry.state === "waiting" && entry.person === day.person.id && entry.problem)) failures = 0;
      desk.day = day;
      await remember(day);
      settle("live");
    }
  } catch {
    settle("offline");
  }
  await send();
}

/** Somebody asks for it: the service's wish to be left alone is theirs to pass over. */
export function sendNow() {
  restUntil = 0;
  return refresh();
}

/** @param {Day} day */
async function remember(day) {
  try {
    await keep("day", day);
    await keep("setting", { root, locale, person: day.person.id });
  } catch {
    // The page says that nothing is kept (store.trouble).
  }
}

/** Somebody gives the phone away: what was read goes, what was done and not delivered stays. */
export async function forget() {
  isLeaving = true;
  clearTimeout(timer);
  desk.day = null;
  desk.cells = null;
  await forgetDay().catch(() => undefined);
}

/** Signing out did not come through: the page goes on looking for the service. */
export function stay() {
  isLeaving = false;
  settle("offline");
}

/** @returns {boolean} whether something would be lost if the page were closed now */
export function isHanging() {
  return desk.entries.some((entry) => entry.state !== "done" && isFleeting(entry));
}

/**
 * @param {Net} net
 * @param {string} [detail]
 */
function settle(net, detail = "") {
  if (net === "signed_out" && desk.net !== net) askForToken();
  if (net !== "live") failures += 1;
  desk.net = net;
  desk.detail = detail;
  clearTimeout(timer);
  // What waits only for the service's rest to be over goes then, not at the next look at the day.
  const isResting = restUntil > Date.now() && desk.entries.some((entry) => entry.state === "waiting");
  const wait = net !== "live" ? (AGAIN_MS[Math.min(failures, AGAIN_MS.length) - 1] ?? FRESH_MS) : isResting ? 0 : FRESH_MS;
  timer = setTimeout(() => void refresh(), Math.max(wait, restUntil - Date.now()));
  changed();
}

/** Deliver what waits; safe to call at any time. */
export async function send() {
  const day = desk.day;
  if (!day || desk.net === "signed_out" || desk.net === "forbidden" || desk.isSending || Date.now() < restUntil) return;
  if (!desk.entries.some((entry) => entry.state === "waiting" && entry.person === day.person.id)) return;
  desk.isSending = true;
  changed();
  /** @type {import("./sync.js").Outcome} */
  let outcome;
  try {
    const rest = (/** @type {number} */ wait) => (restUntil = Date.now() + wait);
    outcome = await deliver({ root, locale, token, person: day.person.id, changed: arrived, rest });
    desk.entries = await listEntries();
  } catch {
    outcome = "trouble";
  }
  desk.isSending = false;
  if (outcome === "idle" || outcome === "busy") changed();
  else settle(outcome);
  // Something may have been done while the last one was on its way.
  if (outcome === "idle" && desk.entries.some((entry) => entry.state === "waiting" && entry.person === day.person.id && !isBlocked(entry))) void send();
}

/** @param {Entry} entry */
function isBlocked(entry) {
  const about = entry.deed.case;
  return Boolean(about) && desk.entries.some((one) => one.deed.case === about && (one.state === "conflict" || one.state === "refused") && (one.n ?? 0) < (entry.n ?? 0));
}

/** @param {Entry} entry an act that has been answered */
function arrived(entry) {
  desk.entries = desk.entries.map((one) => (one.n === entry.n ? entry : one));
  const one = desk.day?.cases.find((each) => each.case === entry.deed.case);
  if (one && entry.result) {
    one.version = entry.result.version;
    one.status = entry.result.status;
    one.moves = entry.result.moves;
    if (desk.day) void remember(desk.day);
  }
  changed();
}

/** @returns {string} a key that nobody else makes; not every phone's page may use randomUUID */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Something was done: keep it, then send it. Resolves when it is safe on the phone.
 * @param {Deed} deed
 * @param {{title: string, photos?: Blob[], one?: FieldCase|null, seen?: number|null, draft?: Entry|null}} about `draft`: the
 *   refused act that this one mends, whose place it takes
 * @returns {Promise<Entry>}
 */
export async function enqueue(deed, { title, photos = [], one = null, seen = null, draft = null }) {
  const day = desk.day;
  if (!day) throw new Error(t("field.net.signed_out"));
  const isBefore = (/** @type {Entry} */ entry) => !draft || (entry.n ?? 0) < (draft.n ?? 0);
  const before = desk.entries.filter((entry) => entry.state === "waiting" && entry.deed.case && entry.deed.case === deed.case && entry.deed.leg === deed.leg && isBefore(entry)).at(-1);
  /** @type {Entry} */
  const entry = {
    id: newKey(), person: day.person.id, by: day.person.name, done_at: now().toISOString(), deed, photos, title,
    after: before?.id ?? null, seen: seen ?? (deed.kind === "move" ? (one?.version ?? null) : null),
    was: one ? { version: one.version, status: one.status, due_at: one.due_at, head: one.head, text: one.text, as_of: day.as_of } : null,
    state: "waiting", sent: null, tries: 0, problem: null, now: null, result: null, ended_at: null,
  };
  if (draft) {
    // What was done after it stays after it.
    entry.n = draft.n;
    await saveEntry(entry);
    await free(draft, null, entry.id);
  } else {
    await addEntry(entry);
    desk.entries = await listEntries();
    changed();
  }
  void wakeLater();
  void holdFast();
  if (desk.net !== "offline") void send();
  return entry;
}

/** Let the browser deliver even if this page is closed before there is a network. */
async function wakeLater() {
  try {
    const registration = await navigator.serviceWorker?.ready;
    // Chromium only; elsewhere the page delivers when it is opened again.
    await /** @type {any} */ (registration)?.sync?.register("gridward-outbox");
  } catch {
    // Not allowed here: the same.
  }
}

/**
 * Take an act back that has not left the phone, or let go of one that was refused.
 * @param {Entry} entry
 */
export async function discard(entry) {
  await dropEntry(entry);
  await free(entry, entry.now?.version ?? null, null);
}

/**
 * Do it all the same, on the case as it stands now: a new act with a new key.
 * @param {Entry} entry
 */
export async function redo(entry) {
  const fresh = await again(entry);
  await free(entry, null, fresh.id);
}

/** @param {Entry} entry */
async function again(entry) {
  const now = entry.now;
  /** @type {Entry} */
  const fresh = {
    ...entry, id: newKey(), state: "waiting", sent: null, problem: null, now: null, after: null, tries: 0,
    seen: now?.version ?? entry.seen,
    was: now ? { version: now.version, status: now.status, due_at: now.due_at, head: now.head?.name ?? null, text: now.text, as_of: new Date().toISOString() } : entry.was,
  };
  // In the place of the old one, so that acts after it stay after it.
  await saveEntry(fresh);
  return fresh;
}

/**
 * What waited behind an act goes on: behind its successor, or on the version that was looked at.
 * @param {Entry} gone
 * @param {number|null} seen
 * @param {string|null} successor
 */
async function free(gone, seen, successor) {
  for (const entry of await listEntries()) {
    if (entry.after !== gone.id) continue;
    entry.after = successor;
    if (seen !== null) entry.seen = seen;
    await saveEntry(entry);
  }
  desk.entries = await listEntries();
  changed();
  void send();
}

/** When the office works, so that what is left is said in the time that counts; read once, kept for days without. */
export async function loadWorkingTime() {
  try {
    const answer = await ask("/v1/working-time");
    if (!answer.ok) return;
    const hours = await answer.json();
    keepWorkingTime(hours);
    await keep("working_time", hours);
    changed();
  } catch {
    // Until then limits are counted in ordinary hours.
  }
}

/** @returns {Promise<Cell[]|null>} outlines, from the service or from the phone */
export async function loadCells() {
  try {
    const answer = await ask("/v1/field/cells");
    if (answer.ok) {
      desk.cells = (await answer.json()).cells;
      await keep("cells", desk.cells);
    }
  } catch {
    // The phone's own copy has to do.
  }
  return desk.cells;
}
