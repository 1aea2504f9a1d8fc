// Texts, numbers and times as people say them. Everything here returns strings; nothing touches the page.

import { dayMs, workedBetween } from "./working_time.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").Config} Config */

const element = document.getElementById("context");
if (!element) throw new Error("the page has no context");

/** @type {{locale: string, root: string, texts: Record<string, string>, config: Config}} */
export const context = JSON.parse(element.textContent ?? "{}");

/**
 * Return a text with its {fields} filled. An unknown key comes back as itself, so that a new state of a newer server
 * shows as a word and not as a broken page.
 * @param {string} key
 * @param {Record<string, string|number>} [params]
 * @returns {string}
 */
export function t(key, params = {}) {
  const text = context.texts[key];
  if (text === undefined) return key.slice(key.lastIndexOf(".") + 1);
  return text.replace(/\{([a-z_]+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

const zone = context.config.time_zone;
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const partsFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: zone, year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "2-digit", hourCycle: "h23",
});

/**
 * @param {Date} at
 * @returns {Record<string, number>} calendar fields in the jurisdiction's zone
 */
function fieldsOf(at) {
  /** @type {Record<string, number>} */
  const fields = {};
  for (const part of partsFormat.formatToParts(at)) if (part.type !== "literal") fields[part.type] = Number(part.value);
  return fields;
}

/**
 * @param {Date} at
 * @returns {string} 10:42:07
 */
export function clock(at) {
  return clockFormat.format(at);
}

/**
 * @param {Date} at
 * @returns {string} 2026-11-21T09:40, as a date field wants it, in the jurisdiction's zone
 */
export function wallTime(at) {
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = fieldsOf(at);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}`;
}

/**
 * @param {string} wall 2026-11-21T09:40 on the jurisdiction's clocks
 * @returns {Date|null} the instant; null when the text is no time
 */
export function instantOf(wall) {
  const asUtc = Date.parse(`${wall}Z`);
  if (Number.isNaN(asUtc)) return null;
  // The zone's offset at about that instant; right but for the hour in which a zone changes its clocks.
  const offset = Date.parse(`${wallTime(new Date(asUtc))}Z`) - Math.floor(asUtc / 60_000) * 60_000;
  return new Date(asUtc - offset);
}

/** Which of 11/8 is the month differs from reader to reader: in English it has its name. */
const monthNames = context.locale === "en" ? new Intl.DateTimeFormat("en-GB", { timeZone: zone, month: "short" }) : null;

/**
 * Name an instant the way people do: 今天 14:40, 明早 9:40, 11 月 23 日 9:40.
 * @param {Date} at
 * @param {Date} now
 * @returns {string}
 */
export function moment(at, now) {
  const then = fieldsOf(at);
  const today = fieldsOf(now);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = then;
  const time = `${hour}:${String(minute).padStart(2, "0")}`;
  const days = Math.round((Date.UTC(year, month - 1, day) - Date.UTC(today.year ?? 0, (today.month ?? 1) - 1, today.day ?? 1)) / 86_400_000);
  if (days === 0) return t("console.day.today", { time });
  if (days === 1) return t(hour < 12 && hour >= 5 ? "console.day.morning" : "console.day.tomorrow", { time });
  if (days === -1) return t("console.day.yesterday", { time });
  return t(year === today.year ? "console.day.date" : "console.day.full", { year, month: monthNames?.format(at) ?? month, day, time });
}

/**
 * A length of time in at most two units: 40 分, 3 时 20 分, 2 天 4 时. Never rounded up: a deadline must not look further away.
 * @param {number} milliseconds
 * @returns {string}
 */
export function duration(milliseconds) {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return t("console.time.now");
  if (minutes < 60) return t("console.time.minutes", { minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return t("console.time.hours", { hours, minutes: String(minutes % 60).padStart(2, "0") });
  return t("console.time.days", { days: Math.floor(hours / 24), hours: hours % 24 });
}

/**
 * What is left of a case's limit.
 * @param {Case} one
 * @param {Date} now
 * @returns {string}
 */
export function timeLeft(one, now) {
  if (one.light === "suspended" || one.status === "suspended") return t("console.time.paused");
  if (!one.due_at) return t("console.time.none");
  // The handling clock stopped when the result was reported back: on time or not is decided there.
  const until = one.handled_at ? new Date(one.handled_at) : now;
  const left = Date.parse(one.due_at) - until.getTime();
  if (left < 0) return t("console.time.over", { time: duration(-left) });
  const unit = one.limit?.unit;
  const worked = unit === "working_hour" || unit === "working_day" ? workedBetween(until.getTime(), Date.parse(one.due_at)) : null;
  return t("console.time.left", { time: worked === null ? duration(left) : workingDuration(worked, unit === "working_day") });
}

/**
 * A length of working time: 40 分, 3 工作时 20 分, 2 工作日 4 工作时. Never rounded up, like `duration`.
 * @param {number} milliseconds
 * @param {boolean} inDays
 * @returns {string}
 */
function workingDuration(milliseconds, inDays) {
  if (milliseconds < 3_600_000) return duration(milliseconds);
  if (inDays && milliseconds >= dayMs) {
    return t("desk.time.working_days", { days: Math.floor(milliseconds / dayMs), hours: Math.floor((milliseconds % dayMs) / 3_600_000) });
  }
  const minutes = Math.floor(milliseconds / 60_000);
  return t("desk.time.working_hours", { hours: Math.floor(minutes / 60), minutes: String(minutes % 60).padStart(2, "0") });
}

/**
 * How long a case has been waiting for the desk.
 * @param {Case} one
 * @param {Date} now
 * @returns {string}
 */
export function waiting(one, now) {
  const since = Date.parse(one.handled_at ?? one.reported_at);
  const passed = now.getTime() - since;
  return passed < 60_000 ? t("console.time.just_now") : t("console.time.waiting", { time: duration(passed) });
}

/**
 * @param {Case} one
 * @param {Date} now
 * @returns {string} 明早 9:40 到期; empty when there is no limit
 */
export function dueText(one, now) {
  if (!one.due_at) return "";
  const due = new Date(one.due_at);
  return t(due < now ? "console.due.was" : "console.due.at", { when: moment(due, now) });
}

/**
 * Where a case is, the smallest cell first.
 * @param {Case} one
 * @returns {string}
 */
export function placeOf(one) {
  if (one.out_of_grid || one.chain.length === 0) {
    if (!one.location) return t("console.place.no_position");
    const near = one.nearest[0];
    return near ? t("console.place.near", { name: near.name, distance: distance(near.distance_m) }) : t("console.place.out_of_grid");
  }
  const byDepth = [...one.chain].sort((a, b) => b.level - a.level);
  return byDepth.slice(0, 2).map((cell) => cell.name).join(" · ");
}

/**
 * @param {number} metres
 * @returns {string} 240 m, 1.3 km
 */
export function distance(metres) {
  return metres < 1000 ? `${Math.round(metres)} m` : `${(metres / 1000).toFixed(1)} km`;
}

/**
 * @param {number} count
 * @returns {string} 12,115
 */
export function number(count) {
  return count.toLocaleString("en-US");
}
