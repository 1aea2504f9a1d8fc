// Requests about grid versions. The shapes of the service become the page's shapes here and nowhere else.

import { request } from "../console/service.js";
import { context } from "../console/texts.js";

/** @typedef {import("./types.js").Version} Version */
/** @typedef {import("./types.js").Coverage} Coverage */
/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Descent} Descent */
/** @typedef {import("./types.js").Difference} Difference */
/** @typedef {import("./types.js").Effect} Effect */
/** @typedef {import("./types.js").LonLat} LonLat */
/** @typedef {import("./types.js").Preview} Preview */
/** @typedef {import("./types.js").Repairs} Repairs */

/** @type {import("./types.js").DifferenceKind[]} */
const KINDS = ["added", "removed", "redrawn", "renamed", "reparented"];
const GEOJSON = { Accept: "application/geo+json, application/json" };

/** @param {number} number */
const pathOf = (number) => `/v1/grid/versions/${number}`;

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<Version[]>} newest number first
 */
export async function listVersions(signal) {
  const body = await (await request("/v1/grid/versions", { signal: signal ?? null })).json();
  return body.versions;
}

/**
 * @param {number} number
 * @param {AbortSignal} signal
 * @returns {Promise<{features: CellFeature[]}>}
 */
export async function listCells(number, signal) {
  return (await request(`${pathOf(number)}/cells`, { headers: GEOJSON, signal })).json();
}

/**
 * @param {number} number
 * @param {AbortSignal} signal
 * @returns {Promise<Coverage>}
 */
export async function getCoverage(number, signal) {
  return (await request(`${pathOf(number)}/coverage`, { headers: GEOJSON, signal })).json();
}

/**
 * @param {string} path
 * @param {string} method
 * @param {unknown} [body]
 * @param {Record<string, string>} [headers]
 */
async function send(path, method, body, headers = {}) {
  const init = body === undefined ? { method, headers } : { method, headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return request(path, init);
}

/** @param {Version} version */
const seen = (version) => ({ "If-Match": `"${version.revision}"` });

/**
 * @param {number} basedOn
 * @returns {Promise<Version>}
 */
export async function createDraft(basedOn) {
  return (await send("/v1/grid/versions", "POST", { based_on: basedOn })).json();
}

/** @param {Version} version */
export async function discardDraft(version) {
  await send(pathOf(version.number), "DELETE", undefined, seen(version));
}

/**
 * @param {number} before
 * @param {number} after
 * @param {AbortSignal} signal
 * @returns {Promise<Difference[]>}
 */
export async function compareVersions(before, after, signal) {
  const found = await (await request(`${pathOf(before)}/compare/${after}?geometry=true`, { signal })).json();
  const word = context.locale === "en" ? "en" : "zh";
  /** @type {Difference[]} */
  const differences = [];
  for (const kind of KINDS) {
    for (const one of found[kind]) {
      const parents = kind === "reparented" ? [one.from_parent, one.to_parent] : [null, null];
      const [from, to] = kind === "renamed" ? [one[`from_${word}`], one[`to_${word}`]] : parents;
      const moved = kind === "redrawn" ? one.gained_m2 + one.lost_m2 : one.area_m2;
      differences.push({ kind, code: one.code, level: one.level, before: from ?? null, after: to ?? null, changed_m2: moved ?? null, ...(one.gained ? { gained: one.gained } : {}), ...(one.lost ? { lost: one.lost } : {}) });
    }
  }
  return differences;
}

/**
 * Make a scheduled version a draft again, before it takes effect.
 * @param {Version} version
 */
export async function withdrawVersion(version) {
  await send(`${pathOf(version.number)}/withdraw`, "POST");
}

/**
 * @param {number} number
 * @param {AbortSignal} signal
 * @returns {Promise<{lineage: Descent[], undoable: number}>} which cell became which, in the order it was drawn
 */
export async function listLineage(number, signal) {
  return (await request(`${pathOf(number)}/lineage`, { signal })).json();
}

/**
 * Take the last change of a draft back.
 * @param {Version} version
 * @returns {Promise<{undone: {revision: number, operation: string}, revision: number, undoable: number}>}
 */
export async function undoChange(version) {
  return (await send(`${pathOf(version.number)}/undo`, "POST", undefined, seen(version))).json();
}

/**
 * The next code under a cell that no version ever used.
 * @param {number} number
 * @param {string} parent code of the cell above
 * @param {LonLat} place in the cell that needs a code
 * @returns {Promise<string>}
 */
export async function nextCodeUnder(number, parent, [lon, lat]) {
  const body = await (await send(`${pathOf(number)}/codes:next`, "POST", { parent, places: [{ lon, lat }] })).json();
  return body.codes[0].code;
}

/**
 * What a change would make of the draft; nothing is written.
 * @param {Version} version
 * @param {Change} change
 * @returns {Promise<Preview>}
 */
export async function previewChange(version, change) {
  return (await send(`${pathOf(version.number)}/operations?dry_run=true`, "POST", change, seen(version))).json();
}

/**
 * @param {Version} version the version as the person has seen it
 * @param {Change} change
 * @returns {Promise<Preview>}
 */
export async function applyChange(version, change) {
  return (await send(`${pathOf(version.number)}/operations`, "POST", change, seen(version))).json();
}

/**
 * @param {Version} version
 * @param {AbortSignal} signal
 * @returns {Promise<Effect>}
 */
export async function getEffect(version, signal) {
  return (await request(`${pathOf(version.number)}/effect`, { signal })).json();
}

/**
 * @param {Version} version
 * @param {string|null} at null means from now on
 * @param {string} reason why findings are accepted, if there are any
 * @returns {Promise<Version>}
 */
export async function activateVersion(version, at, reason) {
  return (await send(`${pathOf(version.number)}/activate`, "POST", { ...(at ? { at } : {}), ...(reason ? { reason } : {}) }, seen(version))).json();
}

/**
 * @param {Version} version
 * @param {AbortSignal} signal
 * @returns {Promise<Repairs>} what could be repaired; nothing is changed
 */
export async function getRepairs(version, signal) {
  return (await request(`${pathOf(version.number)}/repairs`, { headers: GEOJSON, signal })).json();
}

/**
 * @param {Version} version
 * @param {string[]} repairs ids as they were listed
 * @returns {Promise<{applied: unknown[], after: {findings: number}, revision: number}>}
 */
export async function applyRepairs(version, repairs) {
  return (await send(`${pathOf(version.number)}/repairs`, "POST", { repairs }, seen(version))).json();
}
