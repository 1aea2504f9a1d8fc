// Requests to the service, and its faults as sentences.

import { context, t } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").CaseDetail} CaseDetail */
/** @typedef {import("./types.js").Location} Location */
/** @typedef {import("./types.js").Nearby} Nearby */
/** @typedef {import("./types.js").RepeatSite} RepeatSite */

/** @typedef {{code: string, pointer: string, detail: string}} Fault */

const FIRST_PAGE = 100;

/** A request that was answered with a fault, or not answered at all (status 0). */
export class ServiceError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {Fault[]} [faults] what is wrong with single fields
   */
  constructor(status, code, message, faults = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.faults = faults;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function request(path, init = {}) {
  const headers = new Headers(init.headers);
  headers.set("Accept-Language", context.locale);
  if (!headers.has("Accept")) headers.set("Accept", "application/json");
  let response;
  try {
    response = await fetch(context.root + path, { credentials: "same-origin", ...init, headers });
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === "AbortError") throw fault;
    throw new ServiceError(0, "network", t("console.error.network"));
  }
  if (response.ok) return response;
  /** @type {{code?: string, detail?: string, title?: string, errors?: Fault[]}} */
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy's error page is no problem document; the status is all there is to say.
  }
  const said = problem.detail || problem.title || t("console.error.status", { status: response.status });
  throw new ServiceError(response.status, problem.code ?? "", said, problem.errors ?? []);
}

/**
 * @param {string|null} cursor
 * @param {AbortSignal} [signal]
 * @returns {Promise<{cases: Case[], next: string|null, as_of: string}>}
 */
export async function listOpenCases(cursor, signal) {
  // The first answer is short: it fills the screen, and the others follow while somebody reads it.
  const query = new URLSearchParams({ inbox: "all", limit: String(cursor ? context.config.page_size : Math.min(FIRST_PAGE, context.config.page_size)) });
  if (cursor) query.set("cursor", cursor);
  return (await request(`/v1/cases?${query}`, { signal: signal ?? null })).json();
}

/**
 * @param {string} ref
 * @param {AbortSignal} signal
 * @returns {Promise<CaseDetail>}
 */
export async function getCase(ref, signal) {
  return (await request(`/v1/cases/${encodeURIComponent(ref)}`, { signal })).json();
}

/**
 * @param {string} ref
 * @param {AbortSignal} signal
 * @returns {Promise<Nearby>}
 */
export async function getNearby(ref, signal) {
  return (await request(`/v1/cases/${encodeURIComponent(ref)}/nearby`, { signal })).json();
}

/**
 * @param {string} ref
 * @param {AbortSignal} signal
 * @returns {Promise<import("./types.js").Photo[]>} the oldest first
 */
export async function listPhotos(ref, signal) {
  return (await (await request(`/v1/cases/${encodeURIComponent(ref)}/photos`, { signal })).json()).photos;
}

/**
 * @param {string} ref
 * @param {AbortSignal} signal
 * @returns {Promise<import("./types.js").Reporter>} masked
 */
export async function getReporter(ref, signal) {
  return (await request(`/v1/cases/${encodeURIComponent(ref)}/reporter`, { signal })).json();
}

/**
 * @param {string} ref
 * @param {string} reason stands in the audit trail
 * @returns {Promise<{name: string, phone: string, email: string, record: number, left: number}>}
 */
export async function revealReporter(ref, reason) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ reason }) };
  return (await request(`/v1/cases/${encodeURIComponent(ref)}/reporter:reveal`, init)).json();
}

/**
 * @param {string} ref
 * @returns {Promise<import("./types.js").DeadlineLedger>}
 */
export async function getDeadline(ref) {
  return (await request(`/v1/cases/${encodeURIComponent(ref)}/deadline`)).json();
}

/**
 * What may be chosen before a case of a class is dispatched.
 * @param {string} category
 * @returns {Promise<import("./moves.js").Options>}
 */
export async function getOptions(category) {
  const [departments, categories] = await Promise.all(["/v1/departments", "/v1/categories"].map(async (path) => (await request(path)).json()));
  const { conditions } = categories.categories.find((/** @type {{code: string}} */ one) => one.code === category) ?? { conditions: [] };
  return { departments: departments.departments.filter((/** @type {{is_active: boolean}} */ one) => one.is_active), conditions };
}

/** @returns {Promise<{day_s: number, stretches: [string, string][]}>} */
export async function getWorkingTime() {
  return (await request("/v1/working-time")).json();
}

/**
 * @param {string|null} since only cases reported from this instant on
 * @param {string|null} before `next` of the answer before
 * @returns {Promise<{cases: RepeatSite[], next: string|null, as_of: string}>}
 */
export async function listRepeats(since, before) {
  const query = new URLSearchParams({ ...(since ? { from: since } : {}), ...(before ? { before } : {}) });
  return (await request(query.size ? `/v1/repeats?${query}` : "/v1/repeats", { priority: "low" })).json();
}

/**
 * Make a move on the version that the person has seen.
 * @param {string} ref
 * @param {number} version
 * @param {import("./moves.js").MoveBody} body
 * @returns {Promise<Case>}
 */
export async function makeMove(ref, version, body) {
  const response = await request(`/v1/cases/${encodeURIComponent(ref)}/moves`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "If-Match": `"${version}"` },
    body: JSON.stringify(body),
  });
  return response.json();
}

/**
 * The same for a move that can be taken back for some seconds: whoever it concerns is told only then.
 * @param {string} ref
 * @param {number} version
 * @param {import("./moves.js").MoveBody} body
 * @returns {Promise<{undo: string|null, undo_until: string|null}>}
 */
export async function makeUndoable(ref, version, body) {
  const { results, undo, undo_until } = await moveMany({ ...body, cases: [{ case: ref, version }] });
  const refused = results.find((one) => one.status !== 200);
  if (refused) throw new ServiceError(refused.status, refused.code ?? "", refused.detail ?? "");
  return { undo, undo_until };
}

/**
 * Make one move on many cases, or ask what would come of it; each has its own outcome.
 * @param {import("./moves.js").MoveBody & {cases: {case: string, version: number}[], dry_run?: boolean}} body
 * @returns {Promise<{results: import("./types.js").Outcome[], undo: string|null, undo_until: string|null}>}
 */
export async function moveMany(body) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return (await request("/v1/cases/moves:bulk", init)).json();
}

/**
 * @param {string} token
 * @returns {Promise<{results: import("./types.js").Outcome[]}>}
 */
export async function undoMoves(token) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ undo: token }) };
  return (await request("/v1/cases/moves:undo", init)).json();
}

/**
 * @param {string} ref
 * @param {{desk: string, drafting?: boolean, leaving?: boolean}} body
 * @returns {Promise<{others: import("./viewing.js").Other[]}>}
 */
export async function sayViewing(ref, body) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: body.leaving === true };
  return (await request(`/v1/cases/${encodeURIComponent(ref)}/viewing`, init)).json();
}

/** @returns {Promise<{views: {name: string, query: string}[]}>} */
export async function listViews() {
  return (await request("/v1/views")).json();
}

/**
 * @param {string} name
 * @param {string|null} query null forgets the view
 */
export async function keepView(name, query) {
  const path = `/v1/views/${encodeURIComponent(name)}`;
  if (query === null) await request(path, { method: "DELETE" });
  else await request(path, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ query }) });
}

/** @typedef {{at: string, author: string, text: string, counts: Record<string, number>}} ShiftNote */

/** @returns {Promise<{notes: ShiftNote[]}>} newest first */
export async function listNotes() {
  return (await request("/v1/shift-notes")).json();
}

/**
 * @param {string} text
 * @returns {Promise<ShiftNote>}
 */
export async function writeNote(text) {
  return (await request("/v1/shift-notes", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }) })).json();
}

/** @typedef {{case: string, category: string, lon: number, lat: number, due_at: string|null, warn_at: string|null, steps: [string, string][]}} ReplayCase */

/**
 * @param {string} since
 * @param {string} until
 * @returns {Promise<{since: string, until: string, is_cut: boolean, cases: ReplayCase[]}>}
 */
export async function readReplay(since, until) {
  return (await request(`/v1/replay?${new URLSearchParams({ from: since, to: until })}`)).json();
}

/**
 * Which cells there are: the version that holds, its levels with the width of a typical cell, its box (west, south, east, north).
 * @returns {Promise<{version: number|null, levels: {level: number, width_m: number}[], bounds: number[]|null}>}
 */
export async function readGround() {
  const found = await (await request("/tiles/cells.json")).json();
  return { version: found.grid_version, levels: found.levels, bounds: found.bounds ?? null };
}

/**
 * @param {string} layer
 * @param {{zoom: number, x: number, y: number}} address
 * @param {number|null} version named, so that the browser may keep the tile for good
 * @returns {Promise<ArrayBuffer>} empty when no cell is in it
 */
export async function readTile(layer, { zoom, x, y }, version) {
  const path = `/tiles/${layer}/${zoom}/${x}/${y}.mvt${version === null ? "" : `?version=${version}`}`;
  // A map that moved asks for dozens at once: what somebody waits for goes first.
  return (await request(path, { priority: "low", headers: { Accept: "application/vnd.mapbox-vector-tile" } })).arrayBuffer();
}

/**
 * @param {number} lon
 * @param {number} lat
 * @param {AbortSignal} [signal]
 * @param {"wgs84"|"gcj02"|"bd09"} [coordSys]
 * @returns {Promise<Location>}
 */
export async function locate(lon, lat, signal, coordSys = "wgs84") {
  const query = new URLSearchParams({ lon: lon.toFixed(7), lat: lat.toFixed(7), coord_sys: coordSys });
  return (await request(`/v1/locate?${query}`, { signal: signal ?? null })).json();
}

/**
 * Who would get a case that nobody has yet, by the rules as they are now.
 * @param {Case} one with a place
 * @param {AbortSignal} signal
 * @returns {Promise<import("./types.js").Suggestion|null>} null where nobody would
 */
export async function getSuggestion(one, signal) {
  if (!one.location) return null;
  const query = new URLSearchParams({ lon: String(one.location.lon), lat: String(one.location.lat), coord_sys: "wgs84", category: one.category.code });
  const found = (await (await request(`/v1/locate?${query}`, { signal })).json()).for_category;
  return found.responsible && { case: one.case, holder: found.responsible, lines: [found.department?.text, found.text].filter(Boolean) };
}

/**
 * @param {string} words
 * @returns {Promise<{is_sure: boolean, places: {name: string, kind: string, location: {lon: number, lat: number}}[]}>} likeliest first
 */
export async function findPlaces(words) {
  return (await request(`/v1/places?${new URLSearchParams({ q: words, limit: "7" })}`)).json();
}

/** @returns {Promise<import("./shading.js").DutyGap[]>} the smallest cells whose own A post is not on duty */
export async function listDutyGaps() {
  return (await (await request("/v1/cells:coverage")).json()).cells;
}

/** @typedef {{code: string, name: string, level: number, chain: {level: number, code: string}[], bbox: number[]}} FoundCell `bbox`: west, south, east, north */

/**
 * @param {string} words part of a name, or the beginning of a code
 * @returns {Promise<FoundCell[]>}
 */
export async function findCells(words) {
  return (await (await request(`/v1/cells:search?${new URLSearchParams({ q: words, limit: "7" })}`)).json()).cells;
}

/**
 * One person's phone, when somebody has to call; who asked is on record.
 * @param {string} person
 * @returns {Promise<string|null>}
 */
export async function getPhone(person) {
  return (await (await request(`/v1/people/${encodeURIComponent(person)}/phone`)).json()).phone;
}
