// Areas, validities and names of versions as people say them.

import { context, moment, number, t } from "../console/texts.js";

/** @typedef {import("./types.js").GridConfig} GridConfig */
/** @typedef {import("./types.js").Version} Version */

export const config = /** @type {GridConfig} */ (/** @type {unknown} */ (context.config));

/**
 * @param {number} m2
 * @returns {string} 0.42 m², 1,250 m², 3.18 km²
 */
export function area(m2) {
  if (m2 >= 1e6) return t("grid_page.area.km2", { value: (m2 / 1e6).toFixed(2) });
  if (m2 > 0 && m2 < 0.01) return t("grid_page.area.tiny");
  return t("grid_page.area.m2", { value: m2 < 10 ? m2.toFixed(2) : number(Math.round(m2)) });
}

/**
 * @param {Version} version
 * @returns {string}
 */
export function titleOf(version) {
  return t("grid_page.version", { number: version.number });
}

/**
 * @param {string} iso
 * @returns {string}
 */
export function instant(iso) {
  return moment(new Date(iso), new Date());
}

/**
 * @param {Version} version
 * @returns {string}
 */
export function validity(version) {
  if (!version.valid_from) return t("grid_page.validity.none");
  const since = instant(version.valid_from);
  return version.valid_until
    ? t("grid_page.validity.between", { since, until: instant(version.valid_until) })
    : t("grid_page.validity.since", { since });
}

/**
 * @param {Version} version
 * @returns {string} where its cells came from; a draft copied by the service says so in the reader's language
 */
export function sourceOf(version) {
  const copied = /^copy of (\d+)$/.exec(version.source);
  return copied?.[1] ? t("grid_page.copy_of", { number: copied[1] }) : version.source;
}

/**
 * @param {number|string} level
 * @returns {string} the level's name, or its number where the city has no name for it
 */
export function levelName(level) {
  const key = `level.${level}`;
  return key in context.texts ? t(key) : t("grid_page.level", { level });
}

/**
 * @param {Record<string, number>} cells
 * @returns {string} 街道 2 · 社区网格 4 · 单元网格 16
 */
export function counts(cells) {
  const parts = Object.entries(cells).sort(([a], [b]) => Number(a) - Number(b));
  if (!parts.length) return t("grid_page.no_cells");
  // A level and its number stay on one line.
  return parts.map(([level, count]) => `${levelName(level)} ${number(count)}`.replaceAll(" ", "\u00a0")).join(" · ");
}

/**
 * Read an instant typed as local time of the jurisdiction (``2026-11-21T10:00``) and return it with its offset.
 * @param {string} typed
 * @returns {string|null} null when it is no time
 */
export function zonedIso(typed) {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(typed);
  if (!match) return null;
  const wall = Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]), Number(match[4]), Number(match[5]));
  // Twice, because the offset is that of the instant looked for, not of the wall time read as UTC.
  let at = wall - offset(wall);
  at = wall - offset(at);
  return new Date(at).toISOString();
}

/**
 * @param {number} at
 * @returns {number} how far the jurisdiction's clocks are ahead of UTC, in milliseconds
 */
function offset(at) {
  /** @type {Record<string, number>} */
  const fields = {};
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: config.time_zone, year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", hourCycle: "h23",
  });
  for (const part of format.formatToParts(new Date(at))) if (part.type !== "literal") fields[part.type] = Number(part.value);
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0 } = fields;
  return Date.UTC(year, month - 1, day, hour, minute) - Math.floor(at / 60_000) * 60_000;
}
