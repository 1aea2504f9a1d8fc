// The queue: a virtual list that keeps its place while rows come and go above it.

import { byId, make, setText } from "./dom.js";
import { known, setSign, sign } from "./shapes.js";
import { INBOXES } from "./store.js";
import { clock, dueText, number, placeOf, t, timeLeft, waiting } from "./texts.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").Inbox} Inbox */

const ROW = 52;
const SPARE = 4;

/**
 * @typedef {object} Row
 * @property {HTMLDivElement} root
 * @property {SVGSVGElement} sign
 * @property {HTMLElement} left
 * @property {HTMLElement} word
 * @property {HTMLElement} code
 * @property {HTMLElement} name
 * @property {HTMLElement} badge
 * @property {HTMLElement} state
 * @property {HTMLElement} place
 * @property {HTMLElement} text
 */

export class Queue {
  #list = byId("list");
  #space = make("div", "list-space");
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Case[]} */
  #cases = [];
  /** @type {Map<string, number>} */
  #index = new Map();
  /** @type {Map<Inbox, {tab: HTMLButtonElement, count: HTMLElement}>} */
  #tabs = new Map();
  /** @type {Set<string>} */
  #fresh = new Set();
  #overdue = make("span", "inbox-overdue");
  #overdueCount = make("span");
  #store;
  #select;
  #badge;
  #isMarked;
  /** Where the selected case stood: the next one stands there when it has gone. */
  #lastAt = 0;

  /**
   * @param {Store} store
   * @param {{select: (ref: string, open: boolean) => void, mark: (ref: string, isRange: boolean) => void, isMarked: (ref: string) => boolean, inbox: (inbox: Inbox) => void, badge: (ref: string) => string}} on
   */
  constructor(store, on) {
    this.#store = store;
    this.#select = on.select;
    this.#badge = on.badge;
    this.#isMarked = on.isMarked;
    this.#list.append(this.#space);
    this.#list.addEventListener("scroll", () => this.paint(), { passive: true });
    new ResizeObserver(() => this.paint()).observe(this.#list);
    this.#list.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest(".row") : null;
      if (!(row instanceof HTMLElement) || !row.dataset.case) return;
      if (event.shiftKey || event.ctrlKey || event.metaKey) on.mark(row.dataset.case, event.shiftKey);
      else this.#select(row.dataset.case, true);
    });
    this.#overdue.append(sign("red"), this.#overdueCount);
    const bar = byId("inboxes");
    for (const inbox of INBOXES) {
      const tab = make("button", "inbox");
      tab.type = "button";
      tab.id = `inbox-${inbox}`;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "list");
      const count = make("span", "inbox-count", "–");
      const line = make("span", "inbox-line");
      line.append(count);
      if (inbox === "due_soon") line.append(this.#overdue);
      tab.append(line, make("span", "inbox-name", t(`console.inbox.${inbox}`)));
      tab.addEventListener("click", () => on.inbox(inbox));
      bar.append(tab);
      this.#tabs.set(inbox, { tab, count });
    }
    bar.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!step) return;
      event.preventDefault();
      const next = INBOXES[(INBOXES.indexOf(store.inbox) + step + INBOXES.length) % INBOXES.length] ?? "all";
      on.inbox(next);
      this.#tabs.get(next)?.tab.focus();
    });
  }

  /** @param {Set<string>} [fresh] cases that have just arrived and get a mark for a moment */
  update(fresh = new Set()) {
    const anchor = this.#anchor();
    this.#cases = this.#store.visible();
    this.#index = new Map(this.#cases.map((one, at) => [one.case, at]));
    this.#space.style.height = `${this.#cases.length * ROW}px`;
    for (const ref of fresh) this.#mark(ref);
    if (anchor) {
      const at = this.#index.get(anchor.ref);
      if (at !== undefined) this.#list.scrollTop = at * ROW + anchor.offset;
    }
    this.paint();
    const counts = this.#store.counts();
    for (const [inbox, { tab, count }] of this.#tabs) {
      // Before the first answer nothing is known, and nothing known is not zero.
      const shown = inbox === "due_soon" ? counts.due_soon - counts.overdue : counts[inbox];
      setText(count, this.#store.asOf ? number(shown) : "–");
      const chosen = inbox === this.#store.inbox;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    this.#overdue.hidden = counts.overdue === 0;
    this.#overdue.title = t("light.red");
    setText(this.#overdueCount, number(counts.overdue));
    if (this.#store.asOf) {
      setText(byId("as-of"), t("console.queue.as_of", { count: number(this.#cases.length), at: clock(this.#store.asOf) }));
    }
  }

  /** The row that stays where it is: the topmost one in sight; at the very top the list is free to move. */
  #anchor() {
    const top = this.#list.scrollTop;
    if (top < ROW / 2) return null;
    const one = this.#cases[Math.floor(top / ROW)];
    return one ? { ref: one.case, offset: top % ROW } : null;
  }

  /** @param {string} ref */
  #mark(ref) {
    this.#fresh.add(ref);
    setTimeout(() => {
      this.#fresh.delete(ref);
      this.#rows.get(ref)?.root.classList.remove("row-fresh");
    }, 4000);
  }

  /**
   * @param {number} step
   * @returns {string|null} the case that many rows further; where the selected one has gone, the one that moved up into its place
   */
  neighbour(step) {
    if (!this.#cases.length) return null;
    const selected = this.#store.selected;
    const at = selected === null ? -1 : (this.#index.get(selected) ?? -1);
    if (at >= 0) this.#lastAt = Math.min(Math.max(at + step, 0), this.#cases.length - 1);
    else if (selected === null) this.#lastAt = step > 0 ? 0 : this.#cases.length - 1;
    else this.#lastAt = Math.min(Math.max(this.#lastAt + Math.min(step, 0), 0), this.#cases.length - 1);
    return this.#cases[this.#lastAt]?.case ?? null;
  }

  /**
   * Scroll a row into sight.
   * @param {string} ref
   * @param {boolean} [toMiddle] for a row that was chosen elsewhere: whoever looks for it finds it in the middle
   */
  reveal(ref, toMiddle = false) {
    const at = this.#index.get(ref);
    if (at === undefined) return;
    const top = at * ROW;
    const height = this.#list.clientHeight;
    if (toMiddle) this.#list.scrollTop = Math.max(0, top - (height - ROW) / 2);
    else if (top < this.#list.scrollTop) this.#list.scrollTop = Math.max(0, top - ROW / 2);
    else if (top + ROW > this.#list.scrollTop + height) this.#list.scrollTop = top + ROW * 1.5 - height;
  }

  focus() {
    this.#list.focus({ preventScroll: true });
  }

  /** Draw the rows in sight: after scrolling, and when another one is selected. */
  paint() {
    const first = Math.max(0, Math.floor(this.#list.scrollTop / ROW) - SPARE);
    const last = Math.min(this.#cases.length, Math.ceil((this.#list.scrollTop + this.#list.clientHeight) / ROW) + SPARE);
    const now = new Date();
    const wanted = new Set();
    for (let at = first; at < last; at += 1) {
      const one = this.#cases[at];
      if (!one) continue;
      wanted.add(one.case);
      let row = this.#rows.get(one.case);
      if (!row) {
        row = makeRow(one.case);
        this.#rows.set(one.case, row);
        this.#space.append(row.root);
      }
      this.#fill(row, one, at, now);
    }
    for (const [ref, row] of this.#rows) {
      if (wanted.has(ref)) continue;
      row.root.remove();
      this.#rows.delete(ref);
    }
    const selected = this.#store.selected;
    if (selected !== null) this.#lastAt = this.#index.get(selected) ?? this.#lastAt;
    if (selected !== null && wanted.has(selected)) this.#list.setAttribute("aria-activedescendant", `row-${selected}`);
    else this.#list.removeAttribute("aria-activedescendant");
  }

  /**
   * @param {Row} row
   * @param {Case} one
   * @param {number} at
   * @param {Date} now
   */
  #fill(row, one, at, now) {
    const light = known(one.light);
    row.root.style.transform = `translateY(${at * ROW}px)`;
    row.root.setAttribute("aria-posinset", String(at + 1));
    row.root.setAttribute("aria-setsize", String(this.#cases.length));
    row.root.setAttribute("aria-selected", String(one.case === this.#store.selected));
    const isMarked = this.#isMarked(one.case);
    row.root.classList.toggle("row-marked", isMarked);
    if (isMarked) row.root.setAttribute("aria-checked", "true");
    else row.root.removeAttribute("aria-checked");
    row.root.classList.toggle("row-fresh", this.#fresh.has(one.case));
    row.root.dataset.light = light;
    row.root.title = [one.case, dueText(one, now)].filter(Boolean).join(" · ");
    setSign(row.sign, light);
    const before = light === "none";
    setText(row.left, before ? t(`state.${one.status}`) : timeLeft(one, now));
    setText(row.word, before ? waiting(one, now) : t(`light.${light}`));
    setText(row.code, one.category.code);
    setText(row.name, one.category.name);
    const badge = this.#badge(one.case);
    row.badge.hidden = !badge;
    setText(row.badge, badge);
    setText(row.state, before ? "" : t(`state.${one.status}`));
    setText(row.place, placeOf(one));
    setText(row.text, one.text);
  }
}

/**
 * @param {string} ref
 * @returns {Row}
 */
function makeRow(ref) {
  const root = make("div", "row");
  root.id = `row-${ref}`;
  root.dataset.case = ref;
  root.setAttribute("role", "option");
  const row = {
    root,
    sign: sign("none"),
    left: make("span", "row-left"),
    word: make("span", "row-word"),
    code: make("span", "row-code"),
    name: make("span", "row-name"),
    badge: make("span", "badge"),
    state: make("span", "row-state"),
    place: make("span", "row-place"),
    text: make("bdi", "row-text"),
  };
  const what = make("span", "row-what");
  what.append(row.code, row.badge, row.name);
  const where = make("span", "row-where");
  where.append(row.place, row.text);
  root.append(row.sign, row.left, what, row.state, row.word, where);
  return row;
}
