// The open cases this page knows, which inbox each is in, and who wants to hear of changes. No elements here.

import { kept } from "./keeping.js";
import { placeOf } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").Inbox} Inbox */
/** @typedef {import("./types.js").Light} Light */
/** @typedef {{one: Case, kind: "added"|"changed"|"removed", was: Case|null}} Change */

export const INBOXES = /** @type {const} */ (["to_dispatch", "out_of_grid", "due_soon", "returned", "all"]);

// Ended, or waiting by approval for a date: nobody at the desk has to look at these today.
const OFF_DESK = new Set(["closed", "declined", "merged", "voided", "suspended"]);
/** A page stays open for weeks; a list is read within seconds. */
const MOST_ENDED = 2_000;
/** Nobody has these yet. */
export const BEFORE_DISPATCH = new Set(["reported", "accepted", "verifying", "filed"]);
const CLOCK_RUNS = new Set(["dispatched", "returned", "handling"]);

/**
 * @param {Case} one
 * @param {Inbox} inbox
 * @returns {boolean}
 */
export function isIn(one, inbox) {
  switch (inbox) {
    case "to_dispatch":
      return BEFORE_DISPATCH.has(one.status) && one.chain.length > 0;
    case "out_of_grid":
      return BEFORE_DISPATCH.has(one.status) && one.chain.length === 0;
    case "due_soon":
      // The overdue stay here: a case must not leave the inbox that somebody watches by getting worse.
      return CLOCK_RUNS.has(one.status) && (one.light === "yellow" || one.light === "red");
    case "returned":
      return one.status === "returned";
    default:
      return true;
  }
}

/**
 * The instant by which a case is ordered: its deadline while the handling clock runs, else the instant since which it
 * waits for the desk. A case that waits is thus as urgent as one that fell due when it began to wait.
 * @param {Case} one
 * @returns {number}
 */
function urgency(one) {
  if (one.status === "suspended") return Infinity;
  return Date.parse((CLOCK_RUNS.has(one.status) ? one.due_at : one.handled_at) ?? one.reported_at);
}

/**
 * The light at this moment. The service computed it when it sent the case; while the page stays open, time goes on.
 * @param {Case} one
 * @param {number} now
 * @returns {Light}
 */
function lightAt(one, now) {
  if (!CLOCK_RUNS.has(one.status) || !one.due_at) return one.light;
  if (one.light !== "green" && one.light !== "yellow") return one.light;
  if (now > Date.parse(one.due_at)) return "red";
  return one.warn_at && now >= Date.parse(one.warn_at) ? "yellow" : one.light;
}

export class Store {
  /** @type {Map<string, Case>} */
  #cases = new Map();
  /** Read once per version of a case: thousands are compared whenever one changes. @type {WeakMap<Case, number>} */
  #urgencies = new WeakMap();
  /**
   * Last versions of cases that ended here: a list that was read before the end must not bring them back.
   * @type {Map<string, number>}
   */
  #ended = new Map();
  /** @type {Set<(changes: Change[]) => void>} */
  #listeners = new Set();
  /** @type {Inbox} */
  inbox = "all";
  search = "";
  /** @type {((one: Case) => boolean)|null} */
  inView = null;
  /** @type {string|null} */
  selected = null;
  /** A case that the queue lists although its filters do not: somebody has pointed at it. @type {string|null} */
  #guest = null;
  /** When the shown content was true. @type {Date|null} */
  asOf = null;

  /** @param {(changes: Change[]) => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
  }

  /** @param {Change[]} changes */
  #tell(changes) {
    for (const listener of this.#listeners) listener(changes);
  }

  /** Tell everybody that the view (inbox, search, bounds, selection) is another one. */
  refresh() {
    this.#tell([]);
  }

  /** @param {string|null} ref */
  get(ref) {
    return ref === null ? undefined : this.#cases.get(ref);
  }

  get size() {
    return this.#cases.size;
  }

  all() {
    return this.#cases.values();
  }

  /**
   * Take in what the service says now; older versions of a case than the known one are ignored, because events and
   * answers may overtake each other.
   * @param {Iterable<Case>} incoming
   * @returns {Change[]}
   */
  apply(incoming) {
    const now = Date.now();
    /** @type {Change[]} */
    const changes = [];
    for (const one of incoming) {
      const was = this.#cases.get(one.case) ?? null;
      if ((was?.version ?? this.#ended.get(one.case) ?? 0) >= one.version) continue;
      if (OFF_DESK.has(one.status)) {
        this.#end(one);
        if (was && this.#cases.delete(one.case)) changes.push({ one, kind: "removed", was });
        continue;
      }
      const fresh = kept(one);
      fresh.light = lightAt(one, now);
      this.#cases.set(one.case, fresh);
      changes.push({ one: fresh, kind: was ? "changed" : "added", was });
    }
    if (changes.length) this.#tell(changes);
    return changes;
  }

  /** @param {Case} one */
  #end(one) {
    this.#ended.set(one.case, one.version);
    if (this.#ended.size <= MOST_ENDED) return;
    // The oldest first: no list is being read any more that still has it.
    for (const ref of this.#ended.keys()) {
      this.#ended.delete(ref);
      if (this.#ended.size <= MOST_ENDED / 2) break;
    }
  }

  /** @returns {Map<string, number>} what is known now, by version */
  versions() {
    return new Map([...this.#cases].map(([ref, one]) => [ref, one.version]));
  }

  /**
   * After a gap: cases that the service no longer lists as open are gone. Those that arrived or changed while the list was
   * being read are newer than the list, and stay.
   * @param {Set<string>} open
   * @param {Map<string, number>} before what was known when the reading began
   */
  keepOnly(open, before) {
    /** @type {Change[]} */
    const changes = [];
    for (const [ref, one] of this.#cases) {
      if (open.has(ref) || before.get(ref) !== one.version) continue;
      this.#cases.delete(ref);
      changes.push({ one, kind: "removed", was: one });
    }
    if (changes.length) this.#tell(changes);
  }

  /** Let the lights follow the clock; called now and then, tells only of those that changed. */
  tick() {
    const now = Date.now();
    /** @type {Change[]} */
    const changes = [];
    for (const [ref, one] of this.#cases) {
      const light = lightAt(one, now);
      if (light === one.light) continue;
      const fresh = { ...one, light };
      this.#cases.set(ref, fresh);
      changes.push({ one: fresh, kind: "changed", was: one });
    }
    this.#tell(changes);
  }

  /** @returns {Record<Inbox|"overdue", number>} `overdue` are those in `due_soon` that are late already */
  counts() {
    const counts = { to_dispatch: 0, out_of_grid: 0, due_soon: 0, returned: 0, all: 0, overdue: 0 };
    for (const one of this.#cases.values()) {
      for (const inbox of INBOXES) if (isIn(one, inbox)) counts[inbox] += 1;
      if (one.light === "red" && isIn(one, "due_soon")) counts.overdue += 1;
    }
    return counts;
  }

  /**
   * @param {Case} one
   * @returns {boolean}
   */
  isShown(one) {
    return one.case === this.#guest || this.#fits(one);
  }

  /**
   * List a case for as long as it is selected, even where the filters leave it out: what the map and the panel show must
   * be in the queue, too.
   * @param {string|null} ref
   */
  invite(ref) {
    const one = this.get(ref);
    if (one && this.isShown(one)) {
      if (this.#guest === null || ref === this.#guest) return;
      this.#guest = null;
    } else {
      const guest = one ? one.case : null;
      if (guest === this.#guest) return;
      this.#guest = guest;
    }
    this.refresh();
  }

  /** @param {Case} one */
  #fits(one) {
    return isIn(one, this.inbox) && this.#matches(one) && (this.inView === null || this.inView(one));
  }

  /** @returns {Case[]} what the queue lists, most urgent first; the number settles the rest, so that rows never swap without a reason */
  visible() {
    return [...this.#cases.values()]
      .filter((one) => this.isShown(one))
      .sort((a, b) => {
        const [left, right] = [this.#urgencyOf(a), this.#urgencyOf(b)];
        if (left !== right) return left < right ? -1 : 1;
        return a.case < b.case ? -1 : a.case > b.case ? 1 : 0;
      });
  }

  /** @param {Case} one */
  #urgencyOf(one) {
    let at = this.#urgencies.get(one);
    if (at === undefined) this.#urgencies.set(one, (at = urgency(one)));
    return at;
  }

  /** @param {Case} one */
  #matches(one) {
    if (!this.search) return true;
    const text = [one.case, one.ticket, one.category.code, one.category.name, one.text, one.address, placeOf(one), ...one.chain.map((cell) => cell.code)];
    const haystack = text.join("\n").toLowerCase();
    return this.search.toLowerCase().split(/\s+/).every((word) => haystack.includes(word));
  }
}
