// Repeat sites: which open cases have a badge, and what the panel says about a case's place.

import { make } from "./dom.js";
import { listRepeats } from "./service.js";
import { distance, moment, number, t } from "./texts.js";

/** @typedef {import("./types.js").Nearby} Nearby */
/** @typedef {import("./types.js").NearCase} NearCase */
/** @typedef {import("./types.js").RepeatSite} RepeatSite */

/** A burst of reports asks once; a badge may come some seconds after its row. */
const PAUSE = 2000;
/** A report is stamped when it arrives and seen when it is committed. */
const OVERLAP = 60_000;

export class Repeats {
  /** @type {Map<string, RepeatSite>} */
  #sites = new Map();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #changed;
  /** Badges speak of what came before a case: later on only the new cases are asked for. @type {string|null} */
  #asOf = null;

  /** @param {() => void} changed called when other cases have a badge than before */
  constructor(changed) {
    this.#changed = changed;
  }

  /** @param {string} ref */
  badge(ref) {
    const site = this.#sites.get(ref);
    if (!site) return "";
    return site.is_repeat_site ? t("console.repeats.badge", { count: number(site.count) }) : t("console.repeats.again");
  }

  /** Ask soon; further calls meanwhile wait for the same answer. */
  refresh() {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#load(), PAUSE);
  }

  async #load() {
    try {
      const { cases, as_of } = await listRepeats(this.#asOf && new Date(Date.parse(this.#asOf) - OVERLAP).toISOString());
      for (const site of cases) this.#sites.set(site.case, site);
      this.#asOf = as_of;
      this.#changed();
    } catch {
      // A queue without badges is still a queue: the next arrival asks again.
    } finally {
      this.#timer = undefined;
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
  add(t("console.repeats.duplicates", { count: found.duplicates.length }), found.duplicates);
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
