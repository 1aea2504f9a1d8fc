// Delivering acts, in the page and in the service worker alike: in their order, each until it is answered, never twice.
// A key is made when the act is done; the service makes an act of a key true once, however often it is delivered.

import { dropEntry, kept, listEntries, saveEntry } from "./store.js";

/** @typedef {import("./types.js").Entry} Entry */
/** @typedef {import("./types.js").Now} Now */
/**
 * What stopped the delivery. "crowded": the service asks for patience; "trouble": it fails; "portal": the answer is not
 * the service's, as behind the sign-in page of a wireless network; "busy": somebody else here is delivering.
 * @typedef {"idle"|"offline"|"signed_out"|"other_person"|"busy"|"crowded"|"trouble"|"portal"} Outcome
 * @typedef {{root: string, locale: string, token: string|null, person: string, changed: (entry: Entry) => void, rest?: (milliseconds: number) => void}} Setting
 */

const LOCK = "gridward-field-outbox";
const KEEP_DONE_MS = 36 * 3_600_000;
const PATIENCE_MS = 60_000;
/** A phone in a cellar still sends so many bytes in a millisecond; photos get the time they need. */
const SLOWEST = 4;
/** Refusals that say: the case is not what it was when this was done. */
const MOVED_ON = new Set([409, 412, 404]);
const CROWDED = new Set([425, 429, 503]);
const TROUBLE = new Set([408, 502, 504]);
const LONGEST_REST_MS = 300_000;
const MOST_STUCK = 3;
/** A gateway's refusal has no words for us: the page says it. */
export const TOO_LARGE = "http.413";

let isRunning = false;

/**
 * Deliver what waits.
 * @param {Setting} setting
 * @returns {Promise<Outcome>}
 */
export async function deliver(setting) {
  if (navigator.locks) {
    // The page, another tab and the worker may all want to; one at a time keeps the order.
    try {
      return await navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? run(setting) : "busy"));
    } catch (fault) {
      // A browser that gives frames of other sites nothing to keep gives them no locks either: nobody else is here then.
      if (!(fault instanceof DOMException && fault.name === "SecurityError")) throw fault;
    }
  }
  if (isRunning) return "busy";
  isRunning = true;
  try {
    return await run(setting);
  } finally {
    isRunning = false;
  }
}

/**
 * @param {Setting} setting
 * @returns {Promise<Outcome>}
 */
async function run(setting) {
  /** Acts that the service failed at in this run: they do not keep the others from going. */
  const stuck = /** @type {Set<string>} */ (new Set());
  for (;;) {
    const entries = await listEntries();
    const next = await nextOf(entries, setting.person, stuck);
    if (!next) return stuck.size ? "trouble" : "idle";
    const outcome = await send(next, setting, stuck);
    if (outcome) return outcome;
  }
}

/**
 * The first act that may go now; an act after one that hangs on the same case has to wait for it.
 * @param {Entry[]} entries
 * @param {string} person
 * @param {Set<string>} stuck
 * @returns {Promise<Entry|null>}
 */
async function nextOf(entries, person, stuck) {
  const results = new Map(entries.map((entry) => [entry.id, entry]));
  const hanging = new Set();
  for (const entry of entries) {
    if (entry.state === "done") {
      if (Date.now() - Date.parse(entry.ended_at ?? entry.done_at) > KEEP_DONE_MS) await dropEntry(entry);
      continue;
    }
    const about = entry.deed.case;
    if (entry.state !== "waiting" || entry.person !== person || stuck.has(entry.id) || (about && hanging.has(about))) {
      // Acts of another person on this phone are no predecessors of this one's.
      if (about && entry.person === person) hanging.add(about);
      continue;
    }
    const before = entry.after ? results.get(entry.after) : undefined;
    // Our own act has moved the case on: its answer is what this one has seen, unless it was fixed at the first try.
    if (before?.result && entry.sent === null && entry.seen !== null) entry.seen = before.result.leg_version ?? before.result.version;
    return entry;
  }
  return null;
}

/**
 * @param {Entry} entry
 * @param {Setting} setting
 * @param {Set<string>} stuck
 * @returns {Promise<Outcome|null>} null: go on
 */
async function send(entry, setting, stuck) {
  if (entry.sent === null) {
    // Fixed before the first try: another delivery must be the same bytes, or it would be another act.
    const said = { ...entry.deed, person: entry.person, done_at: entry.done_at };
    entry.sent = JSON.stringify(entry.seen === null ? said : { ...said, seen: entry.seen });
    await saveEntry(entry);
  }
  let response;
  try {
    response = await fetch(`${setting.root}/v1/field/actions`, init(entry, setting));
  } catch {
    return "offline";
  }
  if (response.status === 401) return "signed_out";
  if (CROWDED.has(response.status)) {
    setting.rest?.(restOf(response));
    return "crowded";
  }
  if (TROUBLE.has(response.status)) return stumble(entry, response.status, "", setting, stuck);
  /** @type {any} */
  let body = {};
  try {
    body = await response.json();
  } catch {
    // Not ours: a portal of some wireless network, or an answer cut short. The act stays as it is. Only a gateway that takes no
    // bodies of this size will never take it: whoever did the act can leave photos out.
    if (response.status !== 413) return response.status >= 500 ? stumble(entry, response.status, "", setting, stuck) : "portal";
    body = { code: TOO_LARGE };
  }
  if (response.ok) {
    if (body.key !== entry.id) return "portal";
    Object.assign(entry, { state: "done", result: body, photos: [], problem: null, ended_at: new Date().toISOString() });
  } else {
    if (body.code === "field.other_person") return "other_person";
    if (typeof body.code !== "string") return response.status >= 500 ? "trouble" : "portal";
    const faults = (body.errors ?? []).map((/** @type {{detail: string}} */ fault) => fault.detail);
    entry.problem = { status: response.status, code: body.code, detail: faults.length ? faults.join(" ") : String(body.detail ?? "") };
    if (response.status >= 500) return stumble(entry, response.status, entry.problem.detail, setting, stuck);
    entry.state = MOVED_ON.has(response.status) && entry.deed.case ? "conflict" : "refused";
    entry.now = entry.state === "conflict" ? await look(entry, setting) : null;
  }
  entry.tries += 1;
  await saveEntry(entry);
  setting.changed(entry);
  return null;
}

/**
 * It may be this one act that the service, or a gateway before it, stumbles over: the others go on, this one is tried again
 * later. Where several stumble it is the service, and it is left alone.
 * @param {Entry} entry
 * @param {number} status
 * @param {string} detail
 * @param {Setting} setting
 * @param {Set<string>} stuck
 * @returns {Promise<Outcome|null>}
 */
async function stumble(entry, status, detail, setting, stuck) {
  entry.tries += 1;
  entry.problem = { status, code: `http.${status}`, detail: detail || `HTTP ${status}` };
  stuck.add(entry.id);
  await saveEntry(entry);
  setting.changed(entry);
  return stuck.size >= MOST_STUCK ? "trouble" : null;
}

/**
 * @param {Response} response
 * @returns {number} how long the service wants to be left alone. Units: ms
 */
export function restOf(response) {
  const said = response.headers.get("Retry-After") ?? "";
  const wait = /^\d+$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now();
  return Math.max(1000, Math.min(LONGEST_REST_MS, Number.isNaN(wait) ? 5000 : wait));
}

/**
 * @param {Entry} entry
 * @param {Setting} setting
 * @returns {RequestInit}
 */
function init(entry, setting) {
  const headers = headersOf(setting);
  headers.set("Idempotency-Key", entry.id);
  /** @type {BodyInit} */
  let body = entry.sent ?? "";
  if (entry.photos.length) {
    const form = new FormData();
    form.set("action", body);
    entry.photos.forEach((photo, place) => form.append("photo", photo, `${place + 1}.jpg`));
    body = form;
  } else {
    headers.set("Content-Type", "application/json");
  }
  const heavy = entry.photos.reduce((sum, photo) => sum + photo.size, 0);
  return { method: "POST", headers, body, credentials: "same-origin", signal: patience(PATIENCE_MS + heavy / SLOWEST) };
}

/**
 * @param {number} milliseconds
 * @returns {AbortSignal|null} gives up after that long; older browsers wait as long as their network does
 */
export function patience(milliseconds) {
  return typeof AbortSignal.timeout === "function" ? AbortSignal.timeout(Math.round(milliseconds)) : null;
}

/**
 * @param {{locale: string, token: string|null}} setting
 * @returns {Headers}
 */
export function headersOf(setting) {
  const headers = new Headers({ Accept: "application/json", "Accept-Language": setting.locale });
  if (setting.token) headers.set("Authorization", `Bearer ${setting.token}`);
  return headers;
}

/**
 * How the case stands now, for the comparison; null when it is out of sight.
 * @param {Entry} entry
 * @param {Setting} setting
 * @returns {Promise<Now|null>}
 */
async function look(entry, setting) {
  try {
    const ref = encodeURIComponent(entry.deed.case ?? "");
    const answer = await fetch(`${setting.root}/v1/cases/${ref}`, { headers: headersOf(setting), credentials: "same-origin" });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/**
 * Deliver without a page: the browser has found a network again.
 * @returns {Promise<void>}
 */
export async function deliverInBackground() {
  const setting = /** @type {{root: string, locale: string, person: string}|undefined} */ (await kept("setting"));
  if (!setting?.person) return;
  const outcome = await deliver({ ...setting, token: null, changed: () => undefined });
  // A rejected promise asks the browser to try again later.
  if (["offline", "crowded", "trouble", "portal"].includes(outcome)) throw new Error("still no answer");
}
