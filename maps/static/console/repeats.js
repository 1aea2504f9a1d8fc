// Repeat sites: which open cases have a badge, and what the panel says about a case's place.

import { make } from "./dom.js";
import { listRepeats } from "./service.js";
import { distance, moment, number, t } from "./texts.js";

/** @typedef {import("./types.js").Nearby} Nearby */
/** @typedef {import("./types.js").NearCase} NearCase */
/** @typedef {import("./types.js").RepeatSite} RepeatSite */

/** A burst of reports asks once; a badge may come some seconds after its row. */
const PAUSE = 2000;
const LONGEST_PAUSE = 300_000;
/** A report is stamped when it arrives and seen when it is committed. */
const OVERLAP = 60_000;
/** An undo brings cases back, and only new ones are asked for. */
const MOST_GONE = 500;

export class Repeats {
  /** How often each was reported, 0 for "again after its end": what a badge says, and no more of thousands. @type {Map<string, number>} */
  #sites = new Map();
  /** Of cases that left the desk, the oldest first. @type {Map<string, number>} */
  #gone = new Map();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #wait = PAUSE;
  #changed;
  /** Badges speak of what came before a case: later on only the new cases are asked for. @type {string|null} */
  #asOf = null;

  /** @param {() => void} changed called when other cases have a badge than before */
  constructor(changed) {
    this.#changed = changed;
  }

  /** @param {string} ref */
  badge(ref) {
    const count = this.#sites.get(ref) ?? this.#gone.get(ref);
    if (count === undefined) return "";
    return count ? t("console.repeats.badge", { count: number(count) }) : t("console.repeats.again");
  }

  /** Ask soon; further calls meanwhile wait for the same answer. */
  refresh() {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#load(), PAUSE);
  }

  /** Cases that ended need no badge, unless somebody takes that back. @param {string} ref */
  forget(ref) {
    const count = this.#sites.get(ref);
    if (count === undefined) return;
    this.#sites.delete(ref);
    this.#gone.set(ref, count);
    for (const oldest of this.#gone.keys()) {
      if (this.#gone.size <= MOST_GONE) break;
      this.#gone.delete(oldest);
    }
  }

  async #load() {
    const since = this.#asOf && new Date(Date.parse(this.#asOf) - OVERLAP).toISOString();
    try {
      /** @type {string|null} */
      let next = null;
      /** @type {string|null} */
      let asOf = null;
      do {
        const answer = /** @type {Awaited<ReturnType<typeof listRepeats>>} */ (await listRepeats(since, next));
        for (const site of answer.cases) this.#sites.set(site.case, site.is_repeat_site ? site.count : 0);
        asOf ??= answer.as_of;
        next = answer.next;
        this.#changed();
      } while (next);
      this.#asOf = asOf;
      this.#wait = PAUSE;
      this.#timer = undefined;
    } catch {
      // A queue without badges is still a queue: what is missing is asked for again, ever more rarely.
      this.#wait = Math.min(this.#wait * 2, LONGEST_PAUSE);
      this.#timer = setTimeout(() => void this.#load(), this.#wait);
    }
  }
}

/**
 * One insistent caller or many, where contacts tell; otherwise only the channels can.
 * @param {{known: number, unknown: number, is_one: boolean}|null} callers
 * @returns {string|null}
 */
function voices(callers) {
  if (callers?.is_one) return t("console.repeats.one_caller");
  if (callers && callers.known > 1) return t("console.repeats.callers", { count: number(callers.known), unknown: number(callers.unknown) });
  return null;
}

/**
 * @param {Nearby} found
 * @param {Date} now
 * @param {(ref: string) => void} open
 * @returns {Node[]} what is to be said of the place, the urgent first
 */
export function nearbyParts(found, now, open) {
  const { repeats } = found;
  /** @type {Node[]} */
  const parts = [];
  if (repeats.is_repeat_site) {
    const line = make("p", "repeats-site");
    const said = t("console.repeats.site", { days: repeats.days ?? 0, count: number(repeats.count) });
    line.append(make("strong", "badge", t("console.repeats.badge", { count: number(repeats.count) })), make("span", "", said));
    const channel = repeats.channels[0]?.name ?? "";
    const sources = repeats.is_one_channel ? t("console.repeats.one_channel", { channel }) : t("console.repeats.channels", { count: repeats.channels.length });
    parts.push(line, make("p", "quiet", voices(repeats.callers) ?? sources));
  }
  const add = (/** @type {string} */ title, /** @type {NearCase[]} */ cases) => {
    if (!cases.length) return;
    const list = make("ul", "repeats");
    for (const near of cases.slice(0, 8)) list.append(nearLine(near, now, open));
    parts.push(make("p", "repeats-title", title), list);
  };
  add(t("console.repeats.duplicates", { count: number(found.duplicates.length) }), found.duplicates);
  add(t("console.repeats.look_back"), found.look_back);
  add(t("console.repeats.reported_again"), found.reported_again);
  const told = new Set([...found.duplicates, ...found.look_back].map((near) => near.case));
  add(t("console.repeats.history", { days: repeats.days ?? 0 }), repeats.history.filter((near) => !told.has(near.case)));
  if (!parts.length) parts.push(make("p", "quiet", t("console.repeats.none", { days: repeats.days ?? 0 })));
  return parts;
}

/**
 * @param {NearCase} near
 * @param {Date} now
 * @param {(ref: string) => void} open
 */
function nearLine(near, now, open) {
  const item = make("li");
  const button = make("button", "link", `#${near.case}`);
  button.type = "button";
  button.addEventListener("click", () => open(near.case));
  const facts = [near.category.name, distance(near.distance_m), moment(new Date(near.reported_at), now), t(`state.${near.status}`)];
  item.append(button, make("bdi", "", facts.join(" · ")));
  return item;
}
